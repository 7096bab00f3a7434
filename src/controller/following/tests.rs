//! Who is sent after new models, who is asked, and what is told, by pods as clusters write them.

use modelyard_core::api::ModelState;
use modelyard_core::render::deployment_name;
use modelyard_core::resolve::resolve;
use serde_json::{Value, json};

use super::super::slim;
use super::*;

fn resolved(names: &[&str], paused: bool) -> Resolved {
    let models: Vec<Value> = names.iter().map(|name| json!({"name": name, "uri": format!("http://models/{name}")})).collect();
    let object = json!({"apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "m"},
        "spec": {"models": models, "paused": paused}});
    resolve(&serde_json::from_value(object).unwrap()).unwrap()
}

/// The ConfigMap of this as it is kept.
fn stored(resolved: &Resolved) -> ConfigMap {
    let mut configuration =
        ConfigMap { data: Some([(CONFIG_FILE.to_owned(), resolved.config.to_json())].into()), ..ConfigMap::default() };
    configuration.metadata.name = Some(deployment_name("m", &resolved.revision));
    slim::configuration(&mut configuration);
    configuration
}

fn pod(name: &str, ready: bool, mark: Option<&str>) -> Pod {
    let annotations: Value = mark.map_or(Value::Null, |mark| json!({ CONFIG_ANNOTATION: mark }));
    let ready =
        json!({"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}}))
    .unwrap()
}

fn says(digest: &str, models: &[(&str, &str)]) -> Loading {
    let models: Vec<Value> =
        models.iter().map(|(name, state)| json!({"name": name, "state": state, "reason": "ModelNotFound"})).collect();
    serde_json::from_value(json!({"state": "Ready", "models": models, "config": {"sha256": digest}})).unwrap()
}

fn heard(said: &[(&str, Option<Loading>)]) -> Heard {
    Heard { said: said.iter().map(|(pod, said)| ((*pod).to_owned(), said.clone())).collect(), ..Heard::default() }
}

#[test]
fn who_serves_other_models_is_told_once_and_not_before_the_configmap_is_there() {
    let (before, now) = (resolved(&["a"], false), resolved(&["a", "b"], false));
    let (old, new) = (before.config.sha256(), now.config.sha256());
    let pods = [
        pod("behind", true, None),
        pod("behind-again", true, Some(mark(&old))),
        pod("told", true, Some(mark(&new))),
        pod("new", true, None),
        pod("silent", true, None),
        pod("starts", false, None),
        pod("unasked", true, None),
    ];
    let said = [
        ("behind", Some(says(&old, &[("a", "Ready")]))),
        ("behind-again", Some(says(&old, &[("a", "Ready")]))),
        ("told", Some(says(&old, &[("a", "Ready")]))),
        ("new", Some(says(&new, &[("a", "Ready"), ("b", "Ready")]))),
        ("silent", None),
        ("starts", Some(says(&old, &[("a", "Loading")]))),
    ];
    let untold = |resolved: &Resolved, stored: Option<&ConfigMap>| {
        Following::of(resolved, stored, pods.iter().collect()).unwrap().untold(&heard(&said))
    };
    assert_eq!(untold(&now, Some(&stored(&now))), ["behind", "behind-again", "silent", "starts"]);
    for (resolved, stored) in
        [(&now, Some(stored(&before))), (&now, None), (&self::resolved(&["a", "b"], true), Some(stored(&now)))]
    {
        assert_eq!(untold(resolved, stored.as_ref()), Vec::<String>::new());
    }
    assert!(Following::of(&one(), None, Vec::new()).is_none(), "a single model is followed by nobody");
}

fn one() -> Resolved {
    let object = json!({"apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "m"},
        "spec": {"model": {"uri": "http://models/m"}}});
    resolve(&serde_json::from_value(object).unwrap()).unwrap()
}

/// What is told of a revision whose one pod says this, with when it is asked again.
fn told(resolved: &Resolved, stored: &ConfigMap, ready: bool, said: Option<Loading>) -> (RevisionObserved, Option<Duration>) {
    let pods = [pod("p", ready, None)];
    let following = Following::of(resolved, Some(stored), pods.iter().collect()).unwrap();
    let (heard, mut seen) = (heard(&[("p", said)]), RevisionObserved::new(resolved.revision.clone(), Timestamp::UNIX_EPOCH));
    following.tell(&heard, &mut seen, Timestamp::UNIX_EPOCH);
    (seen, following.again(&heard))
}

#[test]
fn a_model_that_fails_is_the_failure_of_no_pod() {
    let now = resolved(&["a", "b"], false);
    let (digest, stored) = (now.config.sha256(), stored(&now));
    let (seen, again) = told(&now, &stored, true, Some(says(&digest, &[("a", "Ready"), ("b", "Failed")])));
    let states: Vec<_> = seen.models.iter().map(|one| (one.name.as_str(), one.state)).collect();
    assert_eq!(states, [("a", ModelState::Ready), ("b", ModelState::Failed)]);
    let failure = seen.failure.unwrap();
    assert_eq!((failure.reason, failure.pod, again), (Reason::ModelNotFound, None, Some(LATER)));
    assert!(failure.message.starts_with("model 'b': "), "{}", failure.message);

    let (seen, again) = told(&now, &stored, true, Some(says(&digest, &[("a", "Ready"), ("b", "Standby")])));
    assert_eq!((seen.failure, again), (None, None), "all is well: nobody is asked any more");
    let (seen, again) = told(&now, &stored, true, Some(says("before", &[("a", "Ready")])));
    assert_eq!((seen.failure.unwrap().reason, again), (Reason::Loading, Some(SOON)));
    let (seen, _) = told(&now, &stored, false, Some(says(&digest, &[("a", "Ready"), ("b", "Downloading")])));
    assert_eq!((seen.models[1].state, seen.failure), (ModelState::Loading, None), "its pods tell what keeps them");
    let (seen, again) = told(&now, &stored, true, None);
    assert_eq!((seen.models[0].state, seen.failure, again), (ModelState::Unknown, None, None));
}

#[test]
fn a_pause_holds_a_change_of_models_back_and_says_so() {
    let (before, paused) = (resolved(&["a"], false), resolved(&["a", "b"], true));
    let digest = before.config.sha256();
    let (seen, again) = told(&paused, &stored(&before), true, Some(says(&digest, &[("a", "Ready")])));
    assert_eq!((seen.failure.unwrap().reason, again), (Reason::Paused, None));
    assert_eq!((seen.models[0].state, seen.models[1].state), (ModelState::Ready, ModelState::Loading));
}
