//! What the commands that talk to a cluster share: which cluster and namespace, what an API server's refusal means, how one object
//! is followed, and how figures and tables look.

mod access;
mod age;
mod change;
mod failure;
mod follow;
mod kubeconfig;
mod object;
mod output;
mod signals;
mod table;
mod tunnel;

pub use access::Access;
pub(super) use access::Cluster;
pub(super) use age::age;
pub(super) use change::{Change, changes, replacement};
pub(super) use failure::ClusterError;
pub(super) use follow::{Seen, follow};
pub(super) use object::{Readiness, condition, label, resolve_beside, revision_of, workloads_of};
pub(super) use output::{Document, document};
pub(super) use signals::interrupted;
pub(super) use table::Table;
pub use tunnel::Through;
pub(super) use tunnel::Tunnel;

/// Of writes: who made them, in `managedFields`.
pub(super) const FIELD_MANAGER: &str = "modelyard-cli";

/// A duration as Kubernetes writes them, for flags: `5m`, `1m30s`.
pub(super) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    modelyard_core::units::duration(text).map_err(|error| error.to_string())
}

/// A name that an object can have, for arguments: anything else would be another address of the API.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    name_of("ModelDeployment", text)
}

/// A name that a namespace can have, for flags.
pub(super) fn parse_namespace(text: &str) -> Result<String, String> {
    name_of("namespace", text)
}

fn name_of(kind: &str, text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-') {
        Ok(text.to_owned())
    } else {
        Err(format!("expected the name of a {kind}: lower-case letters, digits and hyphens"))
    }
}
