//! `s3:` over a socket that misbehaves. What a real server of the API says is asked in tests/stores.

use std::sync::Arc;

use super::server::{Act, Asked, Server, answer, cut, proper};
use super::*;
use crate::environment::Environment;

/// A place whose process has these variables, and a source.
pub(super) fn with(variables: &[(&str, &str)], uri: &str) -> (Place, Source) {
    let mut place = place();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    place.store.environment = Environment::Given(Arc::new(variables.collect()));
    (place, Source { uri: uri.to_owned(), sha256: None, authorization_env: None, credentials_env: None, pin: None })
}

pub(super) async fn get(place: &Place, source: &Source) -> Result<Artifact, StoreError> {
    tokio::time::timeout(Duration::from_secs(20), fetch(source, &place.store, &Progress::default())).await.unwrap()
}

fn keys(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", url.to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "very-secret".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
    ]
}

fn given<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn error(status: &str, code: &str) -> Act {
    let xml =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.</Message><StringToSign>s</StringToSign></Error>");
    Act::Close(answer(status, "", xml.as_bytes()))
}

/// Three files, and a marker of the folder itself; two pages.
fn listing(asked: &Asked) -> Act {
    let object = |key: &str, bytes: usize, tag: &str| {
        format!("<Contents><Key>{key}</Key><ETag>&quot;{tag}&quot;</ETag><Size>{bytes}</Size></Contents>")
    };
    let page = if asked.target.contains("continuation-token=a%2Fb") {
        format!("<List>{}</List>", object("m &amp; n/sample.json", 3, "s"))
    } else {
        let objects =
            [object("m &amp; n/", 0, "0"), object("m &amp; n/model.onnx", 1000, "m"), object("m &amp; n/deep/w.bin", 5000, "w")];
        format!("<List>{}<NextContinuationToken>a/b</NextContinuationToken></List>", objects.concat())
    };
    Act::Close(answer("200 OK", "", page.as_bytes()))
}

fn folder(asked: &Asked) -> Act {
    match asked.target.as_str() {
        "/bucket/m%20%26%20n/model.onnx" => proper(asked, "m", &body(1000)),
        "/bucket/m%20%26%20n/deep/w.bin" => proper(asked, "w", &body(5000)),
        "/bucket/m%20%26%20n/sample.json" => proper(asked, "s", b"{ }"),
        target if target.contains("list-type=2") => listing(asked),
        _ => error("404 Not Found", "NoSuchKey"),
    }
}

#[tokio::test]
async fn an_object_is_signed_for_and_revalidated() {
    let server = Server::start(|asked, _| proper(asked, "one", &body(1000))).await;
    let (place, source) = with(&given(&keys(&server.url(""))), "s3://bucket/a b/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().digest, of_bytes(&body(1000)));
    get(&place, &source).await.unwrap();
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].target.as_str()), (2, "/bucket/a%20b/m.onnx"));
    assert_eq!(seen[1].header("if-none-match"), Some("\"one\""));
    let authorization = seen[0].header("authorization").unwrap();
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && authorization.contains("/eu-west-1/s3/"),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_prefix_is_a_folder_and_its_files_are_resumed_one_by_one() {
    let server = Server::start(|asked, nth| match (asked.target.as_str(), nth) {
        ("/bucket/m%20%26%20n/deep/w.bin", 0..5) => Act::Close(cut_of("w", &body(5000), 2000)),
        _ => folder(asked),
    })
    .await;
    for uri in ["s3://bucket/m & n", "s3://bucket/m & n/"] {
        let (place, mut source) = with(&given(&keys(&server.url(""))), uri);
        let progress = Progress::default();
        let artifact = fetch(&source, &place.store, &progress).await.unwrap();
        assert_eq!((artifact.digest.as_str(), progress.read()), (of_bytes(&body(1000)).as_str(), (6003, 6003)));
        let folder = artifact.model.parent().unwrap();
        assert_eq!(fs::read(folder.join("deep/w.bin")).unwrap(), body(5000));
        assert_eq!(fs::read(folder.join("sample.json")).unwrap(), b"{ }");
        assert_eq!((place.files("partial"), place.files("tmp")), (0, 0));
        // Known: a listing tells that nothing changed; with a sum not even that is asked.
        let before = server.seen().len();
        assert_eq!(get(&place, &source).await.unwrap(), artifact);
        assert!(server.seen()[before..].iter().all(|asked| !asked.target.contains("w.bin")), "nothing is fetched again");
        source.sha256 = Some("0".repeat(64));
        assert_eq!(get(&place, &source).await.unwrap_err().reason(), "ChecksumMismatch");
    }
    assert!(server.seen().iter().any(|asked| asked.target.ends_with("w.bin") && asked.from() == 2000), "a cut file is resumed");
}

