use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::plan::{Observed, plan};
use crate::render::{Owner, render};
use crate::resolve::{Resolved, resolve};

fn resolved(more: &Value) -> Resolved {
    let mut spec = json!({"model": {"uri": "http://models/m.onnx"}, "replicas": 2});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut object =
        json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "m"}, "spec": spec});
    crate::schema::schemas()[0].complete(&mut object);
    resolve(&serde_json::from_value(object).unwrap()).unwrap()
}

fn made(resolved: &Resolved, image: &str) -> Objects {
    let plan = plan(resolved, &Observed::default(), Timestamp::UNIX_EPOCH);
    render(resolved, &plan, Owner { namespace: "n", uid: "u", server_image: image }, &crate::pins::Pins::default())
}

fn image(objects: &Objects) -> &str {
    image_of(&objects.deployment).unwrap()
}

/// A Deployment that an operator of this release made with `server:1`.
fn old() -> Deployment {
    made(&resolved(&json!({})), "server:1").deployment
}

/// The same, as a release made it that sets another variable.
fn foreign() -> Deployment {
    let mut foreign = old();
    foreign.metadata.annotations.as_mut().unwrap().insert(TEMPLATE_ANNOTATION.to_owned(), "0123456789".to_owned());
    let pod = foreign.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    pod.containers[0].env.as_mut().unwrap()[2].value = Some("binary".to_owned());
    foreign
}

/// Asks a release whose image is `server:2`.
fn taken_over(live: Option<&Deployment>, spec: &Value, rolling: bool) -> (Objects, Extent) {
    let resolved = resolved(spec);
    let image = resolved.server_image.clone().unwrap_or_else(|| "server:2".to_owned());
    take_over(live, &image, |image| made(&resolved, image), || rolling)
}

#[test]
fn what_runs_keeps_its_image_and_is_put_back_as_it_was_made() {
    let (objects, extent) = taken_over(None, &json!({}), false);
    assert_eq!((image(&objects), extent), ("server:2", Extent::Whole), "a new revision has the new image");

    let (objects, extent) = taken_over(Some(&old()), &json!({}), false);
    assert_eq!((image(&objects), extent), ("server:1", Extent::Whole));
    assert_eq!(objects.deployment, old(), "not a byte of it is another");

    let mut by_hand = old();
    by_hand.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some("by-hand:3".to_owned());
    let (objects, extent) = taken_over(Some(&by_hand), &json!({}), false);
    assert_eq!((image(&objects), extent), ("server:1", Extent::Whole), "what somebody else set is put back");
    let pod = objects.deployment.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("server:1"));
}

#[test]
fn the_template_of_another_release_is_left_alone() {
    let mut unmarked = old();
    unmarked.metadata.annotations.as_mut().unwrap().retain(|key, _| key != TEMPLATE_ANNOTATION && key != SERVER_IMAGE_ANNOTATION);
    for live in [foreign(), unmarked] {
        let changed = json!({"replicas": 5, "rollout": {"progressDeadline": "90s", "capacity": "Replace"}});
        let (objects, extent) = taken_over(Some(&live), &changed, false);
        assert_eq!((image(&objects), extent), ("server:1", Extent::AroundTheTemplate));
        let written = around_the_template(&live, &objects.deployment);
        let (written, live) = (written.spec.unwrap(), live.spec.unwrap());
        assert_eq!(written.template, live.template);
        assert_eq!((written.replicas, written.progress_deadline_seconds), (Some(5), Some(90)));
        assert_eq!(written.strategy, objects.deployment.spec.unwrap().strategy);
        assert_ne!(written.strategy, live.strategy);
    }
}

#[test]
fn what_is_asked_for_is_made_anew() {
    let mut asked = foreign();
    asked.metadata.annotations.as_mut().unwrap().insert(TEMPLATE_ANNOTATION.to_owned(), RENEW.to_owned());
    for (live, rolling) in [(asked, false), (foreign(), true), (old(), true)] {
        let (objects, extent) = taken_over(Some(&live), &json!({}), rolling);
        assert_eq!((image(&objects), extent), ("server:2", Extent::Whole));
        assert_ne!(objects.deployment.metadata.annotations.unwrap()[TEMPLATE_ANNOTATION], RENEW, "it is asked for once");
    }
    let own = json!({"serverImage": "own:7"});
    let live = made(&resolved(&own), "own:7").deployment;
    let (objects, _) = take_over(Some(&live), "own:7", |image| made(&resolved(&own), image), || panic!("nothing is to change"));
    assert_eq!(image(&objects), "own:7");
}

#[test]
fn rolled_out_is_what_the_controller_says_of_this_template() {
    let with = |seen: i64, reason: &str| {
        let mut live = old();
        live.metadata.generation = Some(2);
        let progressing = json!({"type": "Progressing", "status": "True", "reason": reason});
        let status = json!({"observedGeneration": seen, "conditions": [{"type": "Available", "status": "True"}, progressing]});
        live.status = Some(serde_json::from_value(status).unwrap());
        is_rolled_out(&live)
    };
    assert!(!is_rolled_out(&old()), "nobody has looked at it yet");
    assert!(with(2, "NewReplicaSetAvailable"));
    assert!(!with(1, "NewReplicaSetAvailable"), "that is about the template before");
    assert!(!with(2, "ReplicaSetUpdated") && !with(2, "ProgressDeadlineExceeded"));
}

#[test]
fn several_models_that_an_earlier_release_made_go_on_until_their_next_revision() {
    let several = || resolved(&json!({"model": null, "models": [{"name": "a", "uri": "http://models/a"}]}));
    let (old, new) = (several().inline.unwrap().revision, several().revision);
    for (there, following, expected) in [
        (None, None, &new),
        (None, Some(2), &new),
        (Some(2), None, &old),
        (Some(0), None, &old),
        (Some(2), Some(0), &old),
        (Some(0), Some(0), &new),
        (Some(0), Some(2), &new),
        (Some(1), Some(1), &new),
    ] {
        let wanted = |name: &str| if name == old { there } else { following.filter(|_| name == new) };
        let chosen = as_it_runs(several(), wanted);
        assert_eq!(&chosen.revision, expected, "{there:?} {following:?}");
        assert_eq!(chosen.follows(), *expected == new);
        let objects = made(&chosen, "server:1");
        assert_eq!(objects.configuration.is_some(), *expected == new);
    }
    let one = resolved(&json!({}));
    assert_eq!(as_it_runs(one.clone(), |_| Some(1)), one);
}
