//! Fetching over real sockets, from stores that cut, stall, lie and come back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::digest::of_bytes;
use super::*;

mod faults;
mod pins;
mod push;
mod ranges;
mod s3;
mod server;
mod tokens;

use server::{Act, Server, answer, cut, proper};

/// A model's worth of bytes, none of them like another archive's or page's start.
fn body(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    (0..length)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if at == 0 { 8 } else { (state >> 24) as u8 }
        })
        .collect()
}

fn quick() -> Limits {
    Limits {
        // Longer than a busy machine makes a server on it wait.
        stall: Duration::from_millis(1000),
        backoff_first: Duration::from_millis(2),
        backoff_max: Duration::from_millis(10),
        retry_after_max: Duration::from_millis(50),
        attempts: 4,
        ..Limits::default()
    }
}

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in(dir.path());
    Place { dir, store }
}

fn store_in(dir: &Path) -> Store {
    let mut store = Store::new(dir, quick());
    store.client = remote::Client::behind(hyper_util::client::proxy::matcher::Matcher::builder().build());
    store
}

impl Place {
    async fn get(&self, uri: &str, sha256: Option<&str>) -> Result<Artifact, StoreError> {
        let source = Source {
            uri: uri.to_owned(),
            sha256: sha256.map(ToOwned::to_owned),
            authorization_env: None,
            credentials_env: None,
            pin: None,
        };
        tokio::time::timeout(Duration::from_secs(20), fetch(&source, &self.store, &Progress::default())).await.unwrap()
    }