fn cut_of(tag: &str, body: &[u8], sent: usize) -> Vec<u8> {
    let whole = answer("200 OK", &format!("etag: \"{tag}\"\r\n"), body);
    whole[..whole.len() - body.len() + sent].to_vec()
}

#[tokio::test]
async fn a_folder_outlives_its_store_and_is_never_mixed_of_versions() {
    let version = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&version);
    let server = Server::start(move |asked, _| match (now.load(Ordering::SeqCst), asked.target.ends_with("w.bin")) {
        // Another object than the one that was listed.
        (2, true) => proper(asked, "new", &body(5000)),
        (3, _) => error("503 Slow Down", "SlowDown"),
        _ => folder(asked),
    })
    .await;
    let (place, source) = with(&given(&keys(&server.url(""))), "s3://bucket/m & n/");
    version.store(2, Ordering::SeqCst);
    let error = get(&place, &source).await.unwrap_err();
    assert!(error.reason() == "StoreUnavailable" && error.to_string().contains("changed while it was fetched"), "{error}");
    version.store(1, Ordering::SeqCst);
    let artifact = get(&place, &source).await.unwrap();
    version.store(3, Ordering::SeqCst);
    assert_eq!(get(&place, &source).await.unwrap(), artifact);
}

#[tokio::test]
async fn each_refusal_names_the_uri_the_fault_and_what_to_set() {
    for (status, code, reason, words) in [
        (
            "403 Forbidden",
            "AccessDenied",
            "ModelUnauthorized",
            &["AccessDenied: No.", "s3:GetObject", "eu-west-1", "with AWS_ACCESS_KEY_ID"][..],
        ),
        ("404 Not Found", "NoSuchBucket", "ModelNotFound", &["NoSuchBucket"]),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "StoreUnavailable", &["AuthorizationHeaderMalformed"]),
        ("503 Slow Down", "SlowDown", "StoreUnavailable", &["SlowDown", "after 4 attempts"]),
    ] {
        let server = Server::start(move |_, _| error(status, code)).await;
        let (place, source) = with(&given(&keys(&server.url(""))), "s3://bucket/m.onnx");
        let error = get(&place, &source).await.unwrap_err();
        let message = error.to_string();
        assert_eq!(error.reason(), reason, "{message}");
        assert!(message.contains("s3://bucket/m.onnx") && words.iter().all(|word| message.contains(word)), "{message}");
        assert!(!message.contains("very-secret") && !message.contains("AKID") && !message.contains("Signature"), "{message}");
    }
    let server = Server::start(|_, _| {
        Act::Close(answer(
            "301 Moved Permanently",
            "x-amz-bucket-region: ap-south-1\r\n",
            b"<Error><Code>PermanentRedirect</Code></Error>",
        ))
    })
    .await;
    let (place, source) = with(&given(&keys(&server.url(""))), "s3://bucket/m.onnx");
    let message = get(&place, &source).await.unwrap_err().to_string();
    assert!(message.contains("ap-south-1: set AWS_REGION to it"), "{message}");
}

