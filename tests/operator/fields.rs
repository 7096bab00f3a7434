//! Fields of the spec that only a cluster can honour: what they do there, not only that they are rendered.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use modelyard_core::render::DEPLOYMENT_LABEL;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::cluster;
use crate::deployed::{condition, is_current, mnist};
use crate::namespace::{Namespace, within};
use crate::watch::{labelled, named};

mod cache;
mod claim;

/// Held by whoever needs that the operator may, or may not, write NetworkPolicies.
pub(crate) static POLICIES: Mutex<()> = Mutex::const_new(());

/// The one pod that serves.
async fn the_pod(namespace: &Namespace) -> Pod {
    namespace
        .until("one pod that is ready", labelled(DEPLOYMENT_LABEL), |pods: &[&Pod]| {
            let is_ready = |pod: &&&Pod| {
                let known = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
                known.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
            };
            let serving: Vec<_> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter(is_ready).collect();
            if let [pod] = serving.as_slice() { Some((**pod).clone()) } else { None }
        })
        .await
}

/// Names and versions of what the operator has made.
async fn made(namespace: &Namespace) -> Vec<String> {
    let deployments = namespace.api::<Deployment>().list(&ListParams::default()).await.unwrap();
    let services = namespace.api::<Service>().list(&ListParams::default()).await.unwrap();
    let of = |name: String, generation: Option<i64>, uid: Option<String>| format!("{name} {generation:?} {uid:?}");
    let deployments = deployments.iter().map(|one| of(one.name_any(), one.metadata.generation, one.uid()));
    deployments.chain(services.iter().map(|one| of(one.name_any(), None, one.uid()))).collect()
}