    fn files(&self, folder: &str) -> usize {
        fs::read_dir(self.dir.path().join(folder)).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn a_download_is_kept_and_a_known_sum_needs_no_network() {
    let model = body(3 << 20);
    let served = model.clone();
    let mut server = Server::start(move |asked, _| proper(asked, "one", &served)).await;
    let place = place();
    let progress = Progress::default();
    let source = Source {
        uri: server.url("/m.onnx"),
        sha256: Some(of_bytes(&model).to_ascii_uppercase()),
        authorization_env: None,
        credentials_env: None,
        pin: None,
    };
    let artifact = fetch(&source, &place.store, &progress).await.unwrap();
    assert_eq!(fs::read(&artifact.model).unwrap(), model);
    assert_eq!((artifact.digest.as_str(), artifact.bytes), (of_bytes(&model).as_str(), model.len() as u64));
    assert_eq!(progress.read(), (model.len() as u64, model.len() as u64));
    assert_eq!((place.files("partial"), place.files("tmp")), (0, 0));
    server.stop().await;
    assert_eq!(fetch(&source, &store_in(place.dir.path()), &progress).await.unwrap(), artifact);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn many_at_once_download_once() {
    for sha256 in [None, Some(of_bytes(&body(400_000)))] {
        let server = Server::start(|_, _| Act::Close(answer("200 OK", "", &body(400_000)))).await;
        let dir = tempfile::tempdir().unwrap();
        let fetches = (0..12).map(|_| {
            // Each with a store of its own, as another process has; the kernel's locks do not know the difference.
            let (store, source) = (
                store_in(dir.path()),
                Source {
                    uri: server.url("/m"),
                    sha256: sha256.clone(),
                    authorization_env: None,
                    credentials_env: None,
                    pin: None,
                },
            );
            tokio::spawn(async move { fetch(&source, &store, &Progress::default()).await })
        });
        let fetches: Vec<_> = fetches.collect();
        for one in fetches {
            assert_eq!(one.await.unwrap().unwrap().digest, of_bytes(&body(400_000)));
        }
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_holder_that_is_stuck_is_not_waited_for_for_ever() {
    let server = Server::start(|asked, _| proper(asked, "one", &body(100))).await;
    let mut place = place();
    place.store.limits.stall = Duration::from_millis(50);
    let sum = of_bytes(&body(100));
    let held = lock::acquire(&place.store.cache, &sum, &place.store.limits, &Progress::default()).await.unwrap();
    assert!(matches!(held, lock::Waited::Held(_)));
    assert_eq!(place.get(&server.url("/m"), Some(&sum)).await.unwrap().digest, sum);
    assert_eq!(place.files("partial"), 0);
}

#[tokio::test]
async fn a_moving_url_is_revalidated_and_outlives_its_store() {
    let version = std::sync::Arc::new(AtomicU64::new(1));
    let now = std::sync::Arc::clone(&version);
    let mut server = Server::start(move |asked, _| match now.load(Ordering::SeqCst) {
        1 => proper(asked, "one", &body(1000)),
        2 => proper(asked, "two", &body(2000)),
        3 => Act::Close(answer("503 Service Unavailable", "", b"")),
        _ => Act::Close(answer("404 Not Found", "", b"")),
    })
    .await;
    let (place, url) = (place(), server.url("/m"));
    let first = place.get(&url, None).await.unwrap();
    assert_eq!(place.get(&url, None).await.unwrap(), first);
    assert_eq!(server.seen()[1].header("if-none-match"), Some("\"one\""));
    version.store(2, Ordering::SeqCst);
    let second = place.get(&url, None).await.unwrap();
    assert_eq!(second.bytes, 2000);
    version.store(3, Ordering::SeqCst);
    assert_eq!(place.get(&url, None).await.unwrap(), second);
    // What is gone on purpose is gone.
    version.store(4, Ordering::SeqCst);
    assert_eq!(place.get(&url, None).await.unwrap_err().reason(), "ModelNotFound");
    server.stop().await;
    assert_eq!(place.get(&url, None).await.unwrap(), second);
    assert_eq!(place.get(&server.url("/other"), None).await.unwrap_err().reason(), "StoreUnavailable");
}

#[tokio::test]
async fn a_dropped_fetch_leaves_a_start_for_the_next() {
    let server = Server::start(|asked, nth| match nth {
        0 => Act::Stall(cut(&body(3 << 20), 2 << 20)),
        _ => proper(asked, "one", &body(3 << 20)),
    })
    .await;
    let place = place();
    let progress = std::sync::Arc::new(Progress::default());
    let (source, store, seen) = (
        Source { uri: server.url("/m"), sha256: None, authorization_env: None, credentials_env: None, pin: None },
        place.store.clone(),
        progress.clone(),
    );
    let first = tokio::spawn(async move { fetch(&source, &store, &seen).await });
    let written = || fs::read_dir(place.dir.path().join("partial")).into_iter().flatten().flatten();
    while written().map(|file| file.metadata().unwrap().len()).max().unwrap_or(0) < 1 << 20 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(place.get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&body(3 << 20)));
    assert!(server.seen()[1].from() >= 1 << 20);
}

#[tokio::test]
async fn a_damaged_entry_is_fetched_anew() {
    let server = Server::start(|asked, _| proper(asked, "one", &body(1000))).await;
    let (place, sum) = (place(), of_bytes(&body(1000)));
    let artifact = place.get(&server.url("/m"), Some(&sum)).await.unwrap();
    fs::write(&artifact.model, "damaged").unwrap();
    let again = place.get(&server.url("/m"), Some(&sum)).await.unwrap();
    assert_eq!(fs::read(&again.model).unwrap(), body(1000));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_page_is_not_a_model() {
    let server = Server::start(|asked, _| proper(asked, "one", b"<!DOCTYPE html><title>Sign in</title>")).await;
    let place = place();
    let error = place.get(&server.url("/m"), None).await.unwrap_err();
    assert!(error.reason() == "ModelInvalid" && error.to_string().contains("HTML page"), "{error}");
    assert_eq!((place.files("partial"), place.files("sha256")), (0, 0));
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url_with_its_own_credentials() {
    let proxy = Server::start(|asked, _| proper(asked, "one", &body(100))).await;
    let mut place = place();
    let matcher = || hyper_util::client::proxy::matcher::Matcher::builder().all(proxy.url("").replace("//", "//user:pw@"));
    place.store.client = remote::Client::behind(matcher().no("direct.example").build());
    assert_eq!(place.get("http://models.example/m", None).await.unwrap().bytes, 100);
    let asked = &proxy.seen()[0];
    assert_eq!((asked.target.as_str(), asked.header("host")), ("http://models.example/m", Some("models.example")));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic dXNlcjpwdw=="));
    // HTTPS goes through a tunnel, which this proxy does not open.
    assert_eq!(place.get("https://models.example/m", None).await.unwrap_err().reason(), "StoreUnavailable");
    assert_eq!(proxy.seen()[1].target, "models.example:443");
}

#[tokio::test]
async fn files_are_used_where_they_lie() {
    let place = place();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    let model = write("repo/1/model.onnx", &body(500));
    let uri = |path: &Path| format!("file:{}", path.display());
    for from in [model.as_path(), &dir.path().join("repo")] {
        let artifact = place.get(&uri(from), Some(&of_bytes(&body(500)))).await.unwrap();
        assert_eq!((artifact.model.as_path(), artifact.bytes), (model.as_path(), 500));
        let wrong = place.get(&uri(from), Some(&"0".repeat(64))).await.unwrap_err();
        assert_eq!(wrong.reason(), "ChecksumMismatch");
    }
    assert_eq!(place.get(&uri(&dir.path().join("none")), None).await.unwrap_err().reason(), "ModelNotFound");
    assert_eq!(place.get(&uri(&write("empty.onnx", b"")), None).await.unwrap_err().reason(), "ModelInvalid");
    assert_eq!(place.get("file:/dev/null", None).await.unwrap_err().reason(), "ModelInvalid");
    assert_eq!(place.get("ftp://bucket/m", None).await.unwrap_err().reason(), "ModelInvalid");
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0, "nothing is cached for a file");
}

/// Not a test of its own: the process that the test below kills.
#[tokio::test]
async fn child_process() {
    let (Ok(url), Ok(dir)) = (std::env::var("MODELYARD_TEST_URL"), std::env::var("MODELYARD_TEST_DIR")) else { return };
    let limits = Limits { stall: Duration::from_secs(60), ..quick() };
    let _ = fetch(
        &Source { uri: url, sha256: None, authorization_env: None, credentials_env: None, pin: None },
        &Store::new(dir, limits),
        &Progress::default(),
    )
    .await;
}

#[tokio::test]
async fn a_killed_process_leaves_its_start_and_no_lock() {
    let server = Server::start(|asked, nth| match nth {
        0 => Act::Stall(cut(&body(4 << 20), 3 << 20)),
        _ => proper(asked, "one", &body(4 << 20)),
    })
    .await;
    let place = place();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::child_process"])
        .env("MODELYARD_TEST_URL", server.url("/m"))
        .env("MODELYARD_TEST_DIR", place.dir.path())
        .env("NO_PROXY", "127.0.0.1")
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // A second process waits meanwhile, and takes over when the first dies.
    let (source, store) = (
        Source { uri: server.url("/m"), sha256: None, authorization_env: None, credentials_env: None, pin: None },
        place.store.clone(),
    );
    let part = || fs::read_dir(place.dir.path().join("partial")).into_iter().flatten().flatten();
    let begun = std::time::Instant::now();
    while part().map(|file| file.metadata().unwrap().len()).max().unwrap_or(0) < 2 << 20 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the child downloads nothing");
        tokio::task::yield_now().await;
    }
    let waiting = tokio::spawn(async move { fetch(&source, &store, &Progress::default()).await });
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().digest, of_bytes(&body(4 << 20)));
    assert_eq!(server.seen().len(), 2);
    assert!(server.seen()[1].from() >= 2 << 20);
}

#[tokio::test]
async fn a_store_that_wants_a_header_gets_the_one_of_the_environment() {
    let mut server = Server::start(move |asked, _| proper(asked, "one", &body(100))).await;
    // Every test process has this variable.
    let expected = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let place = place();
    let source = |variable: &str| Source {
        uri: server.url("/m"),
        sha256: None,
        authorization_env: Some(variable.to_owned()),
        credentials_env: None,
        pin: None,
    };
    let missing = fetch(&source("MODELYARD_NO_SUCH_VARIABLE"), &place.store, &Progress::default()).await.unwrap_err();
    assert_eq!((missing.reason(), server.seen().len()), ("ModelUnauthorized", 0));
    fetch(&source("CARGO_MANIFEST_DIR"), &place.store, &Progress::default()).await.unwrap();
    server.stop().await;
    assert_eq!(server.seen()[0].headers["authorization"], expected);
}

#[test]
fn a_full_cache_loses_what_was_unused_for_longest() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache::Cache::new(dir.path().to_owned());
    let mut limits = Limits { max_cache_bytes: 3500, in_use: Duration::ZERO, ..Limits::default() };
    let digest = |id: u8| of_bytes(&[id]);
    let insert = |id: u8, limits: &Limits| {
        let model = vec![id; 1000];
        let fill = |into: &Path| {
            fs::write(into.join("model.onnx"), &model).unwrap();
            Ok(vec![cache::Kept { path: "model.onnx".into(), sha256: of_bytes(&model) }])
        };
        cache.insert(&digest(id), 1000, limits, fill).unwrap();
        // What was used in the same tick of the file system's clock has no order: each is older than the one before it was.
        let about = dir.path().join("sha256").join(digest(id)).join("about.json");
        let used = std::time::SystemTime::now() - Duration::from_secs(100 - u64::from(id));
        fs::File::open(about).unwrap().set_modified(used).unwrap();
    };
    let held = || (1..=4).filter(|id| dir.path().join("sha256").join(digest(*id)).exists()).collect::<Vec<u8>>();
    for id in 1..=2 {
        insert(id, &limits);
    }
    assert!(cache.find(&digest(1)).unwrap().is_some(), "used again");
    insert(3, &limits);
    assert_eq!(held(), [1, 2, 3], "within its bounds");
    insert(4, &limits);
    assert_eq!(held(), [1, 3, 4], "the second was unused for longest");
    assert!(cache.find(&digest(2)).unwrap().is_none());
    limits = Limits { max_cache_bytes: 1000, in_use: Duration::from_secs(3600), ..limits };
    insert(2, &limits);
    assert_eq!(held(), [1, 2, 3, 4], "all were used lately");
}
