//! Several models in one server: they come, go and change while somebody asks all the time, and no pod restarts for it.

use std::collections::BTreeMap;
use std::time::Instant;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::DeleteParams;
use modelyard_core::render::{CONFIG_ANNOTATION, CONFIG_FILE, DEPLOYMENT_LABEL};
use modelyard_core::server_config::ServerConfig;
use serde_json::{Value, json};

use crate::cluster;
use crate::deployed::{Deployed, condition, is_current};
use crate::namespace::{Namespace, within};
use crate::store;
use crate::watch::labelled;

/// A model of the store.
pub(crate) fn one(name: &str, file: &str, version: u32) -> Value {
    json!({ "name": name, "uri": store::uri(file), "version": version })
}

/// A spec of these, quick to stop.
pub(crate) fn several(models: &[Value], replicas: u32) -> Value {
    json!({
        "models": models, "replicas": replicas,
        "serving": { "drainDelay": "4s" },
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
    })
}

/// Each model with its state.
fn states(object: &Value) -> Vec<(String, String)> {
    let models = object["status"]["models"].as_array().into_iter().flatten();
    models.map(|one| (one["name"].as_str().unwrap().to_owned(), one["state"].as_str().unwrap().to_owned())).collect()
}

/// Until the newest spec serves with exactly these models, all of them ready.
pub(crate) async fn until_has(deployed: &Deployed<'_>, names: &[&str]) -> Value {
    let expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), "Ready".to_owned())).collect();
    let reached =
        |object: &Value| is_current(object) && condition(object, "Ready").status == "True" && states(object) == expected;
    deployed.until(&format!("has {names:?}"), reached).await
}

/// The pods that are not on their way out, by their UID, none of which was started twice.
async fn pods(namespace: &Namespace) -> BTreeMap<String, Pod> {
    let all = namespace.api::<Pod>().list(&Default::default()).await.unwrap();
    let own = all
        .items
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none() && pod.labels().contains_key(DEPLOYMENT_LABEL));
    own.map(|pod| {
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        assert_eq!(containers.map(|one| one.restart_count).sum::<i32>(), 0, "{} was started again", pod.name_any());
        (pod.uid().unwrap(), pod)
    })
    .collect()
}

/// What a server says of itself.
fn said(namespace: &Namespace, pod: &Pod) -> Value {
    let path = format!("/api/v1/namespaces/{}/pods/{}:9090/proxy/readyz", namespace.name, pod.name_any());
    serde_json::from_str(&cluster::run("kubectl", &["get", "--raw", &path], "")).unwrap()
}

/// Those of these ConfigMaps that hold a list, not what its names led to.
fn lists<'a>(all: impl IntoIterator<Item = &'a ConfigMap>) -> Vec<&'a ConfigMap> {
    all.into_iter().filter(|one| one.data.as_ref().is_some_and(|data| data.contains_key(CONFIG_FILE))).collect()
}

/// The names of what a ConfigMap holds.
fn names(configuration: &ConfigMap) -> Vec<String> {
    let text = &configuration.data.as_ref().unwrap()[CONFIG_FILE];
    ServerConfig::from_json(text).unwrap().models.into_iter().map(|model| model.name).collect()
}

