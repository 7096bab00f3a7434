//! From the release before to this one and back, while somebody asks all the time.
//!
//! The release before is a commit of this repository's history: `tests/operator/previous-release` builds it, its programs are the images of
//! the tag `before`, and its chart brings its rights and its definition of the kind.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use modelyard_core::release::is_rolled_out;
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::{Value, json};

use super::{replicas, restart, spec};
use crate::cluster::{self, RELEASE};
use crate::deployed::{Deployed, condition, is_current};
use crate::namespace::{Namespace, PATIENCE, alone};
use crate::record;
use crate::several::{one, several, until_has};
use crate::watch::{self, labelled};

/// The tag of this release's images.
const NOW: &str = env!("CARGO_PKG_VERSION");

const BEFORE: &str = "image.tag=before,serverImage.tag=before";

/// A field of a model that the release before does not know. When another commit becomes that release, and knows it, a newer one has its
/// place here.
const NEWER: &str = "postprocess";

/// A spec that uses it: the digit is answered in place of the ten probabilities.
fn newer(version: u32, replicas: u32) -> Value {
    let mut spec = spec(version, replicas);
    spec["model"][NEWER] = json!([
        { "op": "Argmax", "columns": ["probabilities"], "to": ["digit"] },
        { "op": "Drop", "columns": ["probabilities"] },
    ]);
    spec
}

/// A spec of several models, with one replica that drains long enough.
fn list(names: &[&str]) -> Value {
    several(&names.iter().map(|name| one(name, "model.onnx", 1)).collect::<Vec<_>>(), 1)
}

/// Whether the kind as the cluster has it knows the field.
fn is_known() -> bool {
    let kind = cluster::run("kubectl", &["get", "crd", "modeldeployments.modelyard.dev", "-o", "json"], "");
    let schema = &serde_json::from_str::<Value>(&kind).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let model = &schema["properties"]["spec"]["properties"]["model"]["properties"];
    assert!(model["uri"].is_object(), "no definition of a model: {schema}");
    !model[NEWER].is_null()
}

fn tagged(tag: &str) -> BTreeSet<String> {
    [format!("modelyard-server:{tag}")].into()
}

/// Until the one operator that runs is of this tag.
async fn until_operator(namespace: &Namespace, tag: &str) {
    let operators: Api<Pod> = Api::namespaced(namespace.client.clone(), RELEASE);
    let image = format!("modelyard:{tag}");
    let alone = |pods: &[&Pod]| {
        let runs = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.containers[0].image.as_ref() == Some(&image));
        (pods.len() == 1 && runs(pods[0])).then_some(())
    };
    let reached = watch::until(operators, labelled("app.kubernetes.io/component=controller"), PATIENCE, alone).await;
    reached.unwrap_or_else(|last| panic!("{image} does not run alone: {last:?}"));
}

/// Scales as a person does: an operator that does so is at work.
async fn scale(deployed: &Deployed<'_>, replicas: u32) {
    deployed.namespace.kubectl(&["scale", "mdep", &deployed.name, &format!("--replicas={replicas}")]);
    let counted = format!("{replicas}/{replicas}");
    let reached = |object: &Value| {
        let status = &object["status"];
        is_current(object)
            && condition(object, "Ready").status == "True"
            && status["readyOfWanted"] == *counted
            && status["replicas"] == replicas
    };
    deployed.until(&format!("has {counted}"), reached).await;
}

/// Until all replicas of a deployment run the image of this tag, and no other is left.
async fn until_all_run(namespace: &Namespace, name: &str, tag: &str) {
    let image = format!("modelyard-server:{tag}");
    let runs = |one: &Deployment| image_of(one) == Some(&image);
    until_all_are(namespace, name, &format!("run {image}"), runs).await;
}

/// Until all revisions of a deployment that have replicas are such and rolled out.
async fn until_all_are(namespace: &Namespace, name: &str, what: &str, such: impl Fn(&Deployment) -> bool) {
    namespace
        .until(&format!("all of {name} {what}"), labelled(&format!("{DEPLOYMENT_LABEL}={name}")), |all: &[&Deployment]| {
            let mut wanted = all.iter().filter(|one| is_wanted(one)).peekable();
            (wanted.peek().is_some() && wanted.all(|one| such(one) && is_rolled_out(one))).then_some(())
        })
        .await;
}

