//! Logs side by side: a task for each container that runs, started when a watch of the pods sees it.

use std::collections::HashSet;
use std::pin::pin;
use std::process::ExitCode;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use modelyard_core::render::CONTAINER;
use tokio::sync::mpsc::{Sender, channel};

use super::{Arguments, next_line, print};
use crate::cli::cluster::{Cluster, ClusterError, interrupted};

/// Lines that wait for the terminal: a pod that writes faster than that is read more slowly.
const WAITING: usize = 256;

/// What a pod said, or what became of its log.
enum Said {
    Line(String, Vec<u8>),
    Note(String),
}

/// Prints until Ctrl-C, or until the reader goes away.
pub(super) async fn follow(arguments: &Arguments, cluster: &Cluster) -> anyhow::Result<ExitCode> {
    let pods = cluster.api::<Pod>();
    let config = watcher::Config::default().labels(&arguments.selector());
    let mut changes = pin!(watcher(pods.clone(), config).default_backoff());
    let (sender, mut said) = channel(WAITING);
    let mut known = HashSet::new();
    let mut parameters = arguments.parameters();
    let mut ended = pin!(interrupted());
    loop {
        tokio::select! {
            () = &mut ended => return Ok(ExitCode::SUCCESS),
            change = changes.next() => match change {
                Some(Ok(watcher::Event::InitApply(pod) | watcher::Event::Apply(pod))) => {
                    if started(&pod).is_some_and(|container| known.insert(container)) {
                        let reader = Reader { pods: pods.clone(), pod: pod.name_any(), parameters: parameters.clone() };
                        tokio::spawn(reader.read(sender.clone()));
                    }
                }
                // --tail is about what was there before; of who comes later every line is new.
                Some(Ok(watcher::Event::InitDone)) => {
                    parameters.tail_lines = None;
                    if known.is_empty() {
                        crate::cli::say(format_args!("{} has no pods that run; waiting for some", arguments.name));
                    }
                }
                Some(Ok(watcher::Event::Init | watcher::Event::Delete(_))) => {}
                Some(Err(error)) => {
                    if let Some(error) = ClusterError::of_watch("watch pods", &cluster.address, error) {
                        return Err(error.into());
                    }
                }
                None => return Ok(ExitCode::SUCCESS),
            },
            Some(said) = said.recv() => match said {
                Said::Line(pod, line) => {
                    if !print(&pod, &line)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Said::Note(words) => crate::cli::say(format_args!("note: {words}")),
            },
        }
    }
}

/// The identity of the server's container, once it has been started: a restarted one has another.
fn started(pod: &Pod) -> Option<String> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let container = containers.iter().find(|container| container.name == CONTAINER)?;
    let state = container.state.as_ref()?;
    (state.running.is_some() || state.terminated.is_some()).then(|| container.container_id.clone())?
}

/// Reads the log of one container to its end.
struct Reader {
    pods: Api<Pod>,
    pod: String,
    parameters: LogParams,
}

impl Reader {
    async fn read(self, to: Sender<Said>) {
        let outcome = match self.pods.log_stream(&self.pod, &self.parameters).await {
            Ok(mut log) => loop {
                match next_line(&mut log).await {
                    Ok(Some(line)) => {
                        if to.send(Said::Line(self.pod.clone(), line)).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error.to_string()),
                }
            },
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => Err(error.to_string()),
        };
        let words = match outcome {
            Ok(()) => format!("{} has ended", self.pod),
            Err(error) => format!("the log of {} cannot be read on: {error}", self.pod),
        };
        // Nobody is left to tell when this fails.
        let _ = to.send(Said::Note(words)).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_container_has_a_log_once_it_was_started() {
        let pod = |state: Value| -> Pod {
            let statuses = json!([{"name": "proxy"}, {"name": "server", "containerID": "containerd://1", "state": state}]);
            let mut pod = json!({"status": {"containerStatuses": statuses}});
            for status in pod["status"]["containerStatuses"].as_array_mut().unwrap() {
                status
                    .as_object_mut()
                    .unwrap()
                    .extend([("image", ""), ("imageID", "")].map(|(key, value)| (key.to_owned(), json!(value))));
                status["ready"] = json!(false);
                status["restartCount"] = json!(0);
            }
            serde_json::from_value(pod).unwrap()
        };
        assert_eq!(started(&pod(json!({"waiting": {"reason": "ContainerCreating"}}))), None);
        assert_eq!(started(&pod(json!({"running": {}}))).as_deref(), Some("containerd://1"));
        assert_eq!(started(&pod(json!({"terminated": {"exitCode": 66}}))).as_deref(), Some("containerd://1"));
    }
}
