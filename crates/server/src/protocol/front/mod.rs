//! stub

use std::sync::Arc;

use http::{Request, Response};

use super::{Inbound, Reply, Service};
use crate::fault::Fault;

/// Answers `/`, `/openapi.json`, `/docs`, and 404 for what no protocol knows.
///
/// # Errors
/// A fault that the caller turns into the error body.
pub fn handle(service: &Arc<Service>, request: &Request<Inbound>) -> Result<Response<Reply>, Fault> {
    let _ = service;
    Err(Fault::not_found(format!("unknown path '{}'", request.uri().path())))
}
