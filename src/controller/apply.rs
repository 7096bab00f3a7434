//! Makes the cluster have what was rendered: server-side apply for what differs, scaling for other revisions, removal of what is no
//! longer rendered. What is not ours is never touched.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use modelyard_core::api::Reason;
use modelyard_core::diagnose::refusal;
use modelyard_core::pins::Pins;
use modelyard_core::release::{Extent, around_the_template};
use modelyard_core::render::{MANAGER, Objects, PINS_FILE, Scaled, is_owned_by, workload_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::covers::covers;
use super::events::is_terminating;
use super::observe::Seen;
use super::shelf::Shelf;
use super::slim;
use super::world::World;

/// Why an object is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// The API server, or somebody behind it, said no; the message says who and why.
    #[error("{message}")]
    Refused {
        /// The class of the refusal.
        reason: Reason,
        /// What was refused, and what to do.
        message: String,
    },
    /// The namespace is being deleted: there is nothing left to do.
    #[error("the namespace is being deleted")]
    Ending,
    /// The call failed.
    #[error("cannot apply {object}: {source}")]
    Call {
        /// The object.
        object: String,
        /// What happened.
        source: Box<kube::Error>,
    },
}

/// Where objects are applied, and for whom.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) world: &'a World,
    pub(super) namespace: &'a str,
    pub(super) uid: &'a str,
    /// `namespace/name` of the ModelDeployment.
    pub(super) key: &'a str,
    /// Whether a name was somebody else's when it was tried last.
    pub(super) contested: bool,
}

/// No object has this version: an apply that names it makes an object, and never changes one.
const NONE_YET: &str = "1";

