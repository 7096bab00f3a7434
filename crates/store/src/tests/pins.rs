//! A uri that is held to what it led to: that comes, or nothing. What real stores say is asked in tests/stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::s3::{get, with};
use super::*;

/// A source that is held to what this artefact was.
fn held(source: &Source, artifact: &Artifact) -> Source {
    Source { pin: Some(artifact.pin("of".to_owned())), ..source.clone() }
}

fn of(uri: &str) -> Source {
    Source { uri: uri.to_owned(), sha256: None, authorization_env: None, credentials_env: None, pin: None }
}

/// What a store has now, and how it is changed.
fn moving() -> (Arc<AtomicUsize>, impl Fn() -> usize + Clone + Send + Sync + 'static) {
    let now = Arc::new(AtomicUsize::new(1));
    let read = Arc::clone(&now);
    (now, move || read.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_store_without_versions_brings_the_same_bytes_or_none() {
    let (now, version) = moving();
    let mut server = Server::start(move |asked, _| match version() {
        3 => Act::Close(answer("404 Not Found", "", b"")),
        // The last one is the first again, written anew.
        nth => proper(asked, &format!("v{nth}"), &body(if nth == 2 { 900 } else { 1000 })),
    })
    .await;
    let (first, source) = (place(), of(&server.url("/m.onnx")));
    let artifact = get(&first, &source).await.unwrap();
    assert_eq!(artifact.version.as_deref(), Some("ETag=\"v1\""));
    let held = held(&source, &artifact);
    assert_eq!(get(&place(), &held).await.unwrap().digest, artifact.digest);
    now.store(2, Ordering::SeqCst);
    let other = place();
    let error = get(&other, &held).await.unwrap_err();
    let (uri, said) = (server.url("/m.onnx"), error.to_string());
    assert_eq!(error.reason(), "ModelChanged");
    for part in [
        &uri,
        &artifact.digest,
        "(ETag=\"v1\")",
        &of_bytes(&body(900)),
        "(ETag=\"v2\")",
        "run modelyard restart, or change the uri",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((other.files("partial"), other.files("sha256")), (0, 0), "nothing of the other is kept");
    let asked = server.seen().len();
    assert_eq!(get(&first, &held).await.unwrap(), artifact, "what is here is it, and nobody is asked");
    assert_eq!(server.seen().len(), asked);
    assert_eq!(get(&other, &source).await.unwrap().digest, of_bytes(&body(900)), "without a pin it is what is there");
    now.store(3, Ordering::SeqCst);
    assert_eq!(get(&place(), &held).await.unwrap_err().reason(), "ModelNotFound");
    now.store(4, Ordering::SeqCst);
    let again = get(&place(), &held).await.unwrap();
    assert_eq!((again.digest.as_str(), again.version.as_deref()), (artifact.digest.as_str(), Some("ETag=\"v4\"")));
    server.stop().await;
    // What it gave last is another one: it does not stand in.
    assert_eq!(get(&other, &held).await.unwrap_err().reason(), "StoreUnavailable");
}

#[tokio::test]
async fn a_store_with_versions_is_asked_for_the_one_and_then_for_the_newest() {
    let (now, version) = moving();
    let server = Server::start(move |asked, _| {
        let (nth, old) = (version(), asked.target.ends_with("?versionId=a%2F1"));
        match (nth, old) {
            // As S3 answers a caller without s3:GetObjectVersion, and one whose lifecycle rule was here.
            (3, true) => Act::Close(answer("403 Forbidden", "", b"<Error><Code>AccessDenied</Code></Error>")),
            (4.., true) => Act::Close(answer("404 Not Found", "", b"<Error><Code>NoSuchVersion</Code></Error>")),
            (_, true) => of_version("a/1", &body(1000)),
            (2 | 4, false) => of_version("b2", &body(900)),
            (_, false) => of_version("b3", &body(1000)),
        }
    })
    .await;
    let url = server.url("");
    let variables = [("AWS_ENDPOINT_URL", url.as_str())];
    let (first, source) = with(&variables, "s3://bucket/m.onnx");
    let artifact = get(&first, &source).await.unwrap();
    assert_eq!(artifact.version.as_deref(), Some("versionId=b3"));
    let held = held(&source, &Artifact { version: Some("versionId=a/1".to_owned()), ..artifact.clone() });
    let fetched = async || get(&with(&variables, "s3://bucket/m.onnx").0, &held).await;
    now.store(2, Ordering::SeqCst);
    assert_eq!(fetched().await.unwrap().digest, artifact.digest, "by its version, though the newest is another");
    now.store(3, Ordering::SeqCst);
    assert_eq!(fetched().await.unwrap().digest, artifact.digest, "the newest has the same bytes");
    now.store(4, Ordering::SeqCst);
    let error = fetched().await.unwrap_err();
    assert_eq!(error.reason(), "ModelChanged");
    let said = error.to_string();
    for part in
        ["s3://bucket/m.onnx", "(versionId=a/1)", &of_bytes(&body(900)), "asked for that version it says:", "NoSuchVersion"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn of_version(version: &str, body: &[u8]) -> Act {
    Act::Close(answer("200 OK", &format!("etag: \"{version}\"\r\nx-amz-version-id: {version}\r\n"), body))
}

#[tokio::test]
async fn of_a_folder_every_file_counts() {
    let (now, version) = moving();
    let server = Server::start(move |asked, _| {
        let weights = if version() == 2 { body(500) } else { body(400) };
        let object = |key: &str, bytes: usize, tag: &str| {
            format!("<Contents><Key>{key}</Key><ETag>{tag}</ETag><Size>{bytes}</Size></Contents>")
        };
        match asked.target.as_str() {
            "/bucket/m/model.onnx" => proper(asked, "m", &body(1000)),
            "/bucket/m/w.bin" => proper(asked, &format!("w{}", version()), &weights),
            target if target.contains("list-type=2") => {
                let tag = format!("w{}", version());
                let list = object("m/model.onnx", 1000, "m") + &object("m/w.bin", weights.len(), &tag);
                Act::Close(answer("200 OK", "", format!("<List>{list}</List>").as_bytes()))
            }
            _ => Act::Close(answer("404 Not Found", "", b"")),
        }
    })
    .await;
    let url = server.url("");
    let variables = [("AWS_ENDPOINT_URL", url.as_str())];
    let (first, source) = with(&variables, "s3://bucket/m");
    let artifact = get(&first, &source).await.unwrap();
    assert!(artifact.digest == of_bytes(&body(1000)) && artifact.content != artifact.digest && artifact.version.is_none());
    let held = held(&source, &artifact);
    let fetched = async || get(&with(&variables, "s3://bucket/m").0, &held).await;
    now.store(3, Ordering::SeqCst);
    assert_eq!(fetched().await.unwrap().content, artifact.content, "other tags of the same bytes");
    now.store(2, Ordering::SeqCst);
    let error = fetched().await.unwrap_err();
    assert!(error.reason() == "ModelChanged" && error.to_string().contains(&artifact.content), "{error}");
    assert_eq!(get(&first, &held).await.unwrap(), artifact, "what is here is it");
}

#[tokio::test]
async fn a_file_of_this_machine_is_read_and_compared() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let place = place();
    fs::create_dir_all(at("zoo/1/deep")).unwrap();
    for (path, text) in [("zoo/1/model.onnx", "one"), ("zoo/1/deep/weights", "w"), ("zoo/1/model.safetensors", "foreign")] {
        fs::write(at(path), text).unwrap();
    }
    for uri in [format!("file:{}", at("zoo/1/model.onnx").display()), format!("file:{}", at("zoo").display())] {
        let is_folder = uri.ends_with("zoo");
        let source = of(&uri);
        let artifact = get(&place, &source).await.unwrap();
        assert_eq!(artifact.content == artifact.digest, !is_folder);
        let held = held(&source, &artifact);
        for unread in ["model.safetensors", "train.log", ".hidden"] {
            fs::write(at("zoo/1").join(unread), "nobody reads it").unwrap();
        }
        fs::write(at("zoo/1/model.onnx"), "one").unwrap();
        assert_eq!(get(&place, &held).await.unwrap(), artifact, "the same bytes, written anew");
        fs::write(at("zoo/1/deep/weights"), "other").unwrap();
        assert_eq!(get(&place, &held).await.is_err(), is_folder);
        fs::write(at("zoo/1/deep/weights"), "w").unwrap();
        fs::write(at("zoo/1/model.onnx"), "two").unwrap();
        let error = get(&place, &held).await.unwrap_err();
        assert!(error.reason() == "ModelChanged" && error.to_string().contains(&uri), "{error}");
        fs::write(at("zoo/1/model.onnx"), "one").unwrap();
        fs::remove_file(at("zoo/1/model.onnx")).unwrap();
        assert!(get(&place, &held).await.is_err());
        fs::write(at("zoo/1/model.onnx"), "one").unwrap();
    }
}

#[tokio::test]
async fn what_the_spec_says_of_the_bytes_goes_first() {
    let server = Server::start(|asked, _| proper(asked, "one", &body(900))).await;
    let sum = of_bytes(&body(1000));
    let pin = Artifact::whole("m".into(), &sum, 1).pin(String::new());
    let source = Source { sha256: Some(sum), pin: Some(pin), ..of(&server.url("/m")) };
    assert_eq!(get(&place(), &source).await.unwrap_err().reason(), "ChecksumMismatch");
}
