//! The model repository extension: what there is and where each model stands, and, where the server allows it, loading and
//! unloading. The repository is the server's own configuration: a client can neither add a model nor change one.

use std::sync::Arc;

use http::{HeaderMap, Response};
use modelyard_wire::json::oip::BodyError;
use modelyard_wire::json::{Cursor, JsonError, Kind};
use serde_json::{Value, json};

use super::json;
use crate::fault::{Code, Fault};
use crate::protocol::{Inbound, Reply, Service, encoding};
use crate::registry::{Entry, Registry, State};

/// One model of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// `LOADING`, `READY`, `UNLOADING` or `UNAVAILABLE`.
    pub state: &'static str,
    /// Why it is not ready, or nothing.
    pub reason: String,
}

/// Every model in the order of the configuration; with `ready`, those that answer.
pub fn index(registry: &Registry, ready: bool) -> Vec<IndexEntry> {
    let entries = registry.entries();
    let states = entries.iter().map(|entry| (&entry.config, entry.state()));
    states
        .filter(|(_, state)| !ready || state.is_available())
        .map(|(config, state)| IndexEntry {
            name: config.name.clone(),
            version: config.version,
            state: state.index_state(),
            reason: match &*state {
                State::Failed(failure) => format!("{}: {}", failure.reason, failure.message),
                State::Unloaded => "unloaded".to_owned(),
                State::Standby(_) => "on standby: the next request has it loaded".to_owned(),
                _ => String::new(),
            },
        })
        .collect()
}

/// Answers the index; the body, if there is one, may ask for models that are ready alone.
///
/// # Errors
/// `INVALID_ARGUMENT` for a body that is not the extension's.
pub(super) async fn answer_index(service: &Service, headers: &HeaderMap, body: Inbound) -> Result<Response<Reply>, Fault> {
    let body = encoding::read(headers, body, service.max_request_bytes).await?;
    let mut ready = false;
    read_body(&body, |key, cursor| match key {
        "ready" => {
            ready = cursor.bool()?;
            Ok(())
        }
        _ => Ok(cursor.skip_value()?),
    })?;
    let entries: Vec<Value> = index(&service.registry, ready)
        .into_iter()
        .map(|one| {
            let mut entry = json!({ "name": one.name, "version": one.version.to_string(), "state": one.state });
            if !one.reason.is_empty() {
                entry["reason"] = one.reason.into();
            }
            entry
        })
        .collect();
    Ok(json(&Value::Array(entries)))
}

/// Loads a model of the configuration, again if it answers already: it goes on answering until the other is ready. That is what its name leads to
/// now; where somebody notes what its revision serves (`--pins-file`), it is that.
///
/// # Errors
/// `PERMISSION_DENIED` where the server does not allow it, `NOT_FOUND` for an unknown model, `UNAVAILABLE` where it does not load.
pub async fn load(service: &Arc<Service>, name: &str) -> Result<(), Fault> {
    let entry = controlled(service, name)?;
    match &*entry.state() {
        State::Ready(_) | State::Standby(_) | State::Unloaded | State::Failed(_) => {}
        other => {
            return Err(Fault::unavailable(format!("model '{}' is {}; try again later", entry.config.name, other.as_str())));
        }
    }
    // In a task of its own: a client that goes away must not leave the model half-way.
    let service = Arc::clone(service);
    let loading = tokio::spawn(async move { service.loader.load_anew(&service, &entry).await });
    match loading.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => {
            Err(Fault::unavailable(format!("model '{name}' did not load: {}: {}", failure.reason, failure.message)))
        }
        Err(error) => Err(Fault::internal(error.to_string())),
    }
}

/// Unloads a model: requests in flight finish, later ones are answered 404.
///
/// # Errors
/// `PERMISSION_DENIED` where the server does not allow it, `NOT_FOUND` for an unknown model, `FAILED_PRECONDITION` while it loads.
pub async fn unload(service: &Arc<Service>, name: &str) -> Result<(), Fault> {
    let entry = controlled(service, name)?;
    let service = Arc::clone(service);
    let unloading = tokio::spawn(async move { service.loader.unload(&service, &entry).await });
    unloading.await.map_err(|error| Fault::internal(error.to_string()))?
}

/// The model, if clients may load and unload it.
fn controlled(service: &Service, name: &str) -> Result<Arc<Entry>, Fault> {
    if service.allow_control {
        return service.registry.entry(name);
    }
    Err(Fault::new(
        Code::PermissionDenied,
        "clients may not load or unload models here; start the server with --allow-control to let them",
    ))
}

/// Answers a call to load: 200 without a body, as the extension says.
pub(super) async fn answer_load(service: &Arc<Service>, name: &str, request: Sent<'_>) -> Result<Response<Reply>, Fault> {
    controlled(service, name)?;
    check_body(service, request, &["config", "file:"]).await?;
    load(service, name).await?;
    Ok(Response::new(Reply::Empty))
}

/// Answers a call to unload: 200 without a body, as the extension says.
pub(super) async fn answer_unload(service: &Arc<Service>, name: &str, request: Sent<'_>) -> Result<Response<Reply>, Fault> {
    controlled(service, name)?;
    check_body(service, request, &[]).await?;
    unload(service, name).await?;
    Ok(Response::new(Reply::Empty))
}

/// A request's head and body.
pub(super) type Sent<'a> = (&'a HeaderMap, Inbound);

/// Checks that a body, if there is one, asks for nothing that this server refuses.
async fn check_body(service: &Service, (headers, body): Sent<'_>, refused: &[&str]) -> Result<(), Fault> {
    let body = encoding::read(headers, body, service.max_request_bytes).await?;
    read_body(&body, |key, cursor| {
        if key != "parameters" {
            return Ok(cursor.skip_value()?);
        }
        cursor.object(|name, cursor| match refused.iter().find(|prefix| name.starts_with(**prefix)) {
            Some(_) => Err(BodyError::Invalid(format!(
                "parameter '{}': a model's files and configuration are the server's own and cannot be sent with the request",
                super::shown(&name)
            ))),
            None => Ok(cursor.skip_value()?),
        })
    })
}

/// Reads an object of a body that may be empty.
fn read_body(body: &[u8], mut member: impl FnMut(&str, &mut Cursor<'_>) -> Result<(), BodyError>) -> Result<(), Fault> {
    let mut cursor = Cursor::new(body);
    if cursor.peek().is_none() {
        return Ok(());
    }
    if cursor.kind().map_err(BodyError::from)? != Kind::Object {
        return Err(BodyError::from(cursor.unexpected("an object, or no body")).into());
    }
    cursor.object(|key, cursor| member(&key, cursor))?;
    cursor.end().map_err(|error: JsonError| BodyError::from(error).into())
}
