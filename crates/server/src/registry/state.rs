//! Where a model stands, and the name of that in each vocabulary.

use std::sync::Arc;

use crate::infer::Model;
use crate::metrics::ModelMetrics;
use modelyard_store::Progress;

/// Where a model stands.
#[derive(Clone)]
pub enum State {
    /// Its bytes are coming.
    Downloading(Arc<Progress>),
    /// Its bytes are here; the engine reads them.
    Loading,
    /// Loaded; it proves itself on its sample.
    Warming,
    /// It answers.
    Ready(Arc<Model>),
    /// It has left memory to others, or never came into it, and is loaded when somebody asks for it.
    Standby(Arc<Rest>),
    /// It was asked to leave; requests in flight finish.
    Unloading,
    /// It was asked to leave, and left.
    Unloaded,
    /// It did not become ready.
    Failed(Failure),
}

/// What stays of a model on standby.
#[derive(Debug, Default)]
pub struct Rest {
    /// What it did while it was loaded.
    pub metrics: Arc<ModelMetrics>,
}

/// Why a model did not become ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The public name of the class, such as `ChecksumMismatch`.
    pub reason: &'static str,
    /// What happened, and what to do.
    pub message: String,
}

impl State {
    /// The state's name in readiness, logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Downloading(_) => "Downloading",
            Self::Loading => "Loading",
            Self::Warming => "Warming",
            Self::Ready(_) => "Ready",
            Self::Standby(_) => "Standby",
            Self::Unloading => "Unloading",
            Self::Unloaded => "Unloaded",
            Self::Failed(_) => "Failed",
        }
    }

    /// The state's name in the Open Inference Protocol's repository index.
    pub const fn index_state(&self) -> &'static str {
        match self {
            Self::Downloading(_) | Self::Loading | Self::Warming => "LOADING",
            Self::Ready(_) | Self::Standby(_) => "READY",
            Self::Unloading => "UNLOADING",
            Self::Unloaded | Self::Failed(_) => "UNAVAILABLE",
        }
    }

    /// Whether a request for the model is answered: at once, or once it is loaded.
    pub const fn is_available(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Standby(_))
    }

    /// Whether it is on its way, and not there before it has come.
    pub const fn is_coming(&self) -> bool {
        matches!(self, Self::Downloading(_) | Self::Loading | Self::Warming)
    }
}
