//! The stores: what the cluster holds of ours, as the watches keep it, with what nobody reads left out.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use modelyard_core::api::ModelDeployment;
use modelyard_core::render::{DEPLOYMENT_LABEL, MANAGER};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::backoff::Reconnect;

/// A ModelDeployment that may not parse: one such object must not blind the watch to all others.
pub(super) type Guarded = DeserializeGuard<ModelDeployment>;

type Changes<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// What is known of the cluster.
pub(super) struct World {
    deployments: Store<Guarded>,
    pub(super) workloads: Store<Deployment>,
    pub(super) pods: Store<Pod>,
    pub(super) services: Store<Service>,
    pub(super) budgets: Store<PodDisruptionBudget>,
    pub(super) policies: Store<NetworkPolicy>,
    filled: OnceCell<()>,
}

/// The changes that make a reconcile.
pub(super) struct Streams {
    pub(super) deployments: Changes<Guarded>,
    pub(super) workloads: Changes<Deployment>,
    pub(super) pods: Changes<Pod>,
    pub(super) services: Changes<Service>,
    pub(super) budgets: Changes<PodDisruptionBudget>,
    pub(super) policies: Changes<NetworkPolicy>,
}

impl World {
    /// Watches one namespace, or all. The stores fill as the streams are read.
    pub(super) fn watch(client: &Client, namespace: Option<&str>) -> (Self, Streams) {
        let ours = watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={MANAGER}"));
        let watches = Watches { client, namespace };
        let (deployments, deployment_changes) = watches.of(&watcher::Config::default(), |object: &mut Guarded| {
            object.meta_mut().managed_fields = None;
        });
        let (workloads, workload_changes) = watches.of(&ours, |object: &mut Deployment| object.metadata.managed_fields = None);
        let (pods, pod_changes) = watches.of(&ours, |object: &mut Pod| {
            object.metadata.managed_fields = None;
            object.metadata.annotations = None;
            object.spec = None;
        });
        let (services, service_changes) = watches.of(&ours, |object: &mut Service| object.metadata.managed_fields = None);
        let (budgets, budget_changes) = watches.of(&ours, |object: &mut PodDisruptionBudget| {
            object.metadata.managed_fields = None;
        });
        let (policies, policy_changes) = watches.of(&ours, |object: &mut NetworkPolicy| object.metadata.managed_fields = None);
        let world = Self { deployments, workloads, pods, services, budgets, policies, filled: OnceCell::new() };
        let streams = Streams {
            deployments: deployment_changes,
            workloads: workload_changes,
            pods: pod_changes,
            services: service_changes,
            budgets: budget_changes,
            policies: policy_changes,
        };
        (world, streams)
    }

    pub(super) fn reader(&self) -> Store<Guarded> {
        self.deployments.clone()
    }

    /// The reason of each object's `Ready`, of those that have one.
    pub(super) fn reasons(&self) -> impl Iterator<Item = &'static str> {
        self.deployments.state().into_iter().filter_map(|object| {
            let status = object.0.as_ref().ok()?.status.as_ref()?;
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
            Some(super::metrics::known(&ready.reason))
        })
    }

    /// Waits until every store has been filled once: before that, what is missing may only not have come yet.
    pub(super) async fn complete(&self) -> Result<(), reflector::store::WriterDropped> {
        // One waits, for all: a store wakes only the last of several who wait for it, and the others would wait for ever.
        let wait = async || {
            self.workloads.wait_until_ready().await?;
            self.pods.wait_until_ready().await?;
            self.services.wait_until_ready().await?;
            self.budgets.wait_until_ready().await?;
            self.policies.wait_until_ready().await
        };
        self.filled.get_or_try_init(wait).await.copied()
    }
}

struct Watches<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
}

impl Watches<'_> {
    /// A store of one kind and its changes.
    fn of<K>(&self, config: &watcher::Config, slim: fn(&mut K)) -> (Store<K>, Changes<K>)
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let (reader, writer) = reflector::store();
        let client = self.client.clone();
        let api: Api<K> = self.namespace.map_or_else(|| Api::all(client.clone()), |name| Api::namespaced(client.clone(), name));
        let events = watcher(api, config.clone()).backoff(Reconnect::default());
        // The one who reads all watches waits longer after each error, and reads none of them while it waits. Each watch waits for itself, and
        // is opened again; so its errors end here.
        let changes = events.modify(slim).reflect(writer).touched_objects().filter_map(|change| {
            std::future::ready(match change {
                Ok(object) => Some(Ok(object)),
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), %error, "a watch broke; opening it again");
                    None
                }
            })
        });
        (reader, changes.boxed())
    }
}

/// The ModelDeployment that an object of ours belongs to.
pub(super) fn owner_of(metadata: &ObjectMeta) -> Option<ObjectRef<Guarded>> {
    let name = metadata.labels.as_ref()?.get(DEPLOYMENT_LABEL)?;
    Some(ObjectRef::new(name).within(metadata.namespace.as_deref()?))
}
