//! A model's state in TensorFlow Serving's words.

use modelyard_wire::proto::tensorflow::error::Code;
use modelyard_wire::proto::tensorflow_serving::model_version_status::State as VersionState;
use modelyard_wire::proto::tensorflow_serving::{ModelVersionStatus, StatusProto};

use crate::registry::{Entry, State};

/// The state of a model's one version.
pub(super) fn version_status(entry: &Entry) -> ModelVersionStatus {
    let mut status = StatusProto::default();
    let state = match &*entry.state() {
        State::Downloading(_) => VersionState::Start,
        State::Loading | State::Warming => VersionState::Loading,
        State::Ready(_) | State::Standby(_) => VersionState::Available,
        State::Unloading => VersionState::Unloading,
        State::Unloaded => VersionState::End,
        State::Failed(failure) => {
            status.set_error_code(error_code(failure.reason));
            status.error_message = format!("{}: {}", failure.reason, failure.message);
            VersionState::End
        }
    };
    ModelVersionStatus { version: entry.config.version, state: state.into(), status: Some(status) }
}

/// TensorFlow's code for one of our reasons.
pub(crate) fn error_code(reason: &str) -> Code {
    match reason {
        "ModelNotFound" => Code::NotFound,
        "ModelUnauthorized" => Code::PermissionDenied,
        "ChecksumMismatch" | "ModelChanged" => Code::DataLoss,
        "ModelUnsupported" => Code::Unimplemented,
        "ModelInvalid" => Code::InvalidArgument,
        "StoreUnavailable" => Code::Unavailable,
        "OutOfMemory" => Code::ResourceExhausted,
        _ => Code::Unknown,
    }
}
