//! Why a request was not answered, in the words of gRPC's codes, with what HTTP says for each.

use std::fmt;

use http::StatusCode;

/// Why a request failed. The message is for the client: it names what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The class of the failure.
    pub code: Code,
    /// What was found, and what was expected.
    pub message: String,
}

/// gRPC's canonical codes, and the few that only HTTP tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No failure.
    Ok,
    /// The client went away.
    Cancelled,
    /// The request is wrong.
    InvalidArgument,
    /// The deadline passed.
    DeadlineExceeded,
    /// No such model, version or path.
    NotFound,
    /// Not allowed here.
    PermissionDenied,
    /// Larger than the limit.
    PayloadTooLarge,
    /// Not in the state that this needs.
    FailedPrecondition,
    /// This server does not do that.
    Unimplemented,
    /// Our fault.
    Internal,
    /// Not now: full, loading, or draining. HTTP adds `Retry-After`.
    Unavailable,
    /// HTTP: the path exists, the method does not.
    MethodNotAllowed,
    /// HTTP: an encoding or media type that is not understood.
    UnsupportedMediaType,
}

impl Code {
    /// Every code, by its index as a metric's shard.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Cancelled,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::PermissionDenied,
        Self::PayloadTooLarge,
        Self::FailedPrecondition,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
    ];

    /// The HTTP status of this code.
    pub const fn http(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::Cancelled => StatusCode::REQUEST_TIMEOUT,
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The number of gRPC's status code.
    pub const fn grpc(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::Cancelled => 1,
            Self::InvalidArgument | Self::UnsupportedMediaType => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::PermissionDenied => 7,
            Self::PayloadTooLarge => 8,
            Self::FailedPrecondition => 9,
            Self::Unimplemented | Self::MethodNotAllowed => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
        }
    }

    /// The name of gRPC's status code, as metrics and logs carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::PayloadTooLarge => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
        }
    }
}

impl Fault {
    /// A fault of any code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The request is wrong: 400 / INVALID_ARGUMENT.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// No such thing: 404 / NOT_FOUND.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Not now: 503 with `Retry-After` / UNAVAILABLE.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// Our fault: 500 / INTERNAL.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Fault {}

impl From<modelyard_wire::TensorError> for Fault {
    fn from(error: modelyard_wire::TensorError) -> Self {
        Self::invalid(error.to_string())
    }
}
