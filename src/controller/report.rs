//! Says what became of it: the status where it differs, and an event where its reason does.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource, ResourceExt};
use modelyard_core::api::{Class, ModelDeployment, ModelDeploymentStatus, Reason};
use modelyard_core::render::MANAGER;
use parking_lot::Mutex;
use serde_json::json;

use super::events::{Events, Happening};
use super::kept::{Guarded, Kept};
use super::metrics::known;
use super::written::{Newest, Written};

/// The object that events are about.
pub(super) fn reference(object: &Guarded) -> ObjectReference {
    object.object_ref(&())
}

/// Where to report.
pub(super) struct Report<'a> {
    pub(super) client: &'a Client,
    pub(super) events: &'a Events,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) reference: ObjectReference,
    /// The version that the status is written over.
    pub(super) version: &'a str,
    /// Where what was written is kept until the watch tells of it.
    pub(super) written: &'a Written,
    /// Whether what was told last could not be written.
    pub(super) untaken: bool,
}

/// What became of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is what was told before.
    Unchanged,
    /// The object has it.
    Written,
    /// The API server cannot take it: it checks the spec's rules with it, and a rule cannot be evaluated on what has another type.
    Untakeable,
}

/// The statuses that the API server could not take, by the object's identity: what was told once by an event is not told again.
#[derive(Default)]
pub(super) struct Untaken(Mutex<HashMap<String, ModelDeploymentStatus>>);

impl Untaken {
    /// Keeps a status. Those of objects that are gone are let go.
    pub(super) fn keep(&self, uid: &str, status: ModelDeploymentStatus, there: &Store<Kept>) {
        let mut kept = self.0.lock();
        let alive = there.state();
        kept.retain(|known, _| alive.iter().any(|object| object.uid().as_ref() == Some(known)));
        kept.insert(uid.to_owned(), status);
    }

    /// The object has a status again, or is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// The reason that could not be told.
    pub(super) fn reason(&self, uid: &str) -> Option<&'static str> {
        let kept = self.0.lock();
        Some(known(verdict(kept.get(uid)?)?.0))
    }

    /// What was kept.
    pub(super) fn of(&self, uid: &str) -> Option<ModelDeploymentStatus> {
        self.0.lock().get(uid).cloned()
    }
}

impl Report<'_> {
    /// Writes the status if it is another than `previous`, and an event if the reason of `Ready` is.
    pub(super) async fn tell(
        &self,
        previous: Option<&ModelDeploymentStatus>,
        now: &ModelDeploymentStatus,
    ) -> Result<Told, kube::Error> {
        if previous == Some(now) && !self.untaken {
            return Ok(Told::Unchanged);
        }
        let told = match self.write(now).await {
            Ok(version) => {
                let newest = Newest { version, status: now.clone() };
                self.written.keep(ObjectRef::new(self.name).within(self.namespace), self.version.to_owned(), newest);
                Told::Written
            }
            // Deleted meanwhile: nobody is left to tell.
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Told::Written),
            Err(kube::Error::Api(status)) if status.is_invalid() => {
                if !self.untaken {
                    let (namespace, name, said) = (self.namespace, self.name, status.message);
                    tracing::warn!(namespace, name, said, "the status cannot be written");
                }
                Told::Untakeable
            }
            Err(error) => return Err(error),
        };
        let (before, after) = (previous.and_then(verdict), verdict(now));
        // That a new object begins to start is no event.
        let is_news =
            |reason: &str| before.map_or_else(|| class(reason) != Some(Class::UnderWay), |(before, _)| before != reason);
        if let Some((reason, message)) = after.filter(|(reason, _)| is_news(reason)) {
            let happening = Happening { warning: is_warning(reason), reason: reason.to_owned(), note: message.to_owned() };
            self.events.tell(happening, &self.reference).await;
        }
        Ok(told)
    }

    /// Puts the status in place of the one that is there, whole: an apply would have to read the spec, which may not fit its schema, and
    /// fails at a field that an older definition of the kind lacks. Gives the version that the object then has.
    async fn write(&self, status: &ModelDeploymentStatus) -> Result<String, kube::Error> {
        let kind = ApiResource::erase::<ModelDeployment>(&());
        let mut object = DynamicObject::new(self.name, &kind).data(json!({ "status": status }));
        object.metadata.resource_version = Some(self.version.to_owned());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace, &kind);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let written = api.replace_status(self.name, &params, &object).await?;
        Ok(written.resource_version().unwrap_or_default())
    }
}

/// Reason and message of `Ready`.
pub(super) fn verdict(status: &ModelDeploymentStatus) -> Option<(&str, &str)> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((&ready.reason, &ready.message))
}

/// Whether somebody has to act.
fn is_warning(reason: &str) -> bool {
    matches!(class(reason), Some(Class::User | Class::World))
}

fn class(reason: &str) -> Option<Class> {
    Reason::ALL.iter().find(|one| one.as_str() == reason).map(|one| one.class())
}
