//! The usual life: applied, asked, scaled, deleted.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::json;

use crate::deployed::{condition, is_current, mnist};
use crate::namespace::{self, Namespace, within};
use crate::watch::{all, labelled};

#[tokio::test]
async fn what_is_applied_serves_and_predicts() {
    within("first-apply", async |namespace| {
        let mnist = namespace.deploy("mnist", mnist(1)).await;
        let ready = mnist.until_ready().await;
        for kind in ["Serving", "UpToDate", "Ready"] {
            assert_eq!((condition(&ready, kind).status, condition(&ready, kind).reason), ("True".into(), "Serving".into()));
        }
        let status = &ready["status"];
        assert_eq!(status["url"], format!("http://mnist.{}.svc", namespace.name));
        assert_eq!(
            (&status["replicas"], &status["readyReplicas"], &status["readyOfWanted"]),
            (&json!(1), &json!(1), &json!("1/1"))
        );
        assert_eq!(status["revisions"][0]["role"], "Stable");
        assert_eq!(status["failure"], json!(null));
        assert_eq!(status["revisions"][0]["digest"].as_str().map(str::len), Some(64), "{status}");
        for phase in ["pod", "at", "total", "scheduling", "pulling", "downloading", "loading", "warming"] {
            assert!(status["coldStart"][phase].is_string(), "{phase}: {status}");
        }
        assert_eq!(mnist.predict().await, 7);
        let listed = namespace.kubectl(&["get", "mdep", "mnist"]);
        assert!(listed.contains("Serving") && listed.contains("1/1"), "{listed}");
    })
    .await;
}

/// Until so many endpoints of the Service are ready.
async fn until_endpoints(namespace: &Namespace, wanted: usize) {
    let what = format!("{wanted} ready endpoints");
    namespace
        .until(&what, labelled("kubernetes.io/service-name=mnist"), |slices: &[&EndpointSlice]| {
            let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter());
            let is_ready = |ready: Option<bool>| ready == Some(true);
            let count = endpoints.filter(|one| is_ready(one.conditions.as_ref().and_then(|known| known.ready))).count();
            (count == wanted).then_some(())
        })
        .await;
}

#[tokio::test]
async fn kubectl_scale_goes_up_to_zero_and_back() {
    within("scale", async |namespace| {
        let mnist = namespace.deploy("mnist", mnist(1)).await;
        mnist.until_ready().await;
        for (replicas, reason) in [(3, "Serving"), (0, "ScaledToZero"), (1, "Serving")] {
            namespace.kubectl(&["scale", "mdep", "mnist", &format!("--replicas={replicas}")]);
            let counted = format!("{replicas}/{replicas}");
            let object = mnist
                .until(&format!("has {counted}"), |object| {
                    let status = &object["status"];
                    is_current(object)
                        && condition(object, "Ready").status == "True"
                        && status["readyOfWanted"] == *counted
                        && status["replicas"] == replicas
                })
                .await;
            assert_eq!(condition(&object, "Ready").reason, reason);
            assert_eq!(condition(&object, "Serving").reason, reason);
            until_endpoints(namespace, usize::try_from(replicas).unwrap()).await;
            let scale = namespace.kubectl(&["get", "mdep", "mnist", "--subresource=scale", "-o", "jsonpath={.status}"]);
            assert!(scale.contains(&format!("\"replicas\":{replicas}")) && scale.contains(DEPLOYMENT_LABEL), "{scale}");
        }
        assert_eq!(mnist.predict().await, 7);
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_takes_its_children_along() {
    within("delete", async |namespace| {
        let mut spec = mnist(1);
        spec["replicas"] = 2.into();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_ready().await;
        namespace.until("a budget", all(), |there: &[&PodDisruptionBudget]| there.first().map(|_| ())).await;
        deployed.delete().await;
        let ours = || labelled(DEPLOYMENT_LABEL);
        namespace.until("no Deployment", ours(), |there: &[&Deployment]| there.is_empty().then_some(())).await;
        namespace.until("no ReplicaSet", all(), |there: &[&ReplicaSet]| there.is_empty().then_some(())).await;
        namespace.until("no pod", ours(), |there: &[&Pod]| there.is_empty().then_some(())).await;
        namespace.until("no Service", ours(), |there: &[&Service]| there.is_empty().then_some(())).await;
        namespace.until("no budget", all(), |there: &[&PodDisruptionBudget]| there.is_empty().then_some(())).await;
    })
    .await;
}

#[tokio::test]
async fn a_restricted_namespace_takes_the_replicas_as_they_are() {
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    namespace::labelled("restricted", &labels, async |namespace| {
        namespace.deploy("mnist", mnist(1)).await.until_ready().await;
    })
    .await;
}