#[tokio::test]
async fn keys_that_are_missing_are_named_before_anything_is_asked() {
    let server = Server::start(|asked, _| proper(asked, "one", &body(10))).await;
    let url = server.url("");
    let (place, mut source) = with(&[("AWS_ENDPOINT_URL", &url)], "s3://public/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().bytes, 10);
    assert_eq!(server.seen()[0].header("authorization"), None, "a public bucket is asked without a signature");
    source.credentials_env = Some("MODELYARD_STORE_0_".to_owned());
    let error = get(&place, &source).await.unwrap_err();
    assert!(error.reason() == "ModelUnauthorized" && error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    let half = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("MODELYARD_STORE_0_AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "of another"),
    ];
    let (place, mut source) = with(&half, "s3://bucket/m.onnx");
    source.credentials_env = Some("MODELYARD_STORE_0_".to_owned());
    let error = get(&place, &source).await.unwrap_err();
    assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY is not"), "{error}");
    assert_eq!(server.seen().len(), 1);
    for uri in ["s3://bucket", "s3://bucket/", "s3:///key", "s3://buc ket/key", "s3://user@bucket/key"] {
        let (place, source) = with(&[], uri);
        assert_eq!(get(&place, &source).await.unwrap_err().reason(), "ModelInvalid", "{uri}");
    }
}

#[tokio::test]
async fn a_web_identity_is_exchanged_and_renewed_when_its_keys_expire() {
    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "kubelets-token\n").unwrap();
    let handed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&handed);
    let server = Server::start(move |asked, _| {
        if asked.body.starts_with("Action=AssumeRoleWithWebIdentity") {
            assert!(asked.body.contains("&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader&"), "{}", asked.body);
            assert!(asked.body.ends_with("&WebIdentityToken=kubelets-token"), "{}", asked.body);
            let id = format!("AKID{}", count.fetch_add(1, Ordering::SeqCst));
            let xml = format!(
                "<R><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></R>"
            );
            return Act::Close(answer("200 OK", "", xml.as_bytes()));
        }
        assert_eq!(asked.header("x-amz-security-token"), Some("t"));
        if asked.header("authorization").unwrap().contains("Credential=AKID0/") {
            return error("400 Bad Request", "ExpiredToken");
        }
        proper(asked, "one", &body(1000))
    })
    .await;
    let url = server.url("");
    let path = token.path().display().to_string();
    let variables = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/reader"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &path),
    ];
    let (place, source) = with(&variables, "s3://bucket/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().digest, of_bytes(&body(1000)));
    assert_eq!(handed.load(Ordering::SeqCst), 2);
    let gone = [variables[0], variables[1], ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")];
    let (place, source) = with(&gone, "s3://bucket/m.onnx");
    let error = get(&place, &source).await.unwrap_err();
    assert!(error.reason() == "ModelUnauthorized" && error.to_string().contains("/nowhere/token"), "{error}");
}

#[tokio::test]
async fn a_containers_agent_is_asked_only_where_it_is_near() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/agent" => {
            assert_eq!(asked.header("authorization"), Some("pods-token"));
            let json = r#"{"AccessKeyId":"AKID","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#;
            Act::Close(answer("200 OK", "", json.as_bytes()))
        }
        _ => proper(asked, "one", &body(1000)),
    })
    .await;
    let (url, agent) = (server.url(""), server.url("/agent"));
    let of = |agent| {
        [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pods-token"),
        ]
    };
    let (place, source) = with(&of(&agent), "s3://bucket/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().bytes, 1000);
    assert_eq!(server.seen()[1].header("x-amz-security-token"), Some("t"));
    let (place, source) = with(&of("http://elsewhere.example/agent"), "s3://bucket/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap_err().reason(), "ModelUnauthorized");
}

#[tokio::test]
async fn a_signature_never_follows_a_redirect_elsewhere() {
    let other = Server::start(|asked, _| proper(asked, "one", &body(1000))).await;
    let to = other.url("/m");
    let server =
        Server::start(move |_, _| Act::Close(answer("307 Temporary Redirect", &format!("location: {to}\r\n"), b""))).await;
    let (place, source) = with(&given(&keys(&server.url(""))), "s3://bucket/m.onnx");
    get(&place, &source).await.unwrap();
    let seen = &other.seen()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-amz-date")), (None, None));
    let looping = Server::start(|_, _| Act::Close(answer("307 Temporary Redirect", "location: /bucket/m.onnx\r\n", b""))).await;
    let (place, source) = with(&given(&keys(&looping.url(""))), "s3://bucket/m.onnx");
    let error = get(&place, &source).await.unwrap_err();
    assert!(error.to_string().contains("more than 5 redirects"), "{error}");
    // A cut of an object is resumed with a signature of its own.
    let cutting =
        Server::start(|asked, nth| if nth == 0 { Act::Close(cut(&body(3000), 1000)) } else { proper(asked, "one", &body(3000)) })
            .await;
    let (place, source) = with(&given(&keys(&cutting.url(""))), "s3://bucket/m.onnx");
    assert_eq!(get(&place, &source).await.unwrap().bytes, 3000);
    assert!(cutting.seen()[1].header("authorization").unwrap().contains("SignedHeaders=host;range;"));
}
