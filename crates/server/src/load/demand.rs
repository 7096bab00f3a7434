//! The way of a request to its model: at once where that is loaded, after a wait where it is on standby.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::{Code, Fault};
use crate::infer::Model;
use crate::protocol::Service;
use crate::registry::Entry;

impl Service {
    /// The model that answers for `name`, and for `version` if one is asked for. One on standby is loaded first.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown name or version, `UNAVAILABLE` while the model loads for the first time, after it failed, and where
    /// too many wait for it; `DEADLINE_EXCEEDED` where the load takes longer than the request may (`timeout`, or the server's own).
    pub async fn model(
        &self,
        name: &str,
        version: Option<&str>,
        (received, timeout): (Instant, Option<Duration>),
    ) -> Result<Arc<Model>, Fault> {
        self.awake(&self.registry.versioned(name, version)?, (received, timeout)).await
    }

    /// The model of an entry, likewise.
    ///
    /// # Errors
    /// Those of [`Service::model`].
    pub async fn awake(&self, entry: &Arc<Entry>, (received, timeout): (Instant, Option<Duration>)) -> Result<Arc<Model>, Fault> {
        match entry.ready() {
            Err(_) if entry.is_on_standby() => {
                let limit = timeout.map_or(self.request_timeout, |own| own.min(self.request_timeout));
                // Boxed, so that requests that need not wait are not larger by what waiting takes.
                Box::pin(self.wait_for(entry, received, limit)).await
            }
            outcome => outcome,
        }
    }

    async fn wait_for(&self, entry: &Arc<Entry>, received: Instant, limit: Duration) -> Result<Arc<Model>, Fault> {
        let name = &entry.config.name;
        let most = self.loader.queue_length();
        let Some(_waiting) = entry.demand.wait(most) else {
            let words = format!("model '{name}' is being loaded, and {most} requests wait for it already; try again later");
            return Err(Fault::unavailable(words));
        };
        let late =
            || Fault::new(Code::DeadlineExceeded, format!("model '{name}' was not loaded within the deadline of {limit:?}"));
        loop {
            let Some(service) = self.this() else { return Err(Fault::unavailable("the server is on its way out")) };
            let mut attempt = entry.demand.attempt(|report| {
                let entry = Arc::clone(entry);
                tokio::spawn(async move {
                    let outcome = service.loader.load_on_demand(&service, &entry).await;
                    report.send_replace(Some((Instant::now(), outcome)));
                });
            });
            let ended = async { attempt.wait_for(Option::is_some).await.map(|outcome| outcome.clone()).ok().flatten() };
            match tokio::time::timeout_at((received + limit).into(), ended).await {
                Err(_) => return Err(late()),
                Ok(None) => return Err(Fault::unavailable(format!("model '{name}': its load was broken off"))),
                Ok(Some((_, Err(failure)))) => {
                    let message = format!("model '{name}' could not be loaded again: {}: {}", failure.reason, failure.message);
                    return Err(Fault::unavailable(message));
                }
                Ok(Some((_, Ok(())))) => {}
            }
            match entry.ready() {
                // Somebody else needed the memory before this request got to use it.
                Err(_) if entry.is_on_standby() => {}
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use modelyard_core::server_config::{ModelConfig, ServerConfig, ServingConfig};

    use super::*;
    use crate::infer::Scheduling;
    use crate::load::Loader;
    use crate::registry::State;
    use modelyard_store::{Limits, Store};

    fn service(queue_length: usize) -> Arc<Service> {
        let scheduling = Scheduling { threads: 1, queue_length, batching: None, request_timeout: Duration::from_secs(600) };
        let models = vec![ModelConfig::of("m".to_owned(), "file:/nowhere/m.onnx".to_owned())];
        let config = ServerConfig { models, serving: ServingConfig::default() };
        let service = Service::new(&config, Loader::new(Store::new("none", Limits::default()), scheduling), false);
        service.registry.entry("m").unwrap().enter(State::Standby(Arc::default()));
        service
    }

    async fn refusal(service: &Service, timeout: Option<Duration>) -> Fault {
        service.model("m", None, (Instant::now(), timeout)).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_requests_deadline_and_only_so_many_wait() {
        let service = service(1);
        let entry = service.registry.entry("m").unwrap();
        let held = entry.control.lock().await;
        assert_eq!(refusal(&service, Some(Duration::from_millis(5))).await.code, Code::DeadlineExceeded);
        let waiting = entry.demand.wait(1).unwrap();
        let refused = refusal(&service, None).await;
        assert_eq!((refused.code, refused.retry_after().is_some()), (Code::Unavailable, true));
        drop((waiting, held));
        assert_eq!(entry.demand.waiting(), 0);
    }

    #[tokio::test]
    async fn one_that_cannot_come_back_stays_on_standby_and_says_why() {
        let service = service(9);
        let refused = refusal(&service, None).await;
        assert_eq!(refused.code, Code::Unavailable);
        assert!(refused.message.contains("ModelNotFound") && refused.message.contains("/nowhere/m.onnx"), "{refused:?}");
        assert!(service.registry.entry("m").unwrap().is_on_standby() && service.registry.is_ready());
        assert_eq!(service.model("n", None, (Instant::now(), None)).await.err().unwrap().code, Code::NotFound);
    }
}