impl Target<'_> {
    /// Applies what differs; of the Deployment of the spec's own revision, as much as `extent` says.
    pub(super) async fn apply(&self, objects: Objects, extent: Extent, seen: &Seen) -> Result<(), ApplyError> {
        let Objects { configuration, pins, deployment, others, service, disruption_budget, network_policy } = objects;
        self.put(&service, self.mine(&self.world.services, &service.name_any())).await?;
        // Before the pods that are to find it.
        if let Some(configuration) = &configuration {
            self.configure(configuration).await?;
        }
        if let Some(pins) = pins {
            let known = self.mine(&self.world.configurations, &pins.name_any());
            self.note(pins, known).await?;
        }
        let live = seen.workloads.iter().find(|one| one.name_any() == deployment.name_any()).cloned();
        match (extent, live) {
            (Extent::AroundTheTemplate, Some(live)) => self.adjust(&live, &deployment).await?,
            (_, live) => self.put(&deployment, live).await?,
        }
        for other in &others {
            self.scale(other, &seen.workloads).await?;
        }
        let kept = |name: &str| deployment.name_any() == name || others.iter().any(|other| other.name == name);
        for workload in seen.workloads.iter().filter(|workload| !kept(&workload.name_any())) {
            self.remove(workload.as_ref()).await?;
        }
        let configurations = self.world.configurations.of(self.key).into_iter();
        let configurations =
            configurations.filter(|one| is_owned_by(one.meta(), self.uid) && !kept(workload_of(&one.name_any())));
        for configuration in configurations.collect::<Vec<_>>() {
            self.remove(&configuration).await?;
        }
        self.maybe(disruption_budget.as_ref(), self.mine(&self.world.budgets, &service.name_any())).await?;
        self.maybe(network_policy.as_ref(), self.mine(&self.world.policies, &service.name_any())).await
    }

    /// Applies what servers follow, of which the store has less.
    async fn configure(&self, wanted: &ConfigMap) -> Result<(), ApplyError> {
        let mut known_as = wanted.clone();
        slim::configuration(&mut known_as);
        self.put_known_as(wanted, &known_as, self.mine(&self.world.configurations, &wanted.name_any())).await
    }

    /// Notes what names led to. What was noted first holds, though our watch has not told of it yet: so what is there is read before it is
    /// changed, and is not changed where somebody else was faster. The watch tells of that, and it is looked at again.
    async fn note(&self, mut wanted: ConfigMap, known: Option<Arc<ConfigMap>>) -> Result<(), ApplyError> {
        if known.as_ref().is_some_and(|known| covers(known.as_ref(), &wanted)) {
            return Ok(());
        }
        let (name, api) = (wanted.name_any(), self.api::<ConfigMap>());
        let shown = format!("ConfigMap {name}");
        if known.is_none() && !self.contested && self.made(&api, &wanted, &shown).await? {
            return Ok(());
        }
        self.check_free(&api, &name, &shown).await?;
        let there = api.get_opt(&name).await.map_err(|error| failed(shown.clone(), error))?;
        let text = |one: &ConfigMap| one.data.as_ref()?.get(PINS_FILE).cloned();
        let read = |one: &ConfigMap| text(one).and_then(|text| Pins::from_json(&text).ok()).unwrap_or_default();
        let mut pins = read(&wanted);
        if let Some(there) = &there {
            pins.yield_to(&read(there));
            wanted.metadata.resource_version.clone_from(&there.metadata.resource_version);
        }
        wanted.data = Some([(PINS_FILE.to_owned(), pins.to_json())].into());
        if there.is_some_and(|there| text(&there) == text(&wanted)) {
            return Ok(());
        }
        match api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&wanted)).await {
            Ok(_) => tracing::info!(namespace = self.namespace, object = %shown, "noted what the models' names led to"),
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                tracing::debug!(namespace = self.namespace, object = %shown, "somebody else was faster");
            }
            Err(error) => return Err(failed(shown, error)),
        }
        Ok(())
    }

    /// Applies an object that may be wanted or not.
    async fn maybe<K>(&self, wanted: Option<&K>, there: Option<Arc<K>>) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        match (wanted, there) {
            (Some(wanted), there) => self.put(wanted, there).await,
            (None, Some(there)) => self.remove(there.as_ref()).await,
            (None, None) => Ok(()),
        }
    }

    /// The object of that name, if it is this ModelDeployment's.
    fn mine<K: Resource<DynamicType = ()> + DeserializeOwned>(&self, shelf: &Shelf<K>, name: &str) -> Option<Arc<K>> {
        shelf.get(self.key, name).filter(|one| is_owned_by(one.meta(), self.uid)).map(Arc::new)
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// Applies one object unless `known`, the object as the store has it, is so already.
    async fn put<K>(&self, wanted: &K, known: Option<Arc<K>>) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        self.put_known_as(wanted, wanted, known).await
    }

    /// The same for one that the store would have as `known_as`.
    async fn put_known_as<K>(&self, wanted: &K, known_as: &K, known: Option<Arc<K>>) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let (name, api) = (wanted.name_any(), self.api::<K>());
        let shown = format!("{} {name}", K::kind(&()));
        match known {
            Some(known) => {
                if covers(known.as_ref(), known_as) {
                    return Ok(());
                }
            }
            // As a rule the name is free, and one call does.
            None if !self.contested && self.made(&api, wanted, &shown).await? => return Ok(()),
            None => self.check_free(&api, &name, &shown).await?,
        }
        let params = PatchParams::apply(MANAGER).force();
        match api.patch(&name, &params, &Patch::Apply(wanted)).await {
            Ok(_) => {
                tracing::info!(namespace = self.namespace, object = %shown, "applied");
                Ok(())
            }
            Err(error) => Err(failed(shown, error)),
        }
    }

    /// Makes an object that is not there. False: there is one of that name, whoever made it.
    async fn made<K>(&self, api: &Api<K>, wanted: &K, shown: &str) -> Result<bool, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let mut new = wanted.clone();
        new.meta_mut().resource_version = Some(NONE_YET.to_owned());
        match api.patch(&wanted.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&new)).await {
            Ok(_) => {
                tracing::info!(namespace = self.namespace, object = %shown, "created");
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
            Err(error) => Err(failed(shown.to_owned(), error)),
        }
    }

    /// Refuses a name that somebody else's object has.
    async fn check_free<K>(&self, api: &Api<K>, name: &str, shown: &str) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        match api.get_metadata_opt(name).await {
            Ok(Some(found)) if !is_owned_by(&found.metadata, self.uid) => Err(ApplyError::Refused {
                reason: Reason::NameConflict,
                message: format!(
                    "{shown} exists and is not of this ModelDeployment: rename one of the two, or delete the {shown}"
                ),
            }),
            Ok(_) => Ok(()),
            Err(error) => Err(failed(shown.to_owned(), error)),
        }
    }

    /// Changes a Deployment around its template, which another release has made. To apply it whole would take away what that release
    /// set and this one does not know.
    async fn adjust(&self, live: &Deployment, wanted: &Deployment) -> Result<(), ApplyError> {
        let changed = around_the_template(live, wanted);
        if covers(live, &changed) {
            return Ok(());
        }
        let name = live.name_any();
        let spec = changed.spec.unwrap_or_default();
        let patch = Patch::Merge(json!({ "spec": {
            "replicas": spec.replicas, "progressDeadlineSeconds": spec.progress_deadline_seconds, "strategy": spec.strategy,
        } }));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match self.api::<Deployment>().patch(&name, &params, &patch).await {
            Ok(_) => {
                tracing::info!(namespace = self.namespace, deployment = %name, "adjusted; its template is another release's");
                Ok(())
            }
            Err(error) => Err(failed(format!("Deployment {name}"), error)),
        }
    }

    async fn scale(&self, other: &Scaled, workloads: &[Arc<Deployment>]) -> Result<(), ApplyError> {
        let there = workloads.iter().find(|workload| workload.name_any() == other.name);
        let Some(spec) = there.and_then(|workload| workload.spec.as_ref()) else { return Ok(()) };
        let replicas = i32::try_from(other.replicas).unwrap_or(i32::MAX);
        if spec.replicas.unwrap_or(1) == replicas {
            return Ok(());
        }
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match self.api::<Deployment>().patch_scale(&other.name, &params, &patch).await {
            Ok(_) => {
                tracing::info!(namespace = self.namespace, deployment = %other.name, replicas, "scaled");
                Ok(())
            }
            Err(error) => Err(failed(format!("Deployment {}", other.name), error)),
        }
    }

    async fn remove<K>(&self, object: &K) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let name = object.name_any();
        let shown = format!("{} {name}", K::kind(&()));
        let exactly = Preconditions { uid: object.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::background() };
        match self.api::<K>().delete(&name, &params).await {
            Ok(_) => {
                tracing::info!(namespace = self.namespace, object = %shown, "removed");
                Ok(())
            }
            // Gone, or another of that name: in either case not what was to be removed.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            Err(error) => Err(failed(shown, error)),
        }
    }
}

pub(super) fn failed(object: String, error: kube::Error) -> ApplyError {
    match error {
        kube::Error::Api(status) if is_terminating(&status) => ApplyError::Ending,
        kube::Error::Api(status) if status.is_forbidden() => {
            let said = &status.message;
            let reason = refusal(said);
            let whose = if reason == Reason::Forbidden {
                "give the operator that permission (the chart's ClusterRole has it)"
            } else {
                "change the spec to what is allowed there, or ask who set the rule"
            };
            ApplyError::Refused { reason, message: format!("{object} was refused: {said}; {whose}") }
        }
        kube::Error::Api(status) if status.is_invalid() => ApplyError::Refused {
            reason: Reason::InvalidSpec,
            message: format!("{object} was refused as invalid: {}", status.message),
        },
        error => ApplyError::Call { object, source: Box::new(error) },
    }
}
