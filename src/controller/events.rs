//! What writes events: one for all, so that what is said again and again is one event with a count. The API lets nobody change the note of
//! an event, so another note is another event.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;

/// Who reports.
const CONTROLLER: &str = "modelyard.dev/controller";

/// What is said again within this time is the same event.
const SERIES: SignedDuration = SignedDuration::from_mins(6);

/// Characters of a note at most, as the API has it.
const LONGEST_NOTE: usize = 1000;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Happening {
    /// Whether somebody has to act.
    pub(super) warning: bool,
    /// The reason.
    pub(super) reason: String,
    /// What happened, in words.
    pub(super) note: String,
}

/// What an event was called, when it was said last, and how often.
#[derive(Clone, Debug)]
struct Said {
    event: String,
    count: i32,
    last: Timestamp,
}

type Key = (Option<String>, Happening);

/// Writes events.
pub(super) struct Events {
    client: Client,
    instance: String,
    said: Mutex<HashMap<Key, Said>>,
}

impl Events {
    pub(super) fn new(client: &Client) -> Self {
        let instance = std::env::var("POD_NAME").unwrap_or_else(|_| CONTROLLER.to_owned());
        Self { client: client.clone(), instance, said: Mutex::default() }
    }

    /// Says that something happened to an object. An event is a courtesy, the status says the same: what keeps it from being written is
    /// logged.
    pub(super) async fn tell(&self, happening: Happening, regarding: &ObjectReference) {
        if let Err(error) = self.publish(happening, regarding).await {
            let (namespace, name) = (regarding.namespace.as_deref(), regarding.name.as_deref());
            let ending = matches!(&error, kube::Error::Api(status) if is_terminating(status));
            if ending {
                tracing::debug!(%error, namespace, name, "no event is written any more");
            } else {
                tracing::warn!(%error, namespace, name, "cannot write an event");
            }
        }
    }

    async fn publish(&self, mut happening: Happening, regarding: &ObjectReference) -> Result<(), kube::Error> {
        happening.note = happening.note.chars().take(LONGEST_NOTE).collect();
        let api: Api<Event> = Api::namespaced(self.client.clone(), regarding.namespace.as_deref().unwrap_or("default"));
        let now = Timestamp::now();
        let key = (regarding.uid.clone(), happening);
        if let Some(before) = self.again(&key, now) {
            let series = EventSeries { count: before.count, last_observed_time: MicroTime(now) };
            let patch = Patch::Merge(json!({ "series": series }));
            match api.patch(&before.event, &PatchParams::default(), &patch).await {
                // Events are not kept for ever.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                outcome => return outcome.map(drop),
            }
        }
        let event = api.create(&PostParams::default(), &self.event(&key.1, regarding, now)).await?;
        self.said.lock().insert(key, Said { event: event.name_any(), count: 1, last: now });
        Ok(())
    }

    /// The event that said the same not long ago, counted once more.
    fn again(&self, key: &Key, now: Timestamp) -> Option<Said> {
        let mut said = self.said.lock();
        said.retain(|_, before| now.duration_since(before.last) < SERIES);
        let before = said.get_mut(key)?;
        (before.count, before.last) = (before.count.saturating_add(1), now);
        Some(before.clone())
    }

    fn event(&self, happening: &Happening, regarding: &ObjectReference, now: Timestamp) -> Event {
        let name = regarding.name.as_deref().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(happening.note.clone()),
            reason: Some(happening.reason.clone()),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if happening.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

/// Whether nothing can be made since the namespace is on its way out, or gone.
pub(super) fn is_terminating(said: &Status) -> bool {
    let Some(details) = &said.details else { return false };
    let gone = said.is_not_found() && details.kind == "namespaces";
    gone || details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::Value;
    use tower::service_fn;

    use super::*;

    /// Method and body of each request.
    type Asked = Arc<Mutex<Vec<(String, Value)>>>;

    /// Events against an API server that takes everything, and what it was asked.
    fn recorded() -> (Events, Asked) {
        let asked = Asked::default();
        let kept = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Body>| {
            let asked = Arc::clone(&kept);
            async move {
                let method = request.method().to_string();
                let body = request.into_body().collect_bytes().await.unwrap();
                asked.lock().push((method, serde_json::from_slice(&body).unwrap()));
                let mut answer: Value = serde_json::from_slice(&body).unwrap();
                if answer["metadata"].is_null() {
                    answer["metadata"] = json!({ "name": "patched" });
                }
                answer["eventTime"] = "2026-01-01T00:00:00.000000Z".into();
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(answer.to_string().into_bytes())))
            }
        });
        (Events::new(&Client::new(service, "shop")), asked)
    }

    fn happening(note: &str) -> Happening {
        Happening { warning: true, reason: "ModelNotFound".to_owned(), note: note.to_owned() }
    }

    #[tokio::test]
    async fn the_same_again_is_counted_and_another_note_is_another_event() {
        let (events, asked) = recorded();
        let regarding = ObjectReference {
            name: Some("mnist".into()),
            namespace: Some("shop".into()),
            uid: Some("6f1b".into()),
            ..Default::default()
        };
        for note in
            ["a.onnx is not there", "a.onnx is not there", "b.onnx is not there", "b.onnx is not there", "a.onnx is not there"]
        {
            events.tell(happening(note), &regarding).await;
        }
        let asked = asked.lock();
        let told: Vec<_> =
            asked.iter().map(|(method, body)| (method.as_str(), body["note"].as_str(), &body["series"]["count"])).collect();
        assert_eq!(
            told,
            [
                ("POST", Some("a.onnx is not there"), &Value::Null),
                ("PATCH", None, &json!(2)),
                ("POST", Some("b.onnx is not there"), &Value::Null),
                ("PATCH", None, &json!(2)),
                ("PATCH", None, &json!(3)),
            ]
        );
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_told_from_a_right_that_is_missing() {
        for (causes, terminating) in [
            (
                json!([{ "reason": "NamespaceTerminating", "message": "namespace shop is being terminated", "field": "metadata.namespace" }]),
                true,
            ),
            (json!([]), false),
            (json!([{ "reason": "FieldValueInvalid", "message": "no", "field": "spec" }]), false),
        ] {
            let said = json!({ "status": "Failure", "message": "forbidden", "reason": "Forbidden", "code": 403, "details": { "causes": causes } });
            assert_eq!(is_terminating(&serde_json::from_value(said.clone()).unwrap()), terminating, "{said}");
        }
        for (kind, gone) in [("namespaces", true), ("services", false)] {
            let said =
                json!({ "status": "Failure", "reason": "NotFound", "code": 404, "details": { "name": "shop", "kind": kind } });
            assert_eq!(is_terminating(&serde_json::from_value(said.clone()).unwrap()), gone, "{said}");
        }
    }

    #[tokio::test]
    async fn a_note_is_cut_to_what_the_api_takes() {
        let (events, asked) = recorded();
        events.tell(happening(&"é".repeat(2000)), &ObjectReference::default()).await;
        assert_eq!(asked.lock()[0].1["note"].as_str().unwrap().chars().count(), LONGEST_NOTE);
    }
}
