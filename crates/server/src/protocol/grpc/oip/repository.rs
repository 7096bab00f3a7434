//! The models of this server as a repository: what REST says of it, in gRPC's messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelyard_wire::proto::inference as pb;
use modelyard_wire::proto::inference::repository_index_response::ModelIndex;

use super::super::super::{Service, oip::repository};
use super::super::shown;
use crate::fault::Fault;

/// Every configured model and its state.
///
/// # Errors
/// `NOT_FOUND` for a repository by name: there is one, without.
pub(super) fn index(service: &Service, request: &pb::RepositoryIndexRequest) -> Result<pb::RepositoryIndexResponse, Fault> {
    check_repository(&request.repository_name)?;
    let entries = repository::index(&service.registry, request.ready).into_iter();
    let models = entries.map(|entry| ModelIndex {
        name: entry.name,
        version: entry.version.to_string(),
        state: entry.state.to_owned(),
        reason: entry.reason,
    });
    Ok(pb::RepositoryIndexResponse { models: models.collect() })
}

/// Loads a model, and waits until it is ready.
///
/// # Errors
/// Those of [`repository::load`]; `INVALID_ARGUMENT` for parameters that would change the model.
pub(super) async fn load(service: &Arc<Service>, request: pb::RepositoryModelLoadRequest) -> Result<(), Fault> {
    check_repository(&request.repository_name)?;
    check_parameters(service, &request.parameters, &[])?;
    repository::load(service, &request.model_name).await
}

/// Unloads a model, and waits until its requests are done. No model depends on another here, so `unload_dependents` changes
/// nothing.
///
/// # Errors
/// Those of [`repository::unload`]; `INVALID_ARGUMENT` for parameters that there are not.
pub(super) async fn unload(service: &Arc<Service>, request: pb::RepositoryModelUnloadRequest) -> Result<(), Fault> {
    check_repository(&request.repository_name)?;
    check_parameters(service, &request.parameters, &["unload_dependents"])?;
    repository::unload(service, &request.model_name).await
}

fn check_repository(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Ok(());
    }
    Err(Fault::not_found(format!("unknown repository '{}'; this server has one, without a name", shown(name))))
}

/// Where control is refused altogether, that is what the client is to read.
fn check_parameters(
    service: &Service,
    parameters: &BTreeMap<String, pb::ModelRepositoryParameter>,
    known: &[&str],
) -> Result<(), Fault> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) if service.allow_control => Err(Fault::invalid(format!(
            "parameter '{}': a model's files and configuration are the server's own and cannot be sent with the request",
            shown(other)
        ))),
        _ => Ok(()),
    }
}
