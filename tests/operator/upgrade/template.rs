//! A template that another release made otherwise, by way of a Deployment that is changed to be like that.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use modelyard_core::release::is_rolled_out;
use modelyard_core::render::{DEPLOYMENT_LABEL, TEMPLATE_ANNOTATION};
use serde_json::json;

use super::{replicas, restart, spec};
use crate::deployed::is_current;
use crate::namespace::within;
use crate::watch::labelled;

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
