//! stub

use std::sync::Arc;

use http::{HeaderMap, Request, Response};

use super::{Inbound, Reply, Seen, Service};

/// Whether a request is gRPC's, by its content type.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a gRPC call of any service.
pub async fn handle(service: &Arc<Service>, request: Request<Inbound>, seen: &mut Seen) -> Response<Reply> {
    let _ = (service, request, seen);
    Response::new(Reply::Empty)
}
