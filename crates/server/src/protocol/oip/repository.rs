//! The model repository extension: what there is and where each model stands, and, where the server allows it, loading and
//! unloading. The repository is the server's own configuration: a client can neither add a model nor change one.

use http::{HeaderMap, Response};
use modelyard_wire::json::oip::BodyError;
use modelyard_wire::json::{Cursor, JsonError, Kind};
use serde_json::{Value, json};

use super::json;
use crate::fault::{Code, Fault};
use crate::protocol::{Inbound, Reply, Service, encoding};
use crate::registry::{Registry, State};

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
    let states = registry.entries().iter().map(|entry| (&entry.config, entry.state()));
    states
        .filter(|(_, state)| !ready || matches!(**state, State::Ready(_)))
        .map(|(config, state)| IndexEntry {
            name: config.name.clone(),
            version: config.version,
            state: state.index_state(),
            reason: match &*state {
                State::Failed(failure) => format!("{}: {}", failure.reason, failure.message),
                State::Unloaded => "unloaded".to_owned(),
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
        "ready" => Ok(ready = cursor.bool()?),
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

/// Loads a model of the configuration again.
///
/// # Errors
/// `PERMISSION_DENIED` where the server does not allow it, `NOT_FOUND` for an unknown model, and what loading says.
pub(super) async fn load(service: &Service, name: &str, request: (&HeaderMap, Inbound)) -> Result<Response<Reply>, Fault> {
    admit(service, request, &["config", "file:"]).await?;
    service.registry.entry(name)?;
    control(service, name, "load").await
}

/// Unloads a model: requests in flight finish, later ones are answered 404.
///
/// # Errors
/// `PERMISSION_DENIED` where the server does not allow it, `NOT_FOUND` for an unknown model.
pub(super) async fn unload(service: &Service, name: &str, request: (&HeaderMap, Inbound)) -> Result<Response<Reply>, Fault> {
    admit(service, request, &[]).await?;
    service.registry.entry(name)?;
    control(service, name, "unload").await
}

/// Checks that control is allowed and that the body asks for nothing that this server refuses.
async fn admit(service: &Service, (headers, body): (&HeaderMap, Inbound), refused: &[&str]) -> Result<(), Fault> {
    if !service.allow_control {
        return Err(Fault::new(
            Code::PermissionDenied,
            "clients may not load or unload models here; start the server with --allow-control to let them",
        ));
    }
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

/// The one place where loading and unloading meet the registry.
async fn control(service: &Service, name: &str, what: &str) -> Result<Response<Reply>, Fault> {
    let _ = service;
    Err(Fault::new(Code::Unimplemented, format!("cannot {what} '{name}' yet")))
}
