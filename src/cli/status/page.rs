//! The screen, as text: nothing here asks the cluster or the clock.

use std::fmt::Write;

use jiff::Timestamp;
use kube::core::Duration;
use modelyard_core::api::{ModelDeployment, ModelState, Role};
use modelyard_core::resolve::resolve;

use super::happened::Happened;
use crate::cli::cluster::{Readiness, Table, age, condition};

/// What is shown.
pub(super) struct View<'a> {
    pub(super) object: &'a ModelDeployment,
    pub(super) events: &'a [Happened],
    pub(super) now: Timestamp,
}

/// Digits of a SHA-256 that are enough to tell two models apart.
const DIGITS: usize = 12;
/// Characters of a store's name of a version that are shown.
const LONGEST_NAME: usize = 40;

/// The conditions in the order in which people ask, each as a question.
const CONDITIONS: [(&str, &str); 3] = [("Ready", "ready"), ("Serving", "serving"), ("UpToDate", "up to date")];

pub(super) fn text(view: &View<'_>) -> String {
    let mut out = String::new();
    let meta = &view.object.metadata;
    let (name, namespace) = (meta.name.as_deref().unwrap_or_default(), meta.namespace.as_deref().unwrap_or("default"));
    let created = meta.creation_timestamp.as_ref().map(|time| format!(", {} old", age(time.0, view.now))).unwrap_or_default();
    let _ = writeln!(out, "{name} in namespace {namespace}{created}\n");
    conditions(&mut out, view);
    revisions(&mut out, view);
    models(&mut out, view);
    cold_start(&mut out, view);
    failure(&mut out, view);
    advice(&mut out, view);
    events(&mut out, view);
    try_it(&mut out, view, (name, namespace));
    out
}

fn conditions(out: &mut String, view: &View<'_>) {
    let ready = Readiness::of(view.object, "Ready");
    for (kind, words) in CONDITIONS {
        let state = Readiness::of(view.object, kind);
        if state.is_untold() && kind != "Ready" {
            continue; // once is enough
        }
        let truth = if state.holds { "yes" } else { "no" };
        let since = condition(view.object, kind).filter(|_| !state.is_untold());
        let since = since.map(|one| format!(" for {}", age(one.last_transition_time.0, view.now))).unwrap_or_default();
        let message =
            if kind != "Ready" && state.message == ready.message { String::new() } else { format!(": {}", state.message) };
        let _ = writeln!(out, "  {words:<11} {truth:<4} {}{since}{message}", state.name);
    }
}

fn revisions(out: &mut String, view: &View<'_>) {
    let revisions = view.object.status.as_ref().map(|status| status.revisions.as_slice()).unwrap_or_default();
    if revisions.is_empty() {
        return;
    }
    let wanted = view.object.spec.replicas;
    let _ = writeln!(out, "\nrevisions, of {wanted} {} wanted", if wanted == 1 { "replica" } else { "replicas" });
    let resolved = revisions.iter().any(|one| one.resolved.is_some());
    let columns = ["NAME", "ROLE", "VERSION", "READY", "TRAFFIC", "SHA256", "RESOLVED"];
    let mut table = Table::new(&columns[..columns.len() - usize::from(!resolved)]);
    for one in revisions {
        let role = match one.role {
            Role::Stable => "stable",
            Role::Candidate => "candidate",
            Role::Retired => "retired",
        };
        let mut row = vec![
            one.name.clone(),
            role.to_owned(),
            one.version.map(|version| version.to_string()).unwrap_or_default(),
            format!("{}/{}", one.ready_replicas, one.replicas),
            format!("{} %", one.weight),
            one.digest.as_deref().map(|digest| digest.chars().take(DIGITS).collect()).unwrap_or_default(),
        ];
        if resolved {
            row.push(one.resolved.as_deref().map(|name| name.chars().take(LONGEST_NAME).collect()).unwrap_or_default());
        }
        table.row(row);
    }
    out.push_str(&table.lines("  "));
}

/// Each of several models, in the order of the spec.
fn models(out: &mut String, view: &View<'_>) {
    let models = view.object.status.as_ref().map(|status| status.models.as_slice()).unwrap_or_default();
    if models.is_empty() {
        return;
    }
    let answer = models.iter().filter(|one| matches!(one.state, ModelState::Ready | ModelState::Standby)).count();
    let _ = writeln!(out, "\nmodels, {answer} of {} answer", models.len());
    let mut table = Table::new(&["NAME", "STATE", "FOR", "WHY"]);
    for one in models {
        let reason = one.reason.map(|reason| reason.as_str().to_owned());
        let why: Vec<String> = reason.into_iter().chain(one.message.clone()).collect();
        table.row([one.name.clone(), one.state.as_str().to_owned(), age(one.since.0, view.now), why.join(": ")]);
    }
    out.push_str(&table.lines("  "));
}

/// What the newest ready replica spent its start on.
fn cold_start(out: &mut String, view: &View<'_>) {
    let Some(start) = view.object.status.as_ref().and_then(|status| status.cold_start.as_ref()) else { return };
    let phases = [
        ("scheduling", start.scheduling),
        ("image", start.pulling),
        ("download", start.downloading),
        ("load", start.loading),
        ("warm-up", start.warming),
    ];
    // Kubernetes' times are whole seconds.
    let shown = |took: Duration| if took == std::time::Duration::ZERO { "under 1s".to_owned() } else { took.to_string() };
    let known = phases.into_iter().filter_map(|(name, took)| Some(format!("{name} {}", shown(took?))));
    let total = start.total.map(|total| format!(" in {}", shown(total))).unwrap_or_default();
    let _ = writeln!(out, "\nnewest start\n  {} was ready{total}: {}", start.pod, known.collect::<Vec<_>>().join(", "));
}

