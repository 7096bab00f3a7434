//! `grpc.health.v1.Health`: what kubelet's gRPC probes and client-side load balancers ask.
//!
//! A service is as ready as the server; one that the server does not have is not found, rather than served.

use std::collections::BTreeMap;

use http::Response;
use modelyard_wire::proto::health::health_check_response::ServingStatus;
use modelyard_wire::proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use tokio::sync::watch;

use super::super::Reply;
use super::exchange::{Exchange, Replies};
use super::{oip, shown, tfs, unknown_method};
use crate::fault::Fault;

/// The service's name in paths.
pub(super) const SERVICE: &str = "grpc.health.v1.Health";

/// What can be asked for; nothing is the server as a whole.
const WATCHED: [&str; 4] = ["", oip::SERVICE, tfs::PREDICTION_SERVICE, tfs::MODEL_SERVICE];

/// Answers a call of this service.
///
/// # Errors
/// `NOT_FOUND` when Check is asked for an unknown service.
pub(super) async fn answer(mut call: Exchange<'_>, method: &str) -> Result<Response<Reply>, Fault> {
    match method {
        "Check" => {
            let request: HealthCheckRequest = call.only().await?;
            if !WATCHED.contains(&request.service.as_str()) {
                let known = WATCHED[1..].join(", ");
                let message = format!("unknown service '{}'; expected nothing, or one of {known}", shown(&request.service));
                return Err(Fault::not_found(message));
            }
            call.reply(&health(call.service.is_ready()))
        }
        "List" => {
            call.only::<HealthListRequest>().await?;
            let now = health(call.service.is_ready());
            let statuses: BTreeMap<_, _> = WATCHED.iter().map(|&name| (name.to_owned(), now)).collect();
            call.reply(&HealthListResponse { statuses })
        }
        "Watch" => {
            let request: HealthCheckRequest = call.only().await?;
            let readiness = WATCHED.contains(&request.service.as_str()).then(|| call.service.watch_ready());
            let (_, replies, response) = call.stream();
            tokio::spawn(async move {
                let outcome = watch(readiness, &replies).await;
                replies.end(outcome).await;
            });
            Ok(response)
        }
        _ => Err(unknown_method(SERVICE, method)),
    }
}

/// Sends the state now, and again whenever it changes, until the client goes or the server ends.
async fn watch(readiness: Option<watch::Receiver<bool>>, replies: &Replies) -> Result<(), Fault> {
    let Some(mut readiness) = readiness else {
        // The protocol wants the stream left open: the service might come.
        replies.send(&HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() }).await?;
        return Err(replies.over().await);
    };
    loop {
        let ready = *readiness.borrow_and_update();
        replies.send(&health(ready)).await?;
        tokio::select! {
            fault = replies.over() => return Err(fault),
            changed = readiness.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

fn health(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
