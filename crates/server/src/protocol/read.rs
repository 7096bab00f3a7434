//! Reading a request's body: bounded in bytes, whole.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use super::Inbound;
use crate::fault::{Code, Fault};

/// The whole body, without a copy where it came in one piece.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` past `limit` bytes, `INVALID_ARGUMENT` for chunks that are none, `CANCELLED` where the client went away.
pub async fn whole(mut body: Inbound, limit: u64) -> Result<Bytes, Fault> {
    let hint = body.size_hint();
    if hint.lower() > limit {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Fault::from)?;
        let Ok(piece) = frame.into_data() else { continue };
        let have = first.as_ref().map_or(0, Bytes::len).max(rest.len());
        if (have + piece.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        match first.take() {
            None if rest.is_empty() => first = Some(piece),
            None => rest.extend_from_slice(&piece),
            Some(head) => {
                let known = usize::try_from(hint.exact().unwrap_or(0)).unwrap_or(0);
                rest.reserve(known.max(head.len() + piece.len()));
                rest.extend_from_slice(&head);
                rest.extend_from_slice(&piece);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

pub(super) fn too_large(limit: u64) -> Fault {
    Fault::new(
        Code::PayloadTooLarge,
        format!("the request's body is larger than the limit of {limit} bytes (serving.maxRequestBytes)"),
    )
}