fn image_of(deployment: &Deployment) -> Option<&String> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.containers[0].image.as_ref()
}

/// A retired revision has no replicas, and the template that it was made with.
fn is_wanted(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().is_some_and(|spec| spec.replicas != Some(0))
}

/// The names of the revisions of a deployment that have replicas.
async fn wanted(namespace: &Namespace, name: &str) -> BTreeSet<String> {
    let chosen = ListParams::default().labels(&format!("{DEPLOYMENT_LABEL}={name}"));
    let all = namespace.api::<Deployment>().list(&chosen).await.unwrap();
    all.iter().filter(|one| is_wanted(one)).map(ResourceExt::name_any).collect()
}

/// The pods' templates of all revisions of these deployments.
async fn templates(namespace: &Namespace, names: &[&str]) -> BTreeMap<String, Value> {
    let chosen = format!("{DEPLOYMENT_LABEL} in ({})", names.join(","));
    let all = namespace.api::<Deployment>().list(&ListParams::default().labels(&chosen)).await.unwrap();
    let template = |one: &Deployment| serde_json::to_value(&one.spec.as_ref().unwrap().template).unwrap();
    all.iter().map(|one| (one.name_any(), template(one))).collect()
}

/// Three models, and several in one server.
struct Models<'a> {
    namespace: &'a Namespace,
    /// Nobody changes it.
    kept: Deployed<'a>,
    /// It is restarted after the upgrade.
    renewed: Deployed<'a>,
    /// Its spec is changed after the upgrade.
    changed: Deployed<'a>,
    /// Several, whose servers get their models once with that release, and follow them with this one.
    several: Deployed<'a>,
}

