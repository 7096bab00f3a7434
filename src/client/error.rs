//! What can go wrong between a client and a served model, each with what to do about it.

use std::time::Duration;

/// A request that brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is none.
    #[error("--url '{url}': {why}")]
    Url {
        /// The URL given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody listens there.
    #[error(
        "cannot reach {url}: {source}; is the server up? (modelyard local -f FILE starts one; --url or MODELYARD_URL names another)"
    )]
    Unreachable {
        /// The server's URL.
        url: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no TLS connection with it.
    #[error("no TLS connection with {url}: {why}")]
    Tls {
        /// The server's URL.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// The answer took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The server has no such model.
    #[error("{}", unknown_model(model, known.as_deref()))]
    UnknownModel {
        /// The model asked for.
        model: String,
        /// The models there are, where the server tells.
        known: Option<Vec<String>>,
    },
    /// The server refused the request.
    #[error("the server answered {status}: {message}")]
    Refused {
        /// The HTTP status or gRPC code.
        status: String,
        /// The server's own words.
        message: String,
    },
    /// Something answers there, and it is no model server.
    #[error(
        "{url} does not answer as Modelyard or another model server does: {found}; expected the Open Inference Protocol (is --url right?)"
    )]
    Foreign {
        /// The server's URL.
        url: String,
        /// What was asked and what came.
        found: String,
    },
    /// The answer is not of the protocol.
    #[error("the answer is not understood: {0}")]
    Reply(String),
    /// The request has no form in this protocol.
    #[error("{0}")]
    Request(String),
}

impl ClientError {
    /// The class of the failure, for counting: the status, or `connect`, `timeout`, `broken`, `answer`.
    #[must_use]
    pub fn class(&self) -> String {
        match self {
            Self::Refused { status, .. } => status.clone(),
            Self::Unreachable { .. } => "connect".to_owned(),
            Self::Tls { .. } => "tls".to_owned(),
            Self::Timeout(_) => "timeout".to_owned(),
            Self::Broken(_) => "broken".to_owned(),
            Self::UnknownModel { .. } => "unknown model".to_owned(),
            Self::Foreign { .. } | Self::Reply(_) | Self::Url { .. } | Self::Request(_) => "answer".to_owned(),
        }
    }
}

fn unknown_model(model: &str, known: Option<&[String]>) -> String {
    match known {
        None => format!("the server has no model '{model}'"),
        Some([]) => format!("the server has no model '{model}': it has none at all"),
        Some(known) => format!("the server has no model '{model}'; it has {}", known.join(", ")),
    }
}
