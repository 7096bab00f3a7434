//! Stores that are asked with a token, over a socket of ours: who a pod is by what its platform hands it, and what a store says that is not so. What
//! real servers of each API say is asked in tests/stores.

use std::sync::Arc;

use super::s3::{get, with};
use super::server::{Act, Server, answer, proper};
use super::*;

fn json(status: &str, body: &str) -> Act {
    Act::Close(answer(status, "", body.as_bytes()))
}

fn token(name: &str) -> Act {
    json("200 OK", &format!(r#"{{"access_token":"{name}","expires_in":"3600","token_type":"Bearer"}}"#))
}

#[tokio::test]
async fn googles_metadata_server_says_who_a_pod_is() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            assert_eq!(asked.header("metadata-flavor"), Some("Google"));
            token("of-the-pod")
        }
        _ if asked.header("authorization") == Some("Bearer of-the-pod") => proper(asked, "one", &body(1000)),
        _ => json("401 Unauthorized", ""),
    })
    .await;
    let url = server.url("");
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let (place, source) = with(&[("STORAGE_EMULATOR_HOST", &url), ("GCE_METADATA_HOST", host)], "gs://bucket/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().digest, of_bytes(&body(1000)));
}

#[tokio::test]
async fn a_workload_identity_is_exchanged_for_azures_token_and_renewed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "kubelets-token\n").unwrap();
    let handed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&handed);
    let server = Server::start(move |asked, _| match (asked.target.as_str(), asked.header("authorization")) {
        ("/tenant/oauth2/v2.0/token", _) if asked.body.ends_with("client_assertion=kubelets-token") => {
            assert!(asked.body.contains("&client_id=client&"), "{}", asked.body);
            token(&format!("azures-{}", count.fetch_add(1, Ordering::SeqCst)))
        }
        ("/tenant/oauth2/v2.0/token", _) => {
            json("400 Bad Request", r#"{"error":"invalid_client","error_description":"AADSTS70021"}"#)
        }
        ("/account/models/m.onnx", Some("Bearer azures-1")) => proper(asked, "one", &body(1000)),
        _ => Act::Close(answer("401 Unauthorized", "x-ms-error-code: InvalidAuthenticationInfo\r\n", b"")),
    })
    .await;
    let (url, path) = (server.url(""), file.path().display().to_string());
    let endpoint = format!("{}/account", url.trim_end_matches('/'));
    let variables = [
        ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
        ("AZURE_AUTHORITY_HOST", &url),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_FEDERATED_TOKEN_FILE", &path),
    ];
    let (place, source) = with(&variables, "az://models@account/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().digest, of_bytes(&body(1000)));
    assert_eq!(handed.load(Ordering::SeqCst), 2);
    fs::write(file.path(), "anothers").unwrap();
    let (place, source) = with(&variables, "az://models@account/m.onnx");
    let error = get(&place, &source).await.unwrap_err();
    assert!(error.reason() == "ModelUnauthorized" && error.to_string().contains("AADSTS70021"), "{error}");
}

#[tokio::test]
async fn a_hubs_sums_are_checked_and_never_become_paths() {
    let commit = "c".repeat(40);
    for (oid, outcome) in
        [(of_bytes(&body(1000)), None), ("../../../../tmp/x".to_owned(), None), ("0".repeat(64), Some("ChecksumMismatch"))]
    {
        let tree = format!(r#"[{{"type":"file","path":"m.onnx","size":134,"oid":"a","lfs":{{"oid":"{oid}","size":1000}}}}]"#);
        let sha = format!(r#"{{"sha":"{commit}"}}"#);
        let server = Server::start(move |asked, _| match asked.target.as_str() {
            "/api/models/a/b/revision/main" => json("200 OK", &sha),
            target if target.contains("/tree/") => json("200 OK", &tree),
            _ => proper(asked, "one", &body(1000)),
        })
        .await;
        let url = server.url("");
        for uri in ["hf://a/b/m.onnx", "hf://a/b"] {
            let (place, source) = with(&[("HF_ENDPOINT", &url)], uri);
            let found = get(&place, &source).await.map(|artifact| artifact.digest).map_err(|error| error.reason());
            assert_eq!(found, outcome.map_or(Ok(of_bytes(&body(1000))), Err), "{uri} {oid}");
        }
    }
}

#[tokio::test]
async fn a_manifest_is_its_digest_and_outlives_its_registry() {
    let away = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&away);
    let blob = of_bytes(&body(1000));
    let layer = format!(
        r#"{{"mediaType":"a/raw","digest":"sha256:{blob}","size":1000,"annotations":{{"org.cncf.model.filepath":"m.onnx"}}}}"#
    );
    let manifest = format!(r#"{{"schemaVersion":2,"layers":[{layer}]}}"#);
    let named = of_bytes(manifest.as_bytes());
    let server = Server::start(move |asked, _| match asked.target.as_str() {
        _ if now.load(Ordering::SeqCst) == 1 => json("503 Service Unavailable", ""),
        "/v2/" => json("200 OK", "{}"),
        target if target.starts_with("/v2/team/m/manifests/") => json("200 OK", &manifest),
        _ => proper(asked, "one", &body(1000)),
    })
    .await;
    let url = server.url("");
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let nowhere = [("DOCKER_CONFIG", "/nowhere")];
    let (place, source) = with(&nowhere, &format!("oci://{host}/team/m@sha256:{}", "0".repeat(64)));
    assert_eq!(get(&place, &source).await.unwrap_err().reason(), "ChecksumMismatch");
    let (place, source) = with(&nowhere, &format!("oci://{host}/team/m:v1@sha256:{named}"));
    let artifact = get(&place, &source).await.unwrap();
    assert_eq!(artifact.digest, blob);
    away.store(1, Ordering::SeqCst);
    assert_eq!(get(&place, &source).await.unwrap(), artifact);
}