impl Models<'_> {
    async fn deploy(namespace: &Namespace) -> Models<'_> {
        let (kept, renewed) = (namespace.deploy("kept", spec(1, 2)).await, namespace.deploy("renewed", spec(1, 1)).await);
        let (changed, zoo) = (namespace.deploy("changed", spec(1, 1)).await, list(&["several"]));
        let models = Models { namespace, kept, renewed, changed, several: namespace.deploy("several", zoo).await };
        for one in [&models.kept, &models.renewed, &models.changed, &models.several] {
            one.until_ready().await;
        }
        models
    }

    /// From the release before to this one: nothing is restarted; this release's servers come with a change, and when they are asked for.
    async fn go_forward(&self) {
        let made = templates(self.namespace, &["kept", "renewed", "changed"]).await;
        let (first, images) = replicas(self.namespace, "kept").await;
        assert_eq!((first.len(), images), (2, tagged("before")));
        let (renewed, changed) = (replicas(self.namespace, "renewed").await, replicas(self.namespace, "changed").await);
        let several = replicas(self.namespace, "several").await;

        cluster::upgrade("");
        until_operator(self.namespace, NOW).await;
        assert!(is_known(), "the chart brings its own release's definition of the kind");
        scale(&self.kept, 3).await;
        let (grown, images) = replicas(self.namespace, "kept").await;
        assert!(grown.is_superset(&first), "{first:?} are not all among {grown:?}");
        assert_eq!(images, tagged("before"), "a revision keeps its server, in new replicas as well");
        assert_eq!(replicas(self.namespace, "renewed").await, renewed);
        assert_eq!(replicas(self.namespace, "changed").await, changed);
        assert_eq!(templates(self.namespace, &["kept", "renewed", "changed"]).await, made);

        scale(&self.several, 2).await;
        let (grown, images) = replicas(self.namespace, "several").await;
        assert!(grown.is_superset(&several.0), "{several:?} are not all among {grown:?}");
        assert_eq!(images, tagged("before"), "servers that do not follow their models stay until these change");
        scale(&self.several, 1).await;
        self.several.apply(list(&["several", "other"])).await;
        until_has(&self.several, &["several", "other"]).await;
        let (moved, images) = replicas(self.namespace, "several").await;
        assert!(moved.is_disjoint(&grown) && images == tagged(NOW), "the next revision is one that follows");
        self.several.apply(list(&["other", "several", "third"])).await;
        until_has(&self.several, &["other", "several", "third"]).await;
        assert_eq!(replicas(self.namespace, "several").await.0, moved, "and from then on no pod restarts");

        self.changed.apply(newer(2, 1)).await;
        self.changed.until_ready().await;
        assert_eq!(replicas(self.namespace, "changed").await.1, tagged(NOW), "a new revision has the new server");
        assert_eq!(self.changed.answer().await, 7, "and what is new in it");
        restart(self.namespace, "renewed");
        until_all_run(self.namespace, "renewed", NOW).await;
        let (again, images) = replicas(self.namespace, "renewed").await;
        assert!(again.is_disjoint(&renewed.0));
        assert_eq!(images, tagged(NOW));
    }

    /// Back to the release before: nothing is restarted, whoever started it. A field that the older release does not know is gone.
    async fn go_back(&self) {
        let made = templates(self.namespace, &["kept", "renewed"]).await;
        let (kept, renewed) = (replicas(self.namespace, "kept").await.0, replicas(self.namespace, "renewed").await.0);
        let with_field = wanted(self.namespace, "changed").await;

        cluster::run(
            "helm",
            &["rollback", RELEASE, "--namespace", RELEASE, "--force-conflicts", "--wait", "--timeout", "2m"],
            "",
        );
        until_operator(self.namespace, "before").await;
        assert!(!is_known(), "the definition of the kind goes back too");
        scale(&self.kept, 2).await;
        let (left, images) = replicas(self.namespace, "kept").await;
        assert!(left.is_subset(&kept), "{left:?} are not all among {kept:?}");
        assert_eq!(images, tagged("before"));
        scale(&self.renewed, 2).await;
        let (grown, images) = replicas(self.namespace, "renewed").await;
        assert!(grown.is_superset(&renewed), "{renewed:?} are not all among {grown:?}");
        assert_eq!(images, tagged(NOW), "going back restarts nothing either");
        assert_eq!(templates(self.namespace, &["kept", "renewed"]).await, made);

        until_all_run(self.namespace, "several", "before").await;
        // The definition goes back before the operator does, so either of both operators may be the first to see the spec without the field.
        // Its revision has the servers of the one that made it, and the other leaves it as it is.
        let of_either: BTreeSet<String> = tagged("before").into_iter().chain(tagged(NOW)).collect();
        let such = |one: &Deployment| {
            !with_field.contains(&one.name_any()) && image_of(one).is_some_and(|image| of_either.contains(image))
        };
        until_all_are(self.namespace, "changed", "are another revision, of either release's servers", such).await;
        assert_eq!(self.changed.predict().await, 7, "ten probabilities, as without the field");
    }

    /// Forward again, and this time for all servers of the release before.
    async fn go_forward_with_all(&self) {
        let (kept, renewed) = (replicas(self.namespace, "kept").await.0, replicas(self.namespace, "renewed").await);

        cluster::upgrade("extraArgs={--server-upgrade=Rolling}");
        until_operator(self.namespace, NOW).await;
        for name in ["kept", "changed", "several"] {
            until_all_run(self.namespace, name, NOW).await;
        }
        assert!(replicas(self.namespace, "kept").await.0.is_disjoint(&kept));
        assert_eq!(replicas(self.namespace, "renewed").await, renewed, "it had this release's servers already");
    }
}

#[tokio::test]
async fn upgrading_the_operator_restarts_nothing_and_neither_does_going_back() {
    let Some(previous) = cluster::previous_release() else {
        let why = "it needs images of the release before, which tests/operator/run makes for a cluster of its own";
        return record::skipped("upgrading_the_operator_restarts_nothing_and_neither_does_going_back", why);
    };
    alone("upgrade", async |namespace| {
        cluster::upgrade_to(&previous.join("charts/modelyard"), BEFORE);
        until_operator(namespace, "before").await;
        assert!(!is_known(), "the release before knows model.{NEWER} too: name a newer field in its place");
        let models = Models::deploy(namespace).await;
        let probers = [namespace.probe("kept").await, namespace.probe("renewed").await, namespace.probe("several").await];
        models.go_forward().await;
        models.go_back().await;
        models.go_forward_with_all().await;
        for prober in probers {
            let answers = prober.until_more(100).await; // past the end of the last replica
            assert_eq!(answers.failures(), Vec::<&String>::new());
            assert_eq!(answers.versions(), ["1"]);
        }
    })
    .await;
}
