//! What the operator is told at its start, and the cluster that it talks to.

use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::client::ClientBuilder;
use kube::{Api, Client, Config, CustomResourceExt};
use modelyard_core::api::ModelDeployment;
use modelyard_core::release::ServerUpgrade;

use super::backoff::{Reconnect, may_pass};
use super::fence::Fence;
use super::metrics::Metrics;

/// How long the API server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may bring nothing. A watch has nothing to say while nothing changes, and ends by itself after 290 s: less than
/// that would break every watch of a quiet cluster again and again.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// What the operator is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The image of new replicas.
    pub server_image: String,
    /// The image of new replicas that ONNX Runtime computes.
    pub server_image_ort: String,
    /// When servers that run get that image, and what else this release makes otherwise.
    pub server_upgrade: ServerUpgrade,
    /// The only namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// The namespace of the Lease by which one of several operators leads; none: this one leads.
    pub lease_namespace: Option<String>,
    /// What this operator is called in the Lease.
    pub identity: String,
    /// Where `/healthz` and `/readyz` answer.
    pub health_address: SocketAddr,
}

/// Why the operator cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// No kubeconfig, and not in a pod.
    #[error("no cluster: {0}; run it in a pod, or set KUBECONFIG")]
    NoCluster(String),
    /// The API server does not answer, or refuses.
    #[error("the API server does not answer: {0}")]
    Api(#[from] kube::Error),
    /// The kind is not installed.
    #[error("the cluster has no {0}: install it with `modelyard crds | kubectl apply --server-side -f -`, or the Helm chart")]
    NoKind(String),
    /// A part of the operator ended that never should.
    #[error("{0} broke off; ending, to be started again. Please report it with the log")]
    Broken(&'static str),
    /// The settings of tracing are wrong.
    #[error("cannot send traces: {0}")]
    Traces(String),
    /// The address is taken.
    #[error("--health-address: cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Settings {
    /// A client of the cluster that the environment names, whose writes pass the fence.
    pub(super) async fn client(&self, metrics: &Metrics, fence: &Fence) -> Result<Client, ControllerError> {
        let mut config = Config::infer().await.map_err(|error| ControllerError::NoCluster(error.to_string()))?;
        config.read_timeout = Some(READ_TIMEOUT);
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Its delays double up to minutes, unseen, while the API server may be back; and what it sends again nobody has asked the fence for.
        config.default_retry = false;
        Ok(ClientBuilder::try_from(config)?.with_layer(&metrics.counting()).with_layer(fence).build())
    }

    /// [`Self::check_kind`]; in a cluster it waits for an API server that is away. Ending would only add the kubelet's back-off, which
    /// grows to minutes, to what the API server takes to come back. By hand the error is told.
    pub(super) async fn until_kind(&self, client: &Client) -> Result<(), ControllerError> {
        let mut reconnect = Reconnect::default();
        loop {
            match self.check_kind(client).await {
                Err(ControllerError::Api(error)) if self.lease_namespace.is_some() && may_pass(&error) => {
                    let delay = reconnect.failed();
                    tracing::warn!(%error, ?delay, "the API server does not answer; asking again");
                    tokio::time::sleep(delay).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Refuses to begin where the kind is missing: watching it would fail for ever, and say so in the log alone.
    async fn check_kind(&self, client: &Client) -> Result<(), ControllerError> {
        let kind = Api::<CustomResourceDefinition>::all(client.clone());
        match kind.get_opt(ModelDeployment::crd_name()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(ControllerError::NoKind(ModelDeployment::crd_name().to_owned())),
            // Without the right to read definitions the watch itself tells.
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
