//! From one release of the operator to the next and back, while somebody asks all the time.
//!
//! The release before is the same programs under another tag, with another image for the servers that it starts: the tag `before`.
//! A second release from source would double the build. What it cannot show, a release that renders pods otherwise, is shown by a
//! Deployment that is changed to be like that.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use modelyard_core::release::is_rolled_out;
use modelyard_core::render::{DEPLOYMENT_LABEL, TEMPLATE_ANNOTATION};
use serde_json::{Value, json};

use crate::cluster::{self, RELEASE};
use crate::deployed::{Deployed, condition, is_current, mnist};
use crate::namespace::{Namespace, PATIENCE, alone, within};
use crate::record;
use crate::watch::{self, labelled};

const BEFORE: &str = "image.tag=before,serverImage.tag=before";

/// A spec with replicas that drain long enough for every client to hear of it.
fn spec(version: u32, replicas: u32) -> Value {
    let mut spec = mnist(version);
    spec["replicas"] = replicas.into();
    spec["serving"]["drainDelay"] = "4s".into();
    spec
}

/// The replicas of a deployment, and the images that they run.
async fn replicas(namespace: &Namespace, name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = namespace.api::<Pod>().list(&Default::default()).await.unwrap();
    let own = all.items.into_iter().filter(|pod| {
        pod.metadata.deletion_timestamp.is_none() && pod.labels().get(DEPLOYMENT_LABEL).is_some_and(|own| own == name)
    });
    own.map(|pod| (pod.uid().unwrap(), pod.spec.unwrap().containers[0].image.clone().unwrap())).unzip()
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
    let (image, chosen) = (format!("modelyard-server:{tag}"), format!("{DEPLOYMENT_LABEL}={name}"));
    namespace
        .until(&format!("all of {name} run {image}"), labelled(&chosen), |all: &[&Deployment]| {
            let runs = |one: &Deployment| {
                let template = &one.spec.as_ref()?.template;
                Some(template.spec.as_ref()?.containers[0].image.as_ref() == Some(&image) && is_rolled_out(one))
            };
            (!all.is_empty() && all.iter().all(|one| runs(one) == Some(true))).then_some(())
        })
        .await;
}

fn restart(namespace: &Namespace, name: &str) {
    cluster::run(env!("CARGO_BIN_EXE_modelyard"), &["restart", "-n", &namespace.name, name], "");
}

#[tokio::test]
async fn upgrading_the_operator_restarts_nothing_and_neither_does_going_back() {
    if !cluster::is_private_node() {
        let why = "it replaces the operator by one of the tag before, which only the private node has";
        return record::skipped("upgrading_the_operator_restarts_nothing_and_neither_does_going_back", why);
    }
    alone("upgrade", async |namespace| {
        let now = env!("CARGO_PKG_VERSION");
        cluster::upgrade(BEFORE);
        let (mnist, other) = (namespace.deploy("mnist", spec(1, 2)).await, namespace.deploy("other", spec(1, 1)).await);
        mnist.until_ready().await;
        other.until_ready().await;
        let (first, images) = replicas(namespace, "mnist").await;
        assert_eq!((first.len(), images), (2, tagged("before")));
        let prober = namespace.probe("mnist").await;

        cluster::upgrade("");
        until_operator(namespace, now).await;
        scale(&mnist, 3).await;
        let (grown, images) = replicas(namespace, "mnist").await;
        assert!(grown.is_superset(&first), "{first:?} are not all among {grown:?}");
        assert_eq!(images, tagged("before"), "a revision keeps its server, in new replicas as well");
        let (untouched, images) = replicas(namespace, "other").await;
        assert_eq!((untouched.len(), images), (1, tagged("before")));
        other.apply(spec(2, 1)).await;
        other.until_ready().await;
        assert_eq!(replicas(namespace, "other").await.1, tagged(now), "a new revision has the new server");

        restart(namespace, "mnist");
        until_all_run(namespace, "mnist", now).await;
        let (renewed, images) = replicas(namespace, "mnist").await;
        assert!(renewed.is_disjoint(&grown));
        assert_eq!(images, tagged(now));

        cluster::run("helm", &["rollback", RELEASE, "--namespace", RELEASE, "--wait", "--timeout", "2m"], "");
        until_operator(namespace, "before").await;
        scale(&mnist, 2).await;
        let (left, images) = replicas(namespace, "mnist").await;
        assert!(left.is_subset(&renewed), "{left:?} are not all among {renewed:?}");
        assert_eq!(images, tagged(now), "going back restarts nothing either");

        cluster::upgrade(&format!("{BEFORE},extraArgs={{--server-upgrade=Rolling}}"));
        for name in ["mnist", "other"] {
            until_all_run(namespace, name, "before").await;
        }
        let answers = prober.until_more(100).await; // past the end of the last replica
        assert_eq!(answers.failures(), Vec::<&String>::new());
        assert_eq!(answers.versions(), ["1"]);
    })
    .await;
}

#[tokio::test]
async fn a_template_that_another_release_made_is_left_as_it_is() {
    within("other-release", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 1)).await;
        mnist.until_ready().await;
        let deployments = namespace.api::<Deployment>();
        let name = deployments.list(&Default::default()).await.unwrap().items.remove(0).name_any();
        let format = |one: &Deployment| {
            let container = &one.spec.as_ref()?.template.spec.as_ref()?.containers[0];
            container.env.as_ref()?.iter().find(|one| one.name == "MODELYARD_LOG_FORMAT")?.value.clone()
        };
        let foreign = json!({
            "metadata": { "annotations": { TEMPLATE_ANNOTATION: "0123456789" } },
            "spec": { "template": { "spec": { "containers": [{ "name": "server",
                "env": [{ "name": "MODELYARD_LOG_FORMAT", "value": "text" }] }] } } },
        });
        deployments.patch(&name, &PatchParams::default(), &Patch::Strategic(foreign)).await.unwrap();
        let complete = |all: &[&Deployment]| all.first().filter(|one| is_rolled_out(one)).map(drop);
        namespace.until("its replica is replaced", labelled(DEPLOYMENT_LABEL), complete).await;
        let (before, _) = replicas(namespace, "mnist").await;
        assert_eq!(before.len(), 1);

        let mut changed = spec(1, 2);
        changed["rollout"] = json!({ "progressDeadline": "90s" });
        mnist.apply(changed).await;
        mnist.until("has two", |object| is_current(object) && object["status"]["readyOfWanted"] == "2/2").await;
        let live = deployments.get(&name).await.unwrap();
        assert_eq!(format(&live).as_deref(), Some("text"));
        assert_eq!(live.spec.unwrap().progress_deadline_seconds, Some(90), "what restarts nothing follows the spec");
        assert!(replicas(namespace, "mnist").await.0.is_superset(&before));

        restart(namespace, "mnist");
        let live = deployments.get(&name).await.unwrap();
        assert_eq!(format(&live).as_deref(), Some("json"), "who restarts it gets what this release makes");
        assert!(replicas(namespace, "mnist").await.0.is_disjoint(&before));
    })
    .await;
}
