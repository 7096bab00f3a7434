//! What the gateway itself has to say, in the words of the protocol that asked.

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::reply::Reply;

/// Why a request was not passed on, or not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) message: String,
}

/// The classes of the gateway's faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request does not say what it must.
    Invalid,
    /// No such model.
    NotFound,
    /// No replica answers now.
    Unavailable,
    /// The replica ended before it answered.
    Broken,
    /// The deadline passed.
    Late,
    /// The body is larger than the model's limit.
    TooLarge,
    /// The client went away, or cut its request short.
    Cut,
    /// The client's body stopped coming.
    Stalled,
    /// The request is in a format, or over a protocol, that is not spoken here.
    MediaType,
    /// The method is not one for this.
    Method,
    /// There is no such thing here, though the protocol has it.
    Unimplemented,
    /// Nobody may do that here.
    Forbidden,
}

/// gRPC's messages are ASCII; the rest, and `%`, is percent-encoded.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

impl Fault {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Cut | Kind::Stalled => StatusCode::REQUEST_TIMEOUT,
            Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Broken => StatusCode::BAD_GATEWAY,
            Kind::Late => StatusCode::GATEWAY_TIMEOUT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// The error body that the REST protocols share.
    pub(super) fn rest(&self) -> Response<Reply> {
        let mut response = json(&serde_json::json!({ "error": self.message }));
        *response.status_mut() = self.status();
        if self.kind == Kind::Unavailable {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(super::RETRY_AFTER.as_secs()));
        }
        if self.kind == Kind::MediaType {
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        }
        response
    }

    /// A response of trailers only: its status is in the head.
    pub(super) fn grpc(&self) -> Response<Reply> {
        let code: u16 = match self.kind {
            Kind::Invalid | Kind::MediaType => 3,
            Kind::NotFound => 5,
            Kind::Unavailable | Kind::Broken => 14,
            Kind::Late | Kind::Stalled => 4,
            Kind::TooLarge => 8,
            Kind::Cut => 1,
            Kind::Forbidden => 7,
            Kind::Method | Kind::Unimplemented => 12,
        };
        let message = percent_encode(self.message.as_bytes(), MESSAGE).to_string();
        let mut response = Response::new(Reply::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(code));
        if let Ok(message) = HeaderValue::try_from(message) {
            headers.insert("grpc-message", message);
        }
        if self.kind == Kind::Unimplemented {
            headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,deflate"));
        }
        response
    }
}

/// A 200 with a JSON body.
pub(super) fn json(value: &serde_json::Value) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(value.to_string().into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error and what caused it, on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