#[tokio::test]
async fn models_come_and_go_and_no_pod_restarts() {
    within("several", async |namespace| {
        let (first, other) = (one("mnist", "model.onnx", 1), one("other", "model.onnx", 1));
        let deployed = namespace.deploy("mnist", several(&[first.clone(), other.clone()], 2)).await;
        deployed.until_ready().await;
        until_has(&deployed, &["mnist", "other"]).await;
        let before: Vec<String> = pods(namespace).await.into_keys().collect();
        assert_eq!(before.len(), 2);
        let prober = namespace.probe("mnist").await;
        namespace.press("mnist").await;

        let third = one("third", "big.onnx", 7);
        let began = Instant::now();
        deployed.apply(several(&[first.clone(), other.clone(), third.clone()], 2)).await;
        until_has(&deployed, &["mnist", "other", "third"]).await;
        println!("a model more was told as ready after {:?}", began.elapsed());

        let began = Instant::now();
        deployed.apply(several(&[one("mnist", "model.onnx", 2), other, third.clone()], 2)).await;
        until_has(&deployed, &["mnist", "other", "third"]).await;
        println!("a changed model was told as ready after {:?}", began.elapsed());
        assert_eq!(prober.until_more(20).await.last(), Some("2"));

        deployed.apply(several(&[one("mnist", "model.onnx", 2), third.clone()], 2)).await;
        until_has(&deployed, &["mnist", "third"]).await;

        let absent = one("absent", "absent.onnx", 1);
        deployed.apply(several(&[one("mnist", "model.onnx", 2), absent, third.clone()], 2)).await;
        let broken = deployed.until_not_ready("ModelNotFound", &["model 'absent'", "absent.onnx", "404"]).await;
        assert_eq!(condition(&broken, "Serving").status, "True", "the others serve");
        assert_eq!(broken["status"]["readyReplicas"], 2);
        let expected = [("mnist", "Ready"), ("absent", "Failed"), ("third", "Ready")];
        assert_eq!(states(&broken), expected.map(|(name, state)| (name.to_owned(), state.to_owned())));
        assert_eq!(broken["status"]["models"][1]["reason"], "ModelNotFound");
        deployed.until_event("ModelNotFound", "Warning").await;
        let (_, screen) = deployed.asked_for_status(&[]);
        assert!(screen.contains("models, 2 of 3 answer") && screen.contains("absent  Failed"), "{screen}");

        deployed.apply(several(&[one("mnist", "model.onnx", 2), third], 2)).await;
        let well = until_has(&deployed, &["mnist", "third"]).await;
        let after = pods(namespace).await;
        assert_eq!(after.keys().cloned().collect::<Vec<_>>(), before, "not one pod is another");
        assert_eq!(well["status"]["revisions"].as_array().unwrap().len(), 1, "nor is the revision");
        let answers = prober.until_more(20).await;
        assert_eq!(answers.failures(), Vec::<&String>::new());
        assert_eq!((answers.versions(), answers.last()), (vec!["1", "2"], Some("2")));

        let gone = after.into_values().next().unwrap();
        namespace.api::<Pod>().delete(&gone.name_any(), &DeleteParams::default()).await.unwrap();
        let fresh = namespace
            .until("another pod is ready", labelled(DEPLOYMENT_LABEL), |all: &[&Pod]| {
                let ready = |pod: &Pod| {
                    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
                    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
                };
                let fresh = all.iter().find(|pod| !before.contains(&pod.uid().unwrap()) && ready(pod))?;
                Some((**fresh).clone())
            })
            .await;
        let told = said(namespace, &fresh);
        let served: Vec<_> =
            told["models"].as_array().unwrap().iter().map(|one| (&one["name"], &one["version"], &one["state"])).collect();
        let (ready, expected) = (json!("Ready"), [(json!("mnist"), json!(2)), (json!("third"), json!(7))]);
        assert_eq!(served, expected.each_ref().map(|(name, version)| (name, version, &ready)), "{told:#}");
        until_has(&deployed, &["mnist", "third"]).await;
        let fresh = namespace.api::<Pod>().get(&fresh.name_any()).await.unwrap();
        assert_eq!(fresh.annotations().get(CONFIG_ANNOTATION), None, "who starts with what is wanted is not sent after it");
        assert_eq!(prober.until_more(20).await.failures(), Vec::<&String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_revision_that_is_gone_back_to_has_the_models_that_it_had() {
    within("several-back", async |namespace| {
        let (a, b) = (one("a", "model.onnx", 1), one("b", "model.onnx", 1));
        let deployed = namespace.deploy("zoo", several(std::slice::from_ref(&a), 1)).await;
        until_has(&deployed, &["a"]).await;
        let mut more = several(&[b.clone(), a.clone()], 1);
        deployed.apply(more.clone()).await;
        until_has(&deployed, &["b", "a"]).await;
        let refused =
            cluster::attempt(env!("CARGO_BIN_EXE_modelyard"), &["rollback", "-n", &namespace.name, "zoo"], "").unwrap_err();
        assert!(refused.contains("a change of models[] alone makes no revision"), "{refused}");

        more["models"] = json!([a]);
        more["serving"]["threads"] = 1.into();
        deployed.apply(more.clone()).await;
        let second = until_has(&deployed, &["a"]).await;
        assert_eq!(second["status"]["revisions"].as_array().unwrap().len(), 2, "threads need another pod");
        let kept = namespace.api::<ConfigMap>().list(&kube::api::ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
        let mut held: Vec<_> = lists(&kept.items).into_iter().map(names).collect();
        held.sort();
        assert_eq!(held, [vec!["a"], vec!["b", "a"]]);

        let said = cluster::run(env!("CARGO_BIN_EXE_modelyard"), &["rollback", "-n", &namespace.name, "zoo"], "");
        assert!(said.contains("spec.models.b.name: (none) -> b"), "{said}");
        let back = until_has(&deployed, &["b", "a"]).await;
        assert!(back["spec"]["serving"]["threads"].is_null(), "{:#}", back["spec"]);

        let mut alone = several(&[b], 1);
        alone["rollout"] = json!({ "revisionHistoryLimit": 0 });
        deployed.apply(alone).await;
        until_has(&deployed, &["b"]).await;
        let one_of_each = |all: &[&ConfigMap]| {
            let left = lists(all.iter().copied());
            (all.len() <= 2 && left.len() == 1 && names(left[0]) == ["b"]).then_some(())
        };
        namespace.until("the ConfigMap of the retired revision is gone", labelled(DEPLOYMENT_LABEL), one_of_each).await;
        let left = |all: &[&Deployment]| (all.len() == 1).then_some(());
        namespace.until("and so is its Deployment", labelled(DEPLOYMENT_LABEL), left).await;
    })
    .await;
}

#[tokio::test]
async fn what_somebody_changes_of_the_configuration_is_put_back() {
    within("several-by-hand", async |namespace| {
        let deployed = namespace.deploy("zoo", several(&[one("a", "model.onnx", 1), one("b", "model.onnx", 1)], 1)).await;
        until_has(&deployed, &["a", "b"]).await;
        let own = namespace.api::<ConfigMap>().list(&kube::api::ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap();
        let own = lists(&own.items).remove(0).clone();
        let (before, name) = (own.data.clone(), own.name_any());
        let patch = json!({ "data": { CONFIG_FILE: "{}" } });
        namespace.kubectl(&["patch", "configmap", &name, "--type=merge", "-p", &patch.to_string()]);
        let put_back = |all: &[&ConfigMap]| {
            let all = lists(all.iter().copied());
            (all.len() == 1 && all[0].data == before).then_some(())
        };
        namespace.until("it is as it was", labelled(DEPLOYMENT_LABEL), put_back).await;
        until_has(&deployed, &["a", "b"]).await;
        namespace.kubectl(&["delete", "configmap", &name]);
        namespace.until("it is there again", labelled(DEPLOYMENT_LABEL), put_back).await;
        deployed.delete().await;
        let none = |all: &[&ConfigMap]| all.is_empty().then_some(());
        namespace.until("it goes with its owner", labelled(DEPLOYMENT_LABEL), none).await;
    })
    .await;
}
