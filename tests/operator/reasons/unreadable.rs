//! An object that does not parse: one that came past the schema, such as from before a rule. It is told, and stops no other.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::cluster::{self, RELEASE};
use crate::deployed::{Deployed, condition, mnist};
use crate::namespace::{Namespace, within};
use crate::record;

/// Asks etcd, by the gateway that it has for JSON.
fn etcd(path: &str, question: &Value) -> Value {
    let body = question.to_string();
    let mut stream = TcpStream::connect("127.0.0.1:2379").unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    serde_json::from_str(body).unwrap()
}

/// Changes an object where the API server keeps it, past all rules.
fn smuggle(deployed: &Deployed<'_>, change: impl FnOnce(&mut Value)) {
    let key = format!("/registry/modelyard.dev/modeldeployments/{}/{}", deployed.namespace.name, deployed.name);
    let kept = etcd("/v3/kv/range", &json!({ "key": STANDARD.encode(&key) }));
    let kept = STANDARD.decode(kept["kvs"][0]["value"].as_str().unwrap()).unwrap();
    let mut object: Value = serde_json::from_slice(&kept).unwrap();
    change(&mut object);
    etcd("/v3/kv/put", &json!({ "key": STANDARD.encode(&key), "value": STANDARD.encode(object.to_string()) }));
}

#[tokio::test]
async fn an_object_that_does_not_parse_stops_no_other() {
    let name = "an_object_that_does_not_parse_stops_no_other";
    if !cluster::is_private_node() {
        return record::skipped(name, "only on the private node can an object be written past the API server");
    }
    within("unreadable", async |namespace| {
        let odd = namespace.deploy("odd", mnist(1)).await;
        odd.until_ready().await;
        smuggle(&odd, |object| object["spec"]["serving"]["threads"] = 5_000_000_000_i64.into());
        let tells = |object: &Value| {
            let ready = condition(object, "Ready");
            ready.status == "False" && ready.reason == "InvalidSpec" && ready.message.contains("5000000000")
        };
        let told = odd.until("tells what does not parse", tells).await;
        odd.until_event("InvalidSpec", "Warning").await;
        // Another look at it tells nothing new, and nothing again.
        smuggle(&odd, |object| object["metadata"]["generation"] = 70.into());
        let again = odd
            .until("is told of the newer generation", |object| tells(object) && object["status"]["observedGeneration"] == 70)
            .await;
        let times = |object: &Value| -> Vec<Value> {
            let conditions = object["status"]["conditions"].as_array().unwrap().iter();
            conditions.map(|one| one["lastTransitionTime"].clone()).collect()
        };
        assert_eq!(times(&again), times(&told));
        assert_eq!(told_of(namespace).await, ["spec", "1"]);
        assert_eq!(odd.predict().await, 7, "what serves goes on serving");
        let other = namespace.deploy("mnist", mnist(1)).await;
        other.until_ready().await;
        smuggle(&odd, |object| object["spec"]["serving"]["threads"] = 1.into());
        odd.until_ready().await;
    })
    .await;
}

/// Of each event that an object is invalid: how its note begins, and how often it was told.
async fn told_of(namespace: &Namespace) -> Vec<String> {
    let events = namespace.api::<Event>().list(&ListParams::default().fields("reason=InvalidSpec")).await.unwrap();
    let of = |event: &Event| {
        let count = event.series.as_ref().map_or(1, |series| series.count);
        [event.note.as_deref().unwrap_or_default().split(':').next().unwrap().to_owned(), count.to_string()]
    };
    events.items.iter().flat_map(of).collect()
}

/// A figure of the operator.
fn figure(name: &str) -> Option<f64> {
    let pod = cluster::run(
        "kubectl",
        &["-n", RELEASE, "get", "pods", "-l", "app.kubernetes.io/component=controller", "-o", "name"],
        "",
    );
    let pod = pod.trim().trim_start_matches("pod/");
    let path = format!("/api/v1/namespaces/{RELEASE}/pods/{pod}:8081/proxy/metrics");
    let text = cluster::run("kubectl", &["get", "--raw", &path], "");
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test]
async fn an_object_whose_status_cannot_be_written_is_told_once() {
    let name = "an_object_whose_status_cannot_be_written_is_told_once";
    if !cluster::is_private_node() {
        return record::skipped(name, "only on the private node can an object be written past the API server");
    }
    // No duration, no amount: the rules about them cannot be evaluated, and the API server then takes no status either. To us the one is no
    // object of our kind, the other one with a wrong field.
    untakeable("no-duration", "/spec/serving/requestTimeout", "never", "30s").await;
    untakeable("no-amount", "/spec/serving/maxRequestBytes", "much", "64Mi").await;
}

async fn untakeable(test: &str, field: &str, wrong: &str, right: &str) {
    within(test, async |namespace| {
        let odd = namespace.deploy("odd", mnist(1)).await;
        let before = odd.until_ready().await;
        let write = |text: &str| smuggle(&odd, |object| *object.pointer_mut(field).unwrap() = text.into());
        write(wrong);
        odd.until_event("InvalidSpec", "Warning").await;
        let counted = figure("modelyard_controller_objects{reason=\"InvalidSpec\"}");
        assert!(counted >= Some(1.0), "{counted:?}");
        for generation in [70, 71, 72] {
            smuggle(&odd, |object| object["metadata"]["generation"] = generation.into());
            // What came before is done once another object, which came later, is ready.
            let other = namespace.deploy(&format!("other-{generation}"), mnist(1)).await;
            other.until_ready().await;
        }
        assert_eq!(told_of(namespace).await.last().map(String::as_str), Some("1"));
        assert_eq!(told_of(namespace).await.len(), 2, "{:?}", told_of(namespace).await);
        let object = odd.api().get("odd").await.unwrap();
        assert_eq!(object.data["status"], before["status"], "it was not written");
        assert_eq!(odd.predict().await, 7, "what serves goes on serving");
        write(right);
        odd.until_ready().await;
    })
    .await;
}
