//! The models of this server as a repository: what there is, and, where it is allowed, loading and unloading.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelyard_wire::proto::inference as pb;
use modelyard_wire::proto::inference::repository_index_response::ModelIndex;

use super::super::super::Service;
use super::super::shown;
use crate::fault::{Code, Fault};
use crate::registry::{Entry, Failure, State};

/// Every configured model and its state.
///
/// # Errors
/// `NOT_FOUND` for a repository by name: there is one, without.
pub(super) fn index(service: &Service, request: &pb::RepositoryIndexRequest) -> Result<pb::RepositoryIndexResponse, Fault> {
    check_repository(&request.repository_name)?;
    let mut response = pb::RepositoryIndexResponse::default();
    for entry in service.registry.entries() {
        let state = entry.state();
        if request.ready && !matches!(*state, State::Ready(_)) {
            continue;
        }
        let reason = match &*state {
            State::Failed(failure) => format!("{}: {}", failure.reason, failure.message),
            State::Unloaded => "unloaded".to_owned(),
            _ => String::new(),
        };
        response.models.push(ModelIndex {
            name: entry.config.name.clone(),
            version: entry.config.version.to_string(),
            state: state.index_state().to_owned(),
            reason,
        });
    }
    Ok(response)
}

/// Loads a model, and waits until it is ready. It goes on when the client has gone.
///
/// # Errors
/// `PERMISSION_DENIED` where clients may not; `UNAVAILABLE` or `FAILED_PRECONDITION` when the model does not become ready.
pub(super) async fn load(service: &Arc<Service>, request: pb::RepositoryModelLoadRequest) -> Result<(), Fault> {
    let entry = controlled(service, &request.repository_name, &request.model_name)?;
    check_parameters(&request.parameters, &[])?;
    if matches!(*entry.state(), State::Downloading(_) | State::Loading | State::Warming | State::Unloading) {
        let message = format!("model '{}' is {}; try again when it is done", request.model_name, entry.state().as_str());
        return Err(Fault::new(Code::FailedPrecondition, message));
    }
    let service = Arc::clone(service);
    let loaded = tokio::spawn(async move { service.loader.load(&service, &entry).await }).await;
    loaded.map_err(|error| Fault::internal(error.to_string()))?.map_err(|Failure { reason, message }| {
        let code = if reason == "StoreUnavailable" { Code::Unavailable } else { Code::FailedPrecondition };
        Fault::new(code, format!("model '{}' did not load: {reason}: {message}", request.model_name))
    })
}

/// Unloads a model, and waits until its requests are done.
///
/// # Errors
/// `PERMISSION_DENIED` where clients may not; `FAILED_PRECONDITION` for a model that is neither ready nor unloaded.
pub(super) async fn unload(service: &Arc<Service>, request: pb::RepositoryModelUnloadRequest) -> Result<(), Fault> {
    let entry = controlled(service, &request.repository_name, &request.model_name)?;
    // No model depends on another here, so there is nothing that this could leave loaded.
    check_parameters(&request.parameters, &["unload_dependents"])?;
    let service = Arc::clone(service);
    let unloaded = tokio::spawn(async move { service.loader.unload(&service, &entry).await }).await;
    unloaded.map_err(|error| Fault::internal(error.to_string()))?
}

fn controlled(service: &Service, repository: &str, model: &str) -> Result<Arc<Entry>, Fault> {
    if !service.allow_control {
        let message = "clients may not load or unload models here (the server was started without --allow-control)";
        return Err(Fault::new(Code::PermissionDenied, message));
    }
    check_repository(repository)?;
    service.registry.entry(model).cloned()
}

fn check_repository(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Ok(());
    }
    Err(Fault::not_found(format!("unknown repository '{}'; this server has one, without a name", shown(name))))
}

fn check_parameters(parameters: &BTreeMap<String, pb::ModelRepositoryParameter>, known: &[&str]) -> Result<(), Fault> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(other) => {
            let message = format!("parameter '{}' is not served: a model is what the deployment says", shown(other));
            Err(Fault::new(Code::Unimplemented, message))
        }
    }
}
