//! stub

use std::sync::Arc;

use http::{Request, Response};

use super::{Inbound, Reply, Seen, Service};
use crate::fault::Fault;

/// Answers a request of this protocol.
///
/// # Errors
/// A fault that the caller turns into the protocol's error body.
pub async fn handle(service: &Arc<Service>, request: Request<Inbound>, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let _ = (service, request, seen);
    Err(Fault::not_found("not built yet"))
}
