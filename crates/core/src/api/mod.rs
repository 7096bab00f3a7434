//! The API as the cluster stores it: one file per part of the object. Doc comments are what `kubectl explain` and
//! `modelyard explain` print, every default is in the schema, and what one field cannot say alone is a CEL rule whose
//! message says what to write instead.

#![allow(unreachable_pub, reason = "kube's derive repeats each public type inside a function")]

mod advice;
mod crd;
mod deployment;
mod engine;
mod format;
mod labels;
mod model;
mod network;
mod page;
mod pod;
mod reason;
mod resources;
mod rollout;
mod serving;
mod status;
mod units;

pub use crd::crds;
pub use deployment::{ModelDeployment, ModelDeploymentSpec};
pub(crate) use engine::is_default;
pub use engine::{Engine, EngineName, Isolation, SelfCheck};
pub use format::Format;
pub use model::{Artefact, Model, NamedModel, SecretReference};
pub use network::{
    Availability, Cache, CacheClaim, CacheEmptyDir, NetworkPolicyOptions, ServiceOptions, ServiceType, TrafficDistribution,
};
pub use page::Page;
pub use pod::PodOptions;
pub use reason::{Class, Reason};
pub use resources::{Compute, Resources};
pub use rollout::{Rollout, Strategy};
pub use serving::{Batching, Queue, Serving};
pub use status::{ColdStart, Failure, ModelDeploymentStatus, ModelState, ModelStatus, RevisionStatus, Role};

/// The API group.
pub const GROUP: &str = "modelyard.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every object of ours.
pub const API_VERSION: &str = "modelyard.dev/v1alpha1";
