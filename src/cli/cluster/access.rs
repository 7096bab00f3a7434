//! The one file that holds a client of the cluster: the flags that say which, and the calls that find things there.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::ListParams;
use kube::core::{ApiResource, ClusterResourceScope, DynamicObject, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use modelyard_core::api::ModelDeployment;
use modelyard_core::schema::nearest;
use serde::de::DeserializeOwned;

use super::{ClusterError, kubeconfig, parse_namespace};

/// An API server that cannot be connected to within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, and where in it.
#[derive(Clone, Debug, clap::Args)]
pub struct Access {
    /// The namespace [default: the context's]
    #[arg(long, short, value_name = "NAMESPACE", value_parser = parse_namespace, help_heading = "Cluster")]
    namespace: Option<String>,

    /// The kubeconfig's context [default: its current one]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    context: Option<String>,

    /// The kubeconfig [default: KUBECONFIG, ~/.kube/config, or the pod's own account]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    kubeconfig: Option<PathBuf>,
}

/// A cluster, and a namespace of it.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    /// The namespace that the flags or the context name.
    pub(crate) namespace: String,
    /// The API server's address, for messages.
    pub(crate) address: String,
}

impl Access {
    /// The same from flags of other names.
    pub(crate) const fn new(namespace: Option<String>, context: Option<String>, kubeconfig: Option<PathBuf>) -> Self {
        Self { namespace, context, kubeconfig }
    }

    /// Reads the configuration; nothing is sent yet.
    pub(crate) async fn open(&self) -> Result<Cluster, ClusterError> {
        let mut config = kubeconfig::read(self.context.as_deref(), self.kubeconfig.as_deref()).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| ClusterError::NoConfig(error.to_string()))?;
        Ok(Cluster { client, namespace, address })
    }
}

impl Cluster {
    /// Objects of one kind in the namespace.
    pub(crate) fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// ModelDeployments as they are, with what this program does not know; in all namespaces, or in this one.
    pub(crate) fn untyped(&self, everywhere: bool) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<ModelDeployment>(&());
        if everywhere {
            Api::all_with(self.client.clone(), &kind)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind)
        }
    }

    /// Objects of one kind in all namespaces.
    pub(crate) fn everywhere<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    /// Objects of one kind that are in no namespace.
    pub(crate) fn global<K: Resource<Scope = ClusterResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    /// The same cluster, another namespace.
    pub(crate) fn within(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// The ModelDeployment of this name.
    pub(crate) async fn find(&self, name: &str) -> Result<ModelDeployment, ClusterError> {
        self.find_as(&self.api(), name).await
    }

    /// The same, read as another type, such as one that keeps what this program does not know.
    pub(crate) async fn find_as<K: Clone + Debug + DeserializeOwned>(&self, api: &Api<K>, name: &str) -> Result<K, ClusterError> {
        match api.get(name).await {
            Ok(found) => Ok(found),
            Err(kube::Error::Api(status)) if ClusterError::is_missing_object(&status) => Err(self.absent(name).await),
            Err(error) => Err(self.failed(&format!("read ModelDeployment {name}"), error)),
        }
    }

    /// Nothing is called so; names what is nearly called so.
    pub(crate) async fn absent(&self, name: &str) -> ClusterError {
        let listed = self.api::<ModelDeployment>().list_metadata(&ListParams::default()).await;
        let names: Vec<String> =
            listed.map(|list| list.items).unwrap_or_default().into_iter().filter_map(|one| one.metadata.name).collect();
        ClusterError::NoObject {
            name: name.to_owned(),
            namespace: self.namespace.clone(),
            hint: match (nearest(name, names.iter().map(String::as_str)), names.as_slice()) {
                (Some(near), _) => format!("did you mean {near}?"),
                (None, []) => "there is none in this namespace; modelyard list -A shows all".to_owned(),
                (None, names) => format!("there are {}", names.join(", ")),
            },
        }
    }

    /// What a failed call means.
    pub(crate) fn failed(&self, deed: &str, error: kube::Error) -> ClusterError {
        ClusterError::of(deed, &self.address, error)
    }

    /// The API server's version.
    pub(crate) async fn version(&self) -> Result<Info, ClusterError> {
        self.client.apiserver_version().await.map_err(|error| self.failed("ask for the version", error))
    }
}
