//! Whose word is noted, for whom, and who is asked, by pods as clusters write them.

use modelyard_core::pins::Pin;
use modelyard_core::plan::{Observed, plan};
use modelyard_core::render::{Owner, pins_name, render};
use modelyard_core::resolve::resolve;
use serde_json::{Value, json};

use super::super::slim;
use super::*;

fn resolved(uri: &str) -> Resolved {
    let object = json!({"apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "m"},
        "spec": {"model": {"uri": uri}}});
    resolve(&serde_json::from_value(object).unwrap()).unwrap()
}

/// What the operator makes of it.
fn workload(resolved: &Resolved, restart: Option<&str>) -> Deployment {
    let plan = plan(resolved, &Observed::default(), "2026-01-01T00:00:00Z".parse().unwrap());
    let owner = Owner { namespace: "n", uid: "u", server_image: "i" };
    let mut made = render(resolved, &plan, owner, &Pins::default()).deployment;
    let template = made.spec.as_mut().unwrap().template.metadata.get_or_insert_default();
    template.annotations.get_or_insert_default().extend(restart.map(|at| (RESTARTED_AT.to_owned(), at.to_owned())));
    made
}

fn pod(name: &str, created: u32, restart: Option<&str>) -> Pod {
    let annotations: Value = restart.map_or(Value::Null, |at| json!({ RESTARTED_AT: at }));
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let created = format!("2026-01-01T00:00:0{created}Z");
    let mut pod = serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": annotations, "creationTimestamp": created},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}}))
    .unwrap();
    slim::pod(&mut pod);
    pod
}

fn says(resolved: &Resolved, digit: &str) -> Option<Loading> {
    let pin = Pin { of: resolved.config.models[0].named(), digest: digit.repeat(64), ..Pin::default() };
    let model = json!({"name": "m", "state": "Ready", "digest": pin.digest, "pin": pin});
    Some(serde_json::from_value(json!({"state": "Ready", "models": [model]})).unwrap())
}

fn heard(said: &[(&str, Option<Loading>)]) -> Heard {
    Heard { said: said.iter().map(|(pod, said)| ((*pod).to_owned(), said.clone())).collect(), ..Heard::default() }
}

/// The ConfigMap of these as it is kept.
fn noted(pins: &Pins) -> ConfigMap {
    let mut noted = ConfigMap { data: Some([(PINS_FILE.to_owned(), pins.to_json())].into()), ..ConfigMap::default() };
    slim::configuration(&mut noted);
    noted
}

fn names(pinning: &Pinning<'_>) -> Vec<String> {
    pinning.servers().into_iter().map(|server| server.pod).collect()
}

#[test]
fn the_oldest_word_is_noted_and_told_and_nobody_is_asked_any_more() {
    let resolved = resolved("oci://r.example/m:1");
    let (workload, pods) = (workload(&resolved, None), [pod("b", 2, None), pod("a", 1, None), pod("c", 3, None)]);
    let of = |noted: Option<&ConfigMap>| Pinning::of(&resolved, &workload, noted, pods.iter().collect()).unwrap();
    let mut pinning = of(None);
    assert_eq!(names(&pinning), ["a", "b"], "a bounded number of them");
    let all = heard(&[("a", says(&resolved, "a")), ("b", says(&resolved, "b"))]);
    pinning.learn(&all);
    let mut seen = RevisionObserved::new(resolved.revision.clone(), "2026-01-01T00:00:00Z".parse().unwrap());
    pinning.tell(&mut seen);
    assert_eq!(seen.digest, Some("a".repeat(64)));
    assert!(names(&pinning).is_empty() && pinning.again(&all).is_none());
    let pins = pinning.into_pins();
    let mut later = of(Some(&noted(&pins)));
    later.learn(&heard(&[("b", says(&resolved, "b"))]));
    let (strays, digest) = later.strays(&heard(&[("a", says(&resolved, "a")), ("b", says(&resolved, "b")), ("c", None)]));
    assert_eq!(strays, ["b"], "who serves something else is sent after it");
    let mut rung = pods[0].clone();
    rung.annotations_mut().insert(PINS_ANNOTATION.to_owned(), mark(&digest).to_owned());
    let once = Pinning::of(&resolved, &workload, Some(&noted(&pins)), vec![&rung]).unwrap();
    assert!(once.strays(&heard(&[("b", says(&resolved, "b"))])).0.is_empty(), "once");
    assert_eq!(later.into_pins(), pins, "it holds, whoever says something else");
    assert_eq!(pins_name("m", &resolved.revision), format!("m-{}-pins", resolved.revision));
}

#[test]
fn a_restart_is_asked_anew_and_those_before_it_stay_held() {
    let resolved = resolved("http://models/m.onnx");
    let at = "2026-01-02T00:00:00Z";
    let (old, new) = (pod("old", 1, None), pod("new", 2, Some(at)));
    let before = workload(&resolved, None);
    let mut pinning = Pinning::of(&resolved, &before, None, vec![&old]).unwrap();
    pinning.learn(&heard(&[("old", says(&resolved, "a"))]));
    let first = noted(&pinning.into_pins());
    let restarted = workload(&resolved, Some(at));
    let mut pinning = Pinning::of(&resolved, &restarted, Some(&first), vec![&old, &new]).unwrap();
    assert_eq!(names(&pinning), ["new"]);
    pinning.learn(&heard(&[("old", says(&resolved, "a")), ("new", says(&resolved, "b"))]));
    let model = &resolved.config.models[0];
    let pins = pinning.into_pins();
    assert_eq!(
        (pins.of("", model).unwrap().digest.as_str(), pins.of(at, model).unwrap().digest.as_str()),
        ("a".repeat(64).as_str(), "b".repeat(64).as_str())
    );
    let mut after = Pinning::of(&resolved, &restarted, Some(&noted(&pins)), vec![&new]).unwrap();
    after.learn(&heard(&[]));
    let pins = after.into_pins();
    assert!(pins.of("", model).is_none() && pins.of(at, model).is_some(), "no replica is of the first any more");
}

#[test]
fn who_does_not_look_is_not_asked_and_who_is_silent_is_asked_again() {
    let resolved = resolved("http://models/m.onnx");
    let pods = [pod("a", 1, None)];
    let mut earlier = workload(&resolved, None);
    let server = &mut earlier.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0];
    server.env.as_mut().unwrap().retain(|variable| variable.name != PINS_VARIABLE);
    assert!(Pinning::of(&resolved, &earlier, None, pods.iter().collect()).is_none());
    let fixed = self::resolved(&format!("oci://r.example/m@sha256:{}", "a".repeat(64)));
    assert!(Pinning::of(&fixed, &workload(&fixed, None), None, pods.iter().collect()).is_none());
    let workload = workload(&resolved, None);
    let pinning = Pinning::of(&resolved, &workload, None, pods.iter().collect()).unwrap();
    assert_eq!(pinning.again(&heard(&[("a", None)])), Some(SELDOM));
    let busy = Heard { silent: ["a".to_owned()].into(), ..heard(&[("a", None)]) };
    assert_eq!(pinning.again(&busy), Some(SOON));
    let earlier: Loading =
        serde_json::from_value(json!({"state": "Ready", "models": [{"name": "m", "state": "Ready"}]})).unwrap();
    assert_eq!(pinning.again(&heard(&[("a", Some(earlier))])), None, "it has nothing to say of it");
}
