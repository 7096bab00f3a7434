//! The stores: what the cluster holds of ours, as the watches keep it, with what nobody reads left out.

use std::fmt::Debug;

use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use modelyard_core::render::MANAGER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backoff::Reconnect;
use super::kept::Kept;
use super::report::Untaken;
use super::shelf::{Shelf, shelf};
use super::slim;

/// Objects that one answer of a list has at most: it is held whole in memory.
const PAGE: u32 = 100;

/// What is known of the cluster.
pub(super) struct World {
    deployments: Store<Kept>,
    pub(super) workloads: Shelf<Deployment>,
    pub(super) pods: Shelf<Pod>,
    pub(super) configurations: Shelf<ConfigMap>,
    pub(super) services: Shelf<Service>,
    pub(super) budgets: Shelf<PodDisruptionBudget>,
    pub(super) policies: Shelf<NetworkPolicy>,
}

/// The changes that make a reconcile.
pub(super) struct Streams {
    /// Of the ModelDeployments themselves.
    pub(super) deployments: BoxStream<'static, Kept>,
    /// Whose objects changed.
    pub(super) children: SelectAll<BoxStream<'static, ObjectRef<Kept>>>,
}

impl World {
    /// Watches one namespace, or all. The stores fill as the streams are read.
    pub(super) fn watch(client: &Client, namespace: Option<&str>) -> (Self, Streams) {
        let mut watches = Watches { client, namespace, children: SelectAll::new() };
        let (deployments, writer) = reflector::store();
        let all = watcher::Config::default().page_size(PAGE);
        let changes = watches.events::<Kept>(all).reflect(writer).touched_objects();
        let world = Self {
            deployments,
            workloads: watches.of(slim::workload),
            pods: watches.of(slim::pod),
            configurations: watches.of(slim::configuration),
            services: watches.of(slim::service),
            budgets: watches.of(slim::budget),
            policies: watches.of(slim::policy),
        };
        (world, Streams { deployments: well::<Kept, _>(changes).boxed(), children: watches.children })
    }

    pub(super) fn reader(&self) -> Store<Kept> {
        self.deployments.clone()
    }

    /// The reason of each object's `Ready`, of those that have one. What does not parse is invalid, whatever its status says; so is mostly one
    /// whose status could not be written.
    pub(super) fn reasons(&self, untaken: &Untaken) -> impl Iterator<Item = &'static str> {
        self.deployments.state().into_iter().filter_map(move |object| {
            let kept = object.meta().uid.as_deref().and_then(|uid| untaken.reason(uid));
            kept.or_else(|| object.reason())
        })
    }

    /// Waits until every store has been filled once: before that, what is missing may only not have come yet. False: the watches are
    /// gone.
    pub(super) async fn is_complete(&self) -> bool {
        self.workloads.is_filled().await
            && self.pods.is_filled().await
            && self.configurations.is_filled().await
            && self.services.is_filled().await
            && self.budgets.is_filled().await
            && self.policies.is_filled().await
    }
}

struct Watches<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    children: SelectAll<BoxStream<'static, ObjectRef<Kept>>>,
}

impl Watches<'_> {
    fn events<K>(&self, config: watcher::Config) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + use<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let client = self.client.clone();
        let api: Api<K> = self.namespace.map_or_else(|| Api::all(client.clone()), |name| Api::namespaced(client.clone(), name));
        watcher(api, config).backoff(Reconnect::default())
    }

    /// What there is of one kind that we make.
    fn of<K>(&mut self, slim: fn(&mut K)) -> Shelf<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned
            + Send
            + 'static,
    {
        let ours = watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={MANAGER}")).page_size(PAGE);
        let (shelf, mut writer) = shelf(slim);
        let touched = well::<K, _>(self.events::<K>(ours)).flat_map(move |event| stream::iter(writer.follow(event)));
        self.children.push(touched.boxed());
        shelf
    }
}

/// What a watch brings. That it broke off is told here: it is opened again, and nobody else can do anything.
fn well<K: Resource<DynamicType = ()>, T>(events: impl Stream<Item = watcher::Result<T>>) -> impl Stream<Item = T> {
    events.filter_map(async |event| {
        event.inspect_err(|error| tracing::warn!(kind = %K::kind(&()), %error, "a watch broke off; it is opened again")).ok()
    })
}
