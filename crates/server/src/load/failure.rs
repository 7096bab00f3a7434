//! Why a model did not become ready, and the public name of that.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::LoadError;
use crate::engine::sample::SampleError;
use crate::steps::StepError;
use crate::trial::TrialError;
use modelyard_store::{self as store, StoreError};

/// Why a model did not become ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLoaded {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] LoadError),
    #[error(transparent)]
    Trial(TrialError),
    #[error(transparent)]
    Sample(#[from] SampleError),
    #[error(transparent)]
    Steps(#[from] StepError),
    #[error("what the model is held to is not known: {0}")]
    Pins(String),
    #[error("classes: {0}")]
    Classes(String),
    #[error("{0}")]
    Scheduling(String),
    #[error(
        "the engine was not done with the model within {0:?}: expected one that it can prepare in less; try a simpler export, or \
         give it longer with --load-timeout"
    )]
    Slow(Duration),
    #[error(
        "the model takes {bytes} bytes of memory, more than the {budget} of serving.memoryBudget: raise it, or serve a smaller model"
    )]
    Large { bytes: u64, budget: u64 },
    #[error(
        "the model takes {bytes} bytes of memory, and of the {budget} of serving.memoryBudget not so many came free within \
         {patience:?}, since the models that have them are in use: try again later, or raise it"
    )]
    Crowded { bytes: u64, budget: u64, patience: Duration },
    #[error("no thread to load on: {0}")]
    Thread(std::io::Error),
    #[error("the loader stopped before it was done")]
    Stopped(#[from] oneshot::error::RecvError),
}

impl NotLoaded {
    /// The public name of the class (api.md's reasons).
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Engine(LoadError::Unsupported(_)) | Self::Scheduling(_) | Self::Slow(_) => "ModelUnsupported",
            Self::Trial(TrialError::Memory { .. }) | Self::Large { .. } | Self::Crowded { .. } => "OutOfMemory",
            Self::Engine(LoadError::Invalid(_)) | Self::Trial(_) | Self::Sample(_) => "ModelInvalid",
            Self::Engine(LoadError::Read { .. }) => "ModelNotFound",
            Self::Steps(StepError::NoRows) => "ModelUnsupported",
            Self::Steps(_) | Self::Classes(_) | Self::Pins(_) => "InvalidSpec",
            Self::Thread(_) | Self::Stopped(_) => "NotResponding",
        }
    }

    /// The error with its causes. The store names the uri itself; the engine knows only the file that it was kept in.
    pub(crate) fn message(&self, uri: &str) -> String {
        match self {
            Self::Store(_) => with_sources(self),
            _ => format!("{}: {}", store::shown(uri), with_sources(self)),
        }
    }
}

/// An error and its causes on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}
