//! What belongs to the operator stays as it should be, whoever changes it.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::json;

use crate::deployed::mnist;
use crate::namespace::within;
use crate::store;
use crate::watch::{labelled, named};

#[tokio::test]
async fn what_is_deleted_or_changed_by_hand_comes_back() {
    within("by-hand", async |namespace| {
        let mut spec = mnist(1);
        spec["replicas"] = 2.into();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_ready().await;
        let (services, deployments, budgets) =
            (namespace.api::<Service>(), namespace.api::<Deployment>(), namespace.api::<PodDisruptionBudget>());
        let (hand, gone) = (PatchParams::default(), DeleteParams::default());
        let ours = labelled(DEPLOYMENT_LABEL);

        let changed = json!({ "spec": { "selector": { "app": "stolen", DEPLOYMENT_LABEL: "other" } } });
        services.patch("mnist", &hand, &Patch::Merge(changed)).await.unwrap();
        namespace
            .until("the Service's selector is ours", named("mnist"), |there: &[&Service]| {
                let selector = there.first()?.spec.as_ref()?.selector.as_ref()?;
                (selector.get(DEPLOYMENT_LABEL).map(String::as_str) == Some("mnist")).then_some(())
            })
            .await;

        let old = services.get("mnist").await.unwrap().uid();
        services.delete("mnist", &gone).await.unwrap();
        namespace.until("a new Service", named("mnist"), |there: &[&Service]| (there.first()?.uid() != old).then_some(())).await;

        let budget = budgets.get("mnist").await.unwrap();
        budgets.delete("mnist", &gone).await.unwrap();
        namespace
            .until("a new budget", named("mnist"), |there: &[&PodDisruptionBudget]| {
                (there.first()?.uid() != budget.uid()).then_some(())
            })
            .await;

        let workload = deployments.list(&Default::default()).await.unwrap().items.remove(0);
        let name = workload.name_any();
        let scaled = json!({ "spec": { "replicas": 5, "template": { "spec": { "containers": [{ "name": "server",
            "env": [{ "name": "MODELYARD_LOG_FORMAT", "value": "text" }] }] } } } });
        deployments.patch(&name, &hand, &Patch::Strategic(scaled)).await.unwrap();
        namespace
            .until("the Deployment is as before", ours.clone(), |there: &[&Deployment]| {
                let spec = there.iter().find(|one| one.name_any() == name)?.spec.as_ref()?;
                let env = spec.template.spec.as_ref()?.containers.first()?.env.as_ref()?;
                let format = env.iter().find(|one| one.name == "MODELYARD_LOG_FORMAT")?.value.as_deref();
                (spec.replicas == Some(2) && format == Some("json")).then_some(())
            })
            .await;

        let serving = |there: &[&Pod]| -> BTreeSet<Option<String>> {
            let is_ready = |pod: &&&Pod| {
                let known = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
                known.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
            };
            there.iter().filter(is_ready).map(|pod| pod.uid()).collect()
        };
        let before = namespace.until("the replicas", ours.clone(), |there: &[&Pod]| Some(serving(there))).await;
        deployments.delete(&name, &gone).await.unwrap();
        namespace
            .until("a new Deployment", ours.clone(), |there: &[&Deployment]| {
                there.iter().any(|one| one.name_any() == name && one.uid() != workload.uid()).then_some(())
            })
            .await;
        namespace
            .until("new replicas", ours, |there: &[&Pod]| (serving(there).difference(&before).count() == 2).then_some(()))
            .await;
        deployed.until_ready().await;
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_only_has_the_labels_is_not_counted() {
    within("stray", async |namespace| {
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_ready().await;
        let pods = namespace.api::<Pod>();
        let ours = pods.list(&ListParams::default().labels(DEPLOYMENT_LABEL)).await.unwrap().items.remove(0);
        let mut stray = store::pod("stray", "exec sleep 600");
        let labels = ours.labels().iter().filter(|(key, _)| *key != "pod-template-hash");
        stray["metadata"]["labels"] =
            labels.map(|(key, value)| (key.clone(), value.clone().into())).collect::<serde_json::Map<_, _>>().into();
        namespace.put::<Pod>("stray", stray).await;
        namespace.kubectl(&["wait", "--for=condition=Ready", "pod/stray", "--timeout=60s"]);
        let mut spec = mnist(1);
        spec["replicas"] = 2.into();
        deployed.apply(spec).await;
        let ready = deployed.until_ready().await;
        assert_eq!((&ready["status"]["replicas"], &ready["status"]["readyReplicas"]), (&json!(2), &json!(2)));
        pods.delete("stray", &DeleteParams::default().grace_period(0)).await.unwrap();
    })
    .await;
}
