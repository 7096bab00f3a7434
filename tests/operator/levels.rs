//! What the operator logs can be changed while it runs, by whoever may forward a port to it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::RELEASE;
use crate::namespace::within;

/// The answer of the operator's port to a request that comes through a port-forward.
async fn forwarded(client: &Client, pod: &str, method: &str, body: &str) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), RELEASE);
    let mut forward = pods.portforward(pod, &[8081]).await.unwrap();
    let mut stream = forward.take_stream(8081).unwrap();
    let head =
        format!("{method} /loglevel HTTP/1.1\r\nhost: operator\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn levels_change_through_a_forwarded_port_alone() {
    within("levels", async |namespace| {
        let client = &namespace.client;
        let operators: Api<Pod> = Api::namespaced(client.clone(), RELEASE);
        let chosen = ListParams::default().labels("app.kubernetes.io/component=controller");
        let pod = operators.list(&chosen).await.unwrap().items.first().unwrap().name_any();
        let before = forwarded(client, &pod, "GET", "").await;
        let now = before.lines().last().unwrap();
        // The API server reaches the pod by its address, as everybody in the cluster does.
        let outside = format!("/api/v1/namespaces/{RELEASE}/pods/{pod}:8081/proxy/loglevel");
        let refused =
            client.request_text(http::Request::put(outside).body(b"off".to_vec()).unwrap()).await.unwrap_err().to_string();
        assert!(refused.contains("port-forward") || refused.contains("403"), "{refused}");
        let wrong = forwarded(client, &pod, "PUT", "loud").await;
        assert!(wrong.starts_with("HTTP/1.1 400") && wrong.contains("'loud'"), "{wrong}");
        let changed = forwarded(client, &pod, "PUT", "info,modelyard=debug").await;
        assert!(changed.starts_with("HTTP/1.1 200"), "{changed}");
        let told = forwarded(client, &pod, "GET", "").await;
        assert!(told.ends_with("\r\n\r\ninfo,modelyard=debug\n"), "{told}");
        forwarded(client, &pod, "PUT", now).await;
    })
    .await;
}