#[tokio::test]
async fn nothing_changes_while_it_is_paused() {
    within("paused", async |namespace| {
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_ready().await;
        let mut paused = mnist(1);
        paused["paused"] = true.into();
        deployed.apply(paused).await;
        let ready = deployed.until_ready().await;
        assert!(condition(&ready, "Ready").message.contains("paused: nothing is changed"), "{ready:#}");
        let (code, screen) = deployed.asked_for_status(&[]);
        assert!(code == 0 && screen.contains("paused: nothing is changed"), "{screen}");

        let before = made(namespace).await;
        let mut changed = mnist(2);
        changed["paused"] = true.into();
        deployed.apply(changed.clone()).await;
        deployed.until_not_ready("Paused", &["waits until spec.paused is false"]).await;
        deployed.until_event("Paused", "Normal").await;
        assert_eq!(made(namespace).await, before);

        namespace.api::<Service>().delete("mnist", &DeleteParams::default()).await.unwrap();
        changed["replicas"] = 2.into();
        deployed.apply(changed.clone()).await;
        deployed.until("has seen it", |object| is_current(object) && condition(object, "Ready").reason == "Paused").await;
        let without: Vec<String> = before.iter().filter(|one| !one.starts_with("mnist None")).cloned().collect();
        assert_eq!(made(namespace).await, without, "not even what is deleted comes back");

        changed["paused"] = false.into();
        deployed.apply(changed).await;
        let resumed = deployed.until_ready().await;
        assert_eq!(resumed["status"]["readyOfWanted"], "2/2");
        assert_eq!(resumed["status"]["revisions"][0]["version"], 2);
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}

#[tokio::test]
async fn another_image_of_the_server_serves() {
    within("server-image", async |namespace| {
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        let first = deployed.until_ready().await;
        // The same image by its full name.
        let image = format!("docker.io/library/modelyard-server:{}", env!("CARGO_PKG_VERSION"));
        let mut spec = mnist(1);
        spec["serverImage"] = image.as_str().into();
        deployed.apply(spec).await;
        let second = deployed
            .until("another revision serves alone", |object| {
                let of = |object: &Value| object["status"]["revisions"][0]["name"].clone();
                is_current(object) && condition(object, "Ready").status == "True" && of(object) != of(&first)
            })
            .await;
        assert_eq!(second["status"]["revisions"][0]["role"], "Stable");
        let pod = the_pod(namespace).await;
        assert_eq!(pod.spec.unwrap().containers[0].image.as_deref(), Some(image.as_str()));
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}

/// The image with ONNX Runtime is for the revision whose model asks for it, and for no other.
#[tokio::test]
async fn the_image_follows_the_engine() {
    within("engine-image", async |namespace| {
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        let before = deployed.until_ready().await;
        let mut spec = mnist(1);
        spec["engine"] = json!({ "name": "OnnxRuntime" });
        deployed.apply(spec.clone()).await;
        // Whether the cluster has that image is not the matter here: the pod may never start.
        let version = env!("CARGO_PKG_VERSION");
        namespace
            .until("a workload with ONNX Runtime's image", labelled(DEPLOYMENT_LABEL), |there: &[&Deployment]| {
                let image = format!("modelyard-server-ort:{version}");
                let template = |one: &Deployment| one.spec.as_ref()?.template.spec.as_ref()?.containers[0].image.clone();
                let images: Vec<String> = there.iter().filter_map(|one| template(one)).collect();
                let with = images.iter().filter(|one| one.ends_with(&image)).count();
                (images.len() == 2 && with == 1).then_some(())
            })
            .await;
        spec["engine"] = json!({ "name": "Auto" });
        deployed.apply(spec).await;
        // The other stays in the list as what could be gone back to.
        let stable = |object: &Value| {
            let mut all = object["status"]["revisions"].as_array().into_iter().flatten();
            all.find(|one| one["role"] == "Stable").map(|one| one["name"].clone())
        };
        let first = stable(&before);
        deployed
            .until("the revision of before serves again", |object| {
                is_current(object) && condition(object, "Ready").status == "True" && stable(object) == first
            })
            .await;
        let image = the_pod(namespace).await.spec.unwrap().containers[0].image.clone().unwrap();
        assert!(image.ends_with(&format!("modelyard-server:{version}")), "{image}");
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}

#[tokio::test]
async fn an_image_changed_by_hand_is_put_back() {
    within("image-by-hand", async |namespace| {
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_ready().await;
        let workload = namespace.api::<Deployment>().list(&ListParams::default()).await.unwrap().items.remove(0);
        let name = workload.name_any();
        let image_of = |spec: &PodSpec| spec.containers[0].image.clone();
        let image = image_of(workload.spec.as_ref().unwrap().template.spec.as_ref().unwrap());
        let generation = workload.metadata.generation.unwrap();
        namespace.kubectl(&["set", "image", &format!("deployment/{name}"), "server=local.test/box:1"]);
        namespace
            .until("the image of before, after another", named(&name), |there: &[&Deployment]| {
                let there = there.first()?;
                let now = image_of(there.spec.as_ref()?.template.spec.as_ref()?);
                (now == image && there.metadata.generation? >= generation + 2).then_some(())
            })
            .await;
        deployed.until_ready().await;
        assert_eq!(image_of(the_pod(namespace).await.spec.as_ref().unwrap()), image);
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}

#[tokio::test]
async fn who_may_call_is_written_changed_and_taken_back() {
    let _right = POLICIES.lock().await;
    within("network-policy", async |namespace| {
        let with = |from: Value| {
            let mut spec = mnist(1);
            spec["networkPolicy"] = json!({ "from": from });
            spec
        };
        let shop = json!([{ "podSelector": { "matchLabels": { "app": "shop" } } }]);
        let deployed = namespace.deploy("mnist", with(shop.clone())).await;
        deployed.until_ready().await;
        let policies = namespace.api::<NetworkPolicy>();
        let rules = async || {
            let policy = serde_json::to_value(policies.get("mnist").await.unwrap()).unwrap();
            assert_eq!(policy["spec"]["podSelector"], json!({ "matchLabels": { DEPLOYMENT_LABEL: "mnist" } }));
            assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
            policy["spec"]["ingress"].as_array().unwrap().clone()
        };
        let port = |name: &str| json!([{ "port": name, "protocol": "TCP" }]);
        let probes = json!({ "ports": port("admin") });
        assert_eq!(rules().await, [json!({ "from": shop, "ports": port("http") }), probes.clone()]);
        // The policy's selector finds the replicas.
        let found = namespace.kubectl(&["get", "pods", "-l", &format!("{DEPLOYMENT_LABEL}=mnist"), "-o", "name"]);
        assert_eq!(found.lines().count(), 1, "{found}");
        let before = the_pod(namespace).await.uid();

        deployed.apply(with(json!([]))).await;
        deployed.until_ready().await;
        assert_eq!(rules().await, [probes], "nobody may call");
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
        assert!(policies.get_opt("mnist").await.unwrap().is_none(), "everybody may call again");
        assert_eq!(the_pod(namespace).await.uid(), before, "no replica was started for it");
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_of_pods_is_in_them() {
    within("pod-options", async |namespace| {
        let owner = json!([{ "apiVersion": "v1", "kind": "Namespace", "name": namespace.name, "uid": namespace.uid }]);
        let metadata = json!({ "name": namespace.name, "ownerReferences": owner });
        let class = json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 1000 });
        let runtime = json!({ "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": metadata, "handler": "runc" });
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [class, runtime] });
        cluster::run("kubectl", &["apply", "--server-side", "-f", "-"], &list.to_string());
        namespace.kubectl(&["create", "serviceaccount", "reader"]);
        namespace.kubectl(&["create", "configmap", "settings", "--from-literal=level=debug"]);
        let linux = json!([{ "key": "kubernetes.io/os", "operator": "In", "values": ["linux"] }]);
        let options = json!({
            "labels": { "team": "vision" },
            "annotations": { "example.com/note": "x" },
            "nodeSelector": { "kubernetes.io/os": "linux" },
            "tolerations": [{ "key": "gpu", "operator": "Exists", "effect": "NoSchedule" }],
            "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [{ "matchExpressions": linux }] } } },
            "topologySpreadConstraints": [{ "maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": { "matchLabels": { "team": "vision" } } }],
            "priorityClassName": namespace.name,
            "runtimeClassName": namespace.name,
            "serviceAccountName": "reader",
            "imagePullSecrets": [{ "name": "pull" }],
            "env": [
                { "name": "OTEL_SERVICE_NAME", "value": "digits" },
                { "name": "MODELYARD_LOG_LEVEL", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "level" } } },
            ],
        });
        let mut spec = mnist(1);
        spec["pod"] = options.clone();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_ready().await;
        let pod = serde_json::to_value(the_pod(namespace).await).unwrap();
        assert_eq!(pod["metadata"]["labels"]["team"], "vision");
        assert_eq!(pod["metadata"]["annotations"]["example.com/note"], "x");
        for field in ["nodeSelector", "affinity", "topologySpreadConstraints", "priorityClassName", "runtimeClassName", "serviceAccountName", "imagePullSecrets"] {
            assert_eq!(pod["spec"][field], options[field], "{field}");
        }
        let has = |list: &Value, one: &Value| list.as_array().unwrap().contains(one);
        assert!(has(&pod["spec"]["tolerations"], &options["tolerations"][0]), "{}", pod["spec"]["tolerations"]);
        for variable in options["env"].as_array().unwrap() {
            assert!(has(&pod["spec"]["containers"][0]["env"], variable), "{variable}");
        }
        assert_eq!(pod["spec"]["priority"], 1000, "the class counts");
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false, "the account is no way in");
        // The server has it in its environment: only at this level does it say what it is asked.
        deployed.predict().await;
        let log = namespace.kubectl(&["logs", pod["metadata"]["name"].as_str().unwrap()]);
        assert!(log.contains("\"DEBUG\"") || log.contains("\"debug\""), "{log}");
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_of_the_service_is_in_it() {
    within("service-options", async |namespace| {
        let mut spec = mnist(1);
        let options = json!({
            "type": "NodePort", "labels": { "team": "vision" }, "annotations": { "example.com/note": "x" },
            "trafficDistribution": "PreferSameNode",
        });
        spec["service"] = options.clone();
        let deployed = namespace.deploy("mnist", spec).await;
        deployed.until_ready().await;
        let service = serde_json::to_value(namespace.api::<Service>().get("mnist").await.unwrap()).unwrap();
        assert_eq!(
            (&service["spec"]["type"], &service["spec"]["trafficDistribution"]),
            (&options["type"], &options["trafficDistribution"])
        );
        assert_eq!(
            (&service["metadata"]["labels"]["team"], &service["metadata"]["annotations"]),
            (&json!("vision"), &options["annotations"])
        );
        assert!(service["spec"]["ports"].as_array().unwrap().iter().all(|port| port["nodePort"].is_i64()), "{service:#}");
        // Who routes is told: each replica is for its own node first.
        let hinted = |slices: &[&EndpointSlice]| {
            let endpoint = slices.iter().flat_map(|slice| &slice.endpoints).next()?;
            let hints = endpoint.hints.as_ref()?;
            let nodes = serde_json::to_value(hints).unwrap();
            (nodes["forNodes"][0]["name"] == endpoint.node_name.clone()?).then_some(())
        };
        namespace.until("a hint for its node", labelled("kubernetes.io/service-name=mnist"), hinted).await;

        deployed.apply(mnist(1)).await;
        deployed
            .namespace
            .until("a Service as it is without options", named("mnist"), |there: &[&Service]| {
                let service = serde_json::to_value(there.first()?).unwrap();
                let is_plain = service["spec"]["type"] == "ClusterIP"
                    && service["spec"]["trafficDistribution"].is_null()
                    && service["metadata"]["labels"]["team"].is_null();
                is_plain.then_some(())
            })
            .await;
        assert_eq!(deployed.predict().await, 7);
    })
    .await;
}
