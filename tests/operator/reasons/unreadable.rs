//! An object that does not parse: one that came past the schema, such as from before a rule. It is told, and stops no other.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster;
use crate::deployed::{Deployed, condition, mnist};
use crate::namespace::within;
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
        odd.until("tells what does not parse", |object| {
            let ready = condition(object, "Ready");
            ready.status == "False" && ready.reason == "InvalidSpec" && ready.message.contains("5000000000")
        })
        .await;
        assert_eq!(odd.predict().await, 7, "what serves goes on serving");
        let other = namespace.deploy("mnist", mnist(1)).await;
        other.until_ready().await;
        smuggle(&odd, |object| object["spec"]["serving"]["threads"] = 1.into());
        odd.until_ready().await;
    })
    .await;
}
