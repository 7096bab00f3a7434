//! A port of this machine that leads to the ready pods of a ModelDeployment, for as long as a command runs: what
//! `kubectl port-forward` does, but for all pods, in turn, and without another terminal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use modelyard_core::render::{DEPLOYMENT_LABEL, PORT};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::{Access, Cluster, Readiness, parse_name, parse_namespace};

/// The way to a served model through the API server.
#[derive(Clone, Debug, clap::Args)]
pub struct Through {
    /// Reach a ModelDeployment of a cluster, forwarded by its API server, instead of --url [default name: the model's]
    ///
    /// For trying, not for measuring: the API server is on the way, and a connection to a pod that ends breaks.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "NAME", default_missing_value = "", value_parser = name_or_none, help_heading = "Cluster")]
    cluster: Option<String>,

    /// The namespace [default: the context's]
    #[arg(long, value_name = "NAMESPACE", value_parser = parse_namespace, requires = "cluster", help_heading = "Cluster")]
    namespace: Option<String>,

    /// The kubeconfig's context [default: its current one]
    #[arg(long, value_name = "NAME", requires = "cluster", help_heading = "Cluster")]
    context: Option<String>,

    /// The kubeconfig [default: KUBECONFIG, ~/.kube/config, or the pod's own account]
    #[arg(long, value_name = "FILE", requires = "cluster", help_heading = "Cluster")]
    kubeconfig: Option<PathBuf>,
}

fn name_or_none(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { parse_name(text) }
}

impl Through {
    /// Opens the way, where one is asked for; `model` is the ModelDeployment's name unless another was given.
    pub(crate) async fn open(&self, model: &str) -> anyhow::Result<Option<Tunnel>> {
        let Some(name) = &self.cluster else { return Ok(None) };
        let name = if name.is_empty() { parse_name(model).map_err(anyhow::Error::msg)? } else { name.clone() };
        let cluster = Access::new(self.namespace.clone(), self.context.clone(), self.kubeconfig.clone()).open().await?;
        Tunnel::open(cluster, &name).await.map(Some)
    }
}

/// The port, until it is dropped.
pub(crate) struct Tunnel {
    /// Where it listens, on loopback.
    pub(crate) address: SocketAddr,
    accepts: AbortHandle,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

impl Tunnel {
    async fn open(cluster: Cluster, name: &str) -> anyhow::Result<Self> {
        let object = cluster.find(name).await?;
        let way = Arc::new(Way { cluster, name: name.to_owned(), next: AtomicUsize::new(0) });
        if way.ready().await?.is_empty() {
            let state = Readiness::of(&object, "Ready");
            bail!("no pod of {name} is ready: {}: {}\n{}", state.name, state.message, state.advice());
        }
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let accepts = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let way = Arc::clone(&way);
                tokio::spawn(async move {
                    // The command sees a connection that breaks; why is told here.
                    if let Err(error) = way.forward(stream).await {
                        crate::cli::say(format_args!("note: forwarding to {}: {error:#}", way.name));
                    }
                });
            }
        });
        Ok(Self { address, accepts: accepts.abort_handle() })
    }
}

/// Where connections lead.
struct Way {
    cluster: Cluster,
    name: String,
    next: AtomicUsize,
}

impl Way {
    /// The names of the pods that are ready now: which those are changes while a command runs.
    async fn ready(&self) -> anyhow::Result<Vec<String>> {
        let ours = ListParams::default().labels(&format!("{DEPLOYMENT_LABEL}={}", self.name));
        let pods = self.cluster.api::<Pod>().list(&ours).await.map_err(|error| self.cluster.failed("list pods", error))?;
        Ok(pods.items.into_iter().filter(is_ready).filter_map(|pod| pod.metadata.name).collect())
    }

    async fn forward(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        let pods = self.ready().await?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(pod) = pods.get(turn % pods.len().max(1)) else { bail!("no pod is ready") };
        let port = u16::try_from(PORT)?;
        let forwarded = self.cluster.api::<Pod>().portforward(pod, &[port]).await;
        let mut forwarded = forwarded.map_err(|error| self.cluster.failed(&format!("forward a port to pod {pod}"), error))?;
        let Some(mut far) = forwarded.take_stream(port) else { bail!("the API server opened no stream") };
        // Either end may hang up when it has what it wants.
        let _ = copy_bidirectional(&mut stream, &mut far).await;
        drop(far);
        forwarded.abort();
        Ok(())
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none() && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_leaves_is_not_asked() {
        let pod = |ready: &str, leaving: bool| -> Pod {
            let mut pod = json!({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            if leaving {
                pod["metadata"]["deletionTimestamp"] = json!("2026-05-01T12:00:00Z");
            }
            serde_json::from_value(pod).unwrap()
        };
        assert!(is_ready(&pod("True", false)));
        assert!(!is_ready(&pod("True", true)));
        assert!(!is_ready(&pod("False", false)));
    }
}