/// The newest failure, where the condition's message is about something else.
fn failure(out: &mut String, view: &View<'_>) {
    let Some(failure) = view.object.status.as_ref().and_then(|status| status.failure.as_ref()) else { return };
    if Readiness::of(view.object, "Ready").message.contains(&failure.message) {
        return;
    }
    let code = failure.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let _ =
        writeln!(out, "\nnewest failure, {} ago\n  {}{code}: {}", age(failure.at.0, view.now), failure.reason, failure.message);
}

fn advice(out: &mut String, view: &View<'_>) {
    let ready = Readiness::of(view.object, "Ready");
    if !ready.holds {
        let _ = writeln!(out, "\nwhat to do\n  {}", ready.advice());
        if let Some(reason) = ready.reason {
            let _ = writeln!(out, "  More: modelyard explain reason {reason}");
        }
    }
}

fn events(out: &mut String, view: &View<'_>) {
    if view.events.is_empty() {
        return;
    }
    let mut table = Table::new(&["AGO", "EVENT", "TIMES", "WHAT"]);
    for one in view.events {
        table.row([age(one.at, view.now), one.reason.clone(), one.count.to_string(), one.note.clone()]);
    }
    let _ = write!(out, "\nevents, the newest first\n{}", table.lines("  "));
}

fn try_it(out: &mut String, view: &View<'_>, (name, namespace): (&str, &str)) {
    if !Readiness::of(view.object, "Serving").holds || view.object.spec.replicas == 0 {
        return;
    }
    let model = resolve(view.object).ok().and_then(|resolved| Some(resolved.config.models.first()?.name.clone()));
    let model = model.as_deref().unwrap_or(name);
    let url = view.object.status.as_ref().and_then(|status| status.url.as_deref()).unwrap_or_default();
    let _ = writeln!(out, "\ntry it");
    let named = if model == name { String::new() } else { format!("={name}") };
    let _ = writeln!(out, "  here        modelyard predict {model} --random --cluster{named} --namespace {namespace}");
    let _ = writeln!(out, "  in a pod    curl {url}/v2/models/{model}");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }

    fn shown(status: Value, events: &[Happened]) -> String {
        let object: ModelDeployment = serde_json::from_value(json!({
            "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "mnist", "namespace": "models", "generation": 3, "creationTimestamp": "2026-04-30T12:00:00Z"},
            "spec": {"model": {"uri": "http://models/mnist.onnx", "version": 2}, "replicas": 2}, "status": status,
        }))
        .unwrap();
        text(&View { object: &object, events, now: at() })
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 3,
            "lastTransitionTime": "2026-05-01T11:57:50Z"})
    }

    #[test]
    fn one_that_serves() {
        let status = json!({
            "url": "http://mnist.models.svc", "observedGeneration": 3,
            "revisions": [{"name": "72b2fc6772", "version": 2, "role": "Stable", "replicas": 2, "readyReplicas": 2, "weight": 100,
                "resolved": "manifest=sha256:abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd",
                "digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}],
            "coldStart": {"pod": "mnist-72b2fc6772-x", "at": "2026-05-01T11:57:50Z", "total": "4s", "scheduling": "0s", "pulling": "2s",
                "downloading": "650ms", "loading": "12ms", "warming": "3ms"},
            "conditions": [
                condition("Serving", "True", "Serving", "2 replicas answer"),
                condition("UpToDate", "True", "Serving", "revision 72b2fc6772 has 2 of 2 replicas ready"),
                condition("Ready", "True", "Serving", "2 replicas answer"),
            ],
        });
        insta::assert_snapshot!(shown(status, &[]));
    }

    #[test]
    fn one_whose_new_revision_fails() {
        let message = "pod mnist-0a-x: http://models/mnist.onnx: 404 Not Found";
        let status = json!({
            "url": "http://mnist.models.svc", "observedGeneration": 3,
            "revisions": [
                {"name": "0a0b0c0d0e", "version": 2, "role": "Candidate", "replicas": 1, "readyReplicas": 0, "weight": 0},
                {"name": "72b2fc6772", "version": 1, "role": "Stable", "replicas": 2, "readyReplicas": 2, "weight": 100},
            ],
            "failure": {"reason": "ModelNotFound", "message": message, "pod": "mnist-0a-x", "exitCode": 66, "at": "2026-05-01T11:59:30Z"},
            "conditions": [
                condition("Serving", "True", "Serving", "2 replicas answer"),
                condition("UpToDate", "False", "ModelNotFound", message),
                condition("Ready", "False", "ModelNotFound", message),
            ],
        });
        let event =
            |reason: &str, warning, count| Happened { at: at(), warning, reason: reason.into(), note: message.into(), count };
        insta::assert_snapshot!(shown(status, &[event("ModelNotFound", true, 4), event("Loading", false, 1)]));
    }

    #[test]
    fn one_of_several_models_is_told_by_its_name() {
        let message = "model 'b': http://models/b.onnx: 404 Not Found";
        let since = "2026-05-01T11:57:50Z";
        let status = json!({
            "observedGeneration": 3,
            "models": [
                {"name": "a", "state": "Ready", "since": since},
                {"name": "b", "state": "Failed", "reason": "ModelNotFound", "message": "http://models/b.onnx: 404 Not Found", "since": since},
                {"name": "c", "state": "Standby", "since": since},
            ],
            "conditions": [
                condition("Serving", "True", "Serving", "2 replicas answer"),
                condition("UpToDate", "False", "ModelNotFound", message),
                condition("Ready", "False", "ModelNotFound", message),
            ],
        });
        insta::assert_snapshot!(shown(status, &[]));
    }

    #[test]
    fn one_that_nobody_has_looked_at() {
        insta::assert_snapshot!(shown(json!({}), &[]));
    }
}
