//! A server whose models are held to what their revision serves (`--pins-file`) looks whether they are that. Two replicas that start while an
//! object is being replaced may have got one the old bytes and the other the new ones; whose were noted first is right, and the other one loads
//! those beside what it serves, and changes over. If it cannot, it does not serve at all.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::Service;
use crate::registry::{Failure, State};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Looks for as long as the process lives; ends with why, once no model is left that could be served.
pub(super) async fn hold(service: Arc<Service>) -> Failure {
    let mut said = None;
    loop {
        let refused = service.loader.held().look().err();
        if let Some(message) = refused.as_ref().filter(|_| refused != said) {
            tracing::error!(reason = message, "what the models are held to cannot be read; what was said before holds on");
        }
        said = refused;
        for entry in service.registry.entries() {
            if service.loader.has_strayed(&entry)
                && let Err(failure) = service.loader.bring_back(&service, &entry).await
                && service.registry.entries().iter().all(|entry| matches!(*entry.state(), State::Failed(_)))
                && !service.allow_control
            {
                return failure;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
