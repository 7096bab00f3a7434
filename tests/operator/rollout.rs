//! One revision after another, while somebody asks all the time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use modelyard_core::render::{DEPLOYMENT_LABEL, REVISION_LABEL};
use serde_json::{Value, json};

use crate::cluster::{self, RELEASE};
use crate::deployed::{Deployed, condition, is_current, mnist, model};
use crate::namespace::{Namespace, alone, within};
use crate::store;
use crate::watch::labelled;

/// The name of the revision that has this role.
fn revision(object: &Value, role: &str) -> String {
    let found = object["status"]["revisions"].as_array().unwrap().iter().find(|one| one["role"] == role);
    found.unwrap_or_else(|| panic!("no {role}: {:#}", object["status"]))["name"].as_str().unwrap().to_owned()
}

/// Replicas that the Deployments of the revisions have been told to have, by revision.
async fn wanted(namespace: &Namespace, revision: &str) -> Option<i32> {
    let all = namespace.api::<Deployment>().list(&Default::default()).await.unwrap();
    let own = all.items.into_iter().find(|one| one.labels().get(REVISION_LABEL).is_some_and(|own| own == revision))?;
    own.spec?.replicas
}

async fn pods(namespace: &Namespace) -> Vec<String> {
    namespace
        .until("the pods", labelled(DEPLOYMENT_LABEL), |pods: &[&Pod]| Some(pods.iter().filter_map(|pod| pod.uid()).collect()))
        .await
}

/// A spec with replicas that drain long enough for every client to hear of it.
fn spec(version: u32, replicas: u32) -> Value {
    let mut spec = mnist(version);
    spec["replicas"] = replicas.into();
    spec["serving"]["drainDelay"] = "4s".into();
    spec
}

async fn until_alone(mnist: &Deployed<'_>, version: u32) -> Value {
    mnist
        .until(&format!("has version {version} alone"), |object| {
            let stable = object["status"]["revisions"].as_array().into_iter().flatten().find(|one| one["role"] == "Stable");
            is_current(object)
                && condition(object, "Ready").status == "True"
                && stable.is_some_and(|one| one["version"] == version && one["weight"] == 100)
        })
        .await
}

#[tokio::test]
async fn a_new_version_takes_over_without_a_failed_request() {
    within("rolling", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        let old = revision(&mnist.until_ready().await, "Stable");
        let prober = namespace.probe("mnist").await;
        mnist.apply(spec(2, 2)).await;
        let done = until_alone(&mnist, 2).await;
        let answers = prober.until_more(100).await; // past the end of the old replicas
        assert_eq!(answers.failures(), Vec::<&String>::new());
        assert_eq!((answers.versions(), answers.last()), (vec!["1", "2"], Some("2")));
        assert_ne!(revision(&done, "Stable"), old);
        assert_eq!(revision(&done, "Retired"), old);
        assert_eq!(wanted(namespace, &old).await, Some(0), "the old revision is kept, at zero");
    })
    .await;
}

#[tokio::test]
async fn a_bad_revision_leaves_the_old_one_serving_and_is_undone_at_once() {
    within("bad-revision", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 2)).await;
        let old = revision(&mnist.until_ready().await, "Stable");
        let before = pods(namespace).await;
        let prober = namespace.probe("mnist").await;
        let mut bad = spec(2, 2);
        bad["model"]["uri"] = store::uri("absent.onnx").into();
        mnist.apply(bad).await;
        let failing = mnist.until_not_ready("ModelNotFound", &["absent.onnx", "404"]).await;
        assert_eq!(condition(&failing, "Serving").status, "True");
        assert_eq!(
            (condition(&failing, "UpToDate").status.as_str(), condition(&failing, "UpToDate").reason.as_str()),
            ("False", "ModelNotFound")
        );
        assert_eq!(failing["status"]["failure"]["reason"], "ModelNotFound");
        assert_eq!(failing["status"]["failure"]["exitCode"], 66);
        assert_eq!(revision(&failing, "Stable"), old);
        assert_eq!(failing["status"]["readyReplicas"], 2);
        let bad = revision(&failing, "Candidate");

        let undone = Instant::now();
        mnist.apply(spec(1, 2)).await;
        let back = until_alone(&mnist, 1).await;
        let took = undone.elapsed();
        assert!(took < Duration::from_secs(10), "going back took {took:?}: nothing had to start for it");
        assert_eq!(revision(&back, "Stable"), old);
        assert_eq!(back["status"]["failure"], json!(null));
        assert_eq!(wanted(namespace, &bad).await, Some(0));
        let left = pods(namespace).await;
        assert!(before.iter().all(|pod| left.contains(pod)), "the replicas are those of before");
        let answers = prober.until_more(20).await;
        assert_eq!(answers.failures(), Vec::<&String>::new());
        assert_eq!(answers.versions(), ["1"]);
    })
    .await;
}

#[tokio::test]
async fn a_rollout_goes_on_when_the_operator_is_killed() {
    // Who is told of something once, or of progress in time, would miss the operator.
    alone("killed", async |namespace| {
        let mnist = namespace.deploy("mnist", spec(1, 3)).await;
        mnist.until_ready().await;
        // They cost nothing, and must all be looked at by the next operator.
        let idle =
            join_all((0..8).map(|number| async move { namespace.deploy(&format!("idle-{number}"), spec(1, 0)).await })).await;
        join_all(idle.iter().map(|one| one.until_ready())).await;
        let prober = namespace.probe("mnist").await;
        mnist.apply(spec(2, 3)).await;
        let rolling = |object: &Value| {
            let old = object["status"]["revisions"].as_array().into_iter().flatten().find(|one| one["version"] == 1);
            is_current(object)
                && condition(object, "Ready").reason == "RollingOut"
                && object["status"]["readyReplicas"].as_i64() > Some(0)
                && old.is_some_and(|one| one["replicas"].as_i64() < Some(3))
        };
        mnist.until("is in the middle of its rollout", rolling).await;
        let operators: kube::Api<Pod> = kube::Api::namespaced(namespace.client.clone(), RELEASE);
        for pod in operators.list(&kube::api::ListParams::default().labels("app.kubernetes.io/name=modelyard")).await.unwrap() {
            operators.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
        }
        until_alone(&mnist, 2).await;
        let answers = prober.until_more(100).await;
        assert_eq!(answers.failures(), Vec::<&String>::new());
        assert_eq!(answers.last(), Some("2"));
        join_all(idle.iter().map(|one| one.apply(spec(2, 0)))).await;
        join_all(idle.iter().map(|one| one.until_ready())).await;
        cluster::run("kubectl", &["-n", RELEASE, "rollout", "status", "deployment", RELEASE, "--timeout=60s"], "");
    })
    .await;
}

#[tokio::test]
async fn a_slow_store_is_told_with_what_has_come() {
    within("slow-store", async |namespace| {
        let mnist = namespace.deploy("mnist", model(json!({ "uri": store::uri("cgi-bin/slow") }))).await;
        let share = |object: &Value| -> Option<f64> {
            let ready = condition(object, "Ready");
            let of = ready
                .message
                .strip_suffix(" MB of 7.4 MB of its model")
                .or(ready.message.strip_suffix(" MB of 7.5 MB of its model"))?;
            (ready.reason == "Downloading").then(|| of.rsplit(' ').next().unwrap().parse().unwrap())
        };
        let first = mnist.until("tells how much has come", |object| share(object) > Some(0.5)).await;
        let first = share(&first);
        mnist.until("tells that more has come", |object| share(object) > first).await;
        mnist.until_ready().await;
    })
    .await;
}
