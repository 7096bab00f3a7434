//! Bodies that did not come to their end.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::GRACE;
use super::fault::{Fault, Kind, causes};

/// Bytes that are read of what is refused.
const MAX_DRAINED: usize = 64 << 20;

/// Why a body did not come to its end: always the client's doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the request's body was cut short: {0}")]
    Cut(String),
    #[error("the request's body is not in chunks, as its head says (Transfer-Encoding): {0}")]
    Malformed(String),
    #[error("the request's body is larger than the limit of {0} bytes (serving.maxRequestBytes)")]
    TooLarge(u64),
    #[error("the request's message did not come within {0:?}")]
    Late(Duration),
}

impl From<hyper::Error> for Ended {
    /// hyper tells chunks that are none from a connection that ended by the kind of an I/O error.
    fn from(error: hyper::Error) -> Self {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.filter(|cause| matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)) {
            Some(cause) => Self::Malformed(cause.to_string()),
            None => Self::Cut(causes(&error)),
        }
    }
}

impl From<Ended> for Fault {
    fn from(ended: Ended) -> Self {
        let kind = match ended {
            Ended::Cut(_) => Kind::Cut,
            Ended::TooLarge(_) => Kind::TooLarge,
            Ended::Malformed(_) => Kind::Invalid,
            Ended::Late(_) => Kind::Stalled,
        };
        Self::new(kind, ended.to_string())
    }
}

/// How a body fared that was sent on, for whoever sees the request fail and might take it for the replica's failure.
#[derive(Default)]
pub(super) struct Fate {
    ended: OnceLock<Ended>,
    /// What is left of one that was too large.
    left: Mutex<Option<Incoming>>,
}

impl Fate {
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.get().cloned()
    }

    /// Notes why it ended; the first reason is the one. Of one that was too large the rest is kept, to be drained.
    pub(super) fn end(&self, why: &Ended, rest: &mut Option<Incoming>) {
        let _ = self.ended.set(why.clone());
        if let Ended::TooLarge(_) = why {
            *self.left.lock() = rest.take();
        }
    }

    /// Reads and drops what is left of a body that was too large, for a while: its client would see the connection break while it
    /// sends, and never read why.
    pub(super) async fn drain(&self) {
        let Some(mut left) = self.left.lock().take() else { return };
        let reading = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = left.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > MAX_DRAINED {
                    break;
                }
            }
        };
        // One that goes on for longer is cut.
        let _ = tokio::time::timeout(GRACE, reading).await;
    }
}
