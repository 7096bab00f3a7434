//! Pushing over a socket of ours: what a registry says that is not so, and where it sends an upload. What a real one says is asked in tests/stores.

use super::s3::with;
use super::server::{Act, Asked, Server, answer};
use super::*;

/// Pushes a folder with a model and a card, without credentials.
async fn push_to(server: &Server) -> Result<Pushed, StoreError> {
    let url = server.url("");
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let (place, _) = with(&[("DOCKER_CONFIG", "/nowhere")], "oci://unused/a");
    let folder = place.dir.path().join("made");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("model.onnx"), "the model").unwrap();
    fs::write(folder.join("README.md"), "the card").unwrap();
    let artifact = Artifact::whole(folder.join("model.onnx"), "", 9);
    let about = About { format: "onnx".to_owned(), ..About::default() };
    let uri = format!("oci://{host}/team/m:v1");
    let progress = Progress::default();
    let pushing = push((&folder, &artifact), &uri, &about, (&place.store, &progress));
    tokio::time::timeout(Duration::from_secs(20), pushing).await.unwrap()
}

fn said(status: &str, extra: &str) -> Act {
    Act::Close(answer(status, extra, b""))
}

/// A registry that has nothing, and takes everything.
fn empty(asked: &Asked) -> Act {
    match asked.target.as_str() {
        "/v2/" => said("200 OK", ""),
        "/v2/team/m/blobs/uploads/" => said("202 Accepted", "location: /v2/team/m/blobs/uploads/one?state=x\r\n"),
        target if target.contains("/uploads/one?state=x&digest=sha256:") => said("201 Created", ""),
        "/v2/team/m/manifests/v1" => said("201 Created", ""),
        target if target.starts_with("/v2/team/m/blobs/sha256:") => said("404 Not Found", ""),
        other => said("500 Not Expected", &format!("x-error-message: {other}\r\n")),
    }
}

fn uploads(server: &Server) -> Vec<String> {
    server.seen().into_iter().filter(|asked| asked.target.contains("digest=")).map(|asked| asked.body).collect()
}

#[tokio::test]
async fn each_file_is_sent_whole_and_the_manifest_last() {
    let server = Server::start(|asked, _| empty(asked)).await;
    let pushed = push_to(&server).await.unwrap();
    let sent = uploads(&server);
    assert_eq!((sent.len(), sent[0].as_str(), sent[1].as_str()), (3, "the card", "the model"));
    let config: serde_json::Value = serde_json::from_str(&sent[2]).unwrap();
    assert_eq!(config["modelfs"]["diffIds"][1], format!("sha256:{}", of_bytes(b"the model")));
    let last = server.seen().pop().unwrap();
    assert_eq!(last.target, "/v2/team/m/manifests/v1");
    assert_eq!(last.header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
    assert_eq!(pushed.digest, format!("sha256:{}", of_bytes(last.body.as_bytes())));
    assert!(pushed.uri.ends_with(&format!("/team/m@{}", pushed.digest)), "{}", pushed.uri);
    assert!(pushed.layers.iter().all(|layer| layer.sent));
}

#[tokio::test]
async fn what_is_there_or_lies_elsewhere_is_not_sent() {
    for there in ["200 OK", "307 Temporary Redirect"] {
        let server = Server::start(move |asked, _| match asked.target.as_str() {
            target if target.starts_with("/v2/team/m/blobs/sha256:") => said(there, "location: http://elsewhere.example/\r\n"),
            _ => empty(asked),
        })
        .await;
        let pushed = push_to(&server).await.unwrap();
        assert!(uploads(&server).is_empty() && pushed.layers.iter().all(|layer| !layer.sent), "{there}");
    }
}

#[tokio::test]
async fn a_registry_that_stalls_or_lies_is_given_up_after_a_bounded_time() {
    let stalls = Server::start(|asked, _| match asked.target.as_str() {
        "/v2/team/m/blobs/uploads/" => Act::Stall(Vec::new()),
        _ => empty(asked),
    });
    let lies = Server::start(|asked, _| match asked.target.as_str() {
        "/v2/team/m/manifests/v1" => said("201 Created", &format!("docker-content-digest: sha256:{}\r\n", "0".repeat(64))),
        _ => empty(asked),
    });
    let nowhere = Server::start(|asked, _| match asked.target.as_str() {
        "/v2/team/m/blobs/uploads/" => said("202 Accepted", ""),
        _ => empty(asked),
    });
    let refuses = Server::start(|asked, _| match asked.target.as_str() {
        "/v2/team/m/blobs/uploads/" => said("403 Forbidden", ""),
        _ => empty(asked),
    });
    for (server, reason, words) in [
        (lies.await, "StoreUnavailable", "took the manifest"),
        (nowhere.await, "StoreUnavailable", "names no place to upload to"),
        (refuses.await, "ModelUnauthorized", "the right to push"),
        (stalls.await, "StoreUnavailable", "nothing moves"),
    ] {
        let error = push_to(&server).await.unwrap_err();
        assert!(error.reason() == reason && error.to_string().contains(words), "{error}");
    }
}
