//! Says what became of it: the status where it differs, and an event where its reason does.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use modelyard_core::api::{API_VERSION, Class, ModelDeployment, ModelDeploymentStatus, Reason};
use modelyard_core::render::MANAGER;
use serde_json::json;

use super::kept::Guarded;

/// Characters of an event's note at most, as the API has it.
const LONGEST_NOTE: usize = 1000;

/// What writes events. One for all: it puts repeated ones together.
pub(super) fn recorder(client: &Client) -> Recorder {
    let instance = std::env::var("POD_NAME").ok();
    Recorder::new(client.clone(), Reporter { controller: "modelyard.dev/controller".to_owned(), instance })
}

/// The object that events are about.
pub(super) fn reference(object: &Guarded) -> ObjectReference {
    object.object_ref(&())
}

/// Where to report.
pub(super) struct Report<'a> {
    pub(super) client: &'a Client,
    pub(super) recorder: &'a Recorder,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) reference: ObjectReference,
    /// Whether the object fits its schema.
    pub(super) readable: bool,
}

impl Report<'_> {
    /// Writes the status if it is another than `previous`, and an event if the reason of `Ready` is.
    pub(super) async fn tell(
        &self,
        previous: Option<&ModelDeploymentStatus>,
        now: &ModelDeploymentStatus,
    ) -> Result<(), kube::Error> {
        if previous == Some(now) {
            return Ok(());
        }
        let api: Api<ModelDeployment> = Api::namespaced(self.client.clone(), self.namespace);
        let body = json!({ "apiVersion": API_VERSION, "kind": ModelDeployment::kind(&()), "status": now });
        let written = if self.readable {
            api.patch_status(self.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await.map(drop)
        } else {
            // An apply has to read the whole object first, and the API server cannot either.
            let raw: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), self.namespace, &ApiResource::erase::<ModelDeployment>(&()));
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            raw.patch_status(self.name, &params, &Patch::Merge(&body)).await.map(drop)
        };
        match written {
            Ok(()) => {}
            // Deleted meanwhile: nobody is left to tell.
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        let (before, after) = (previous.and_then(verdict), verdict(now));
        // That a new object begins to start is no event.
        let is_news =
            |reason: &str| before.map_or_else(|| class(reason) != Some(Class::UnderWay), |(before, _)| before != reason);
        let Some((reason, message)) = after.filter(|(reason, _)| is_news(reason)) else { return Ok(()) };
        let event = Event {
            type_: kind_of(reason),
            reason: reason.to_owned(),
            note: Some(message.chars().take(LONGEST_NOTE).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        // An event is a courtesy: the status, which is written, says the same.
        if let Err(error) = self.recorder.publish(&event, &self.reference).await {
            tracing::warn!(%error, reason, "cannot write an event");
        }
        Ok(())
    }
}

/// Reason and message of `Ready`.
pub(super) fn verdict(status: &ModelDeploymentStatus) -> Option<(&str, &str)> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((&ready.reason, &ready.message))
}

/// A warning where somebody has to act.
fn kind_of(reason: &str) -> EventType {
    match class(reason) {
        Some(Class::User | Class::World) => EventType::Warning,
        _ => EventType::Normal,
    }
}

fn class(reason: &str) -> Option<Class> {
    Reason::ALL.iter().find(|one| one.as_str() == reason).map(|one| one.class())
}
