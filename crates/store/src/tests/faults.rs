//! Stores that cut, stall, refuse, redirect and lie.

use super::*;

#[tokio::test]
async fn a_cut_is_resumed_where_it_was() {
    let model = body(300_000);
    let served = model.clone();
    let server = Server::start(move |asked, nth| match nth {
        0 => Act::Close(cut(&served, 100_000)),
        _ => proper(asked, "one", &served),
    })
    .await;
    let artifact = place().get(&server.url("/m"), None).await.unwrap();
    assert_eq!(artifact.digest, of_bytes(&model));
    let again = &server.seen()[1];
    assert_eq!((again.header("range"), again.header("if-range")), (Some("bytes=100000-"), Some("\"one\"")));
}

#[tokio::test]
async fn a_store_that_ignores_ranges_or_has_a_new_version_is_read_anew() {
    for (tag, fresh) in [("one", body(300_000)), ("two", body(200_001))] {
        let (old, new) = (body(300_000), fresh.clone());
        let server = Server::start(move |_, nth| match nth {
            0 => Act::Close(cut(&old, 150_000)),
            _ => Act::Close(answer("200 OK", &format!("etag: \"{tag}\"\r\n"), &new)),
        })
        .await;
        let artifact = place().get(&server.url("/m"), None).await.unwrap();
        assert_eq!((artifact.digest, artifact.bytes), (of_bytes(&fresh), fresh.len() as u64));
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn without_a_validator_pieces_are_joined_only_under_a_sum() {
    let model = body(50_000);
    let served = model.clone();
    let server = Server::start(move |asked, nth| match nth % 2 {
        0 => {
            let whole = answer("200 OK", "", &served);
            Act::Close(whole[..whole.len() - 20_000].to_vec())
        }
        _ => proper(asked, "one", &served),
    })
    .await;
    assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&model));
    assert_eq!(server.seen()[1].header("range"), None);
    assert_eq!(place().get(&server.url("/m"), Some(&of_bytes(&model))).await.unwrap().digest, of_bytes(&model));
    assert_eq!(server.seen()[3].header("range"), Some("bytes=30000-"));
}

#[tokio::test]
async fn pieces_that_do_not_fit_are_fetched_once_more_in_one() {
    let (model, sum) = (body(50_000), of_bytes(&body(50_000)));
    let served = model.clone();
    let server = Server::start(move |asked, nth| match nth {
        // Another version's start, without a word of it.
        0 => Act::Close(answer("200 OK", "", &[9; 50_000])[..20_000].to_vec()),
        _ => proper(asked, "one", &served),
    })
    .await;
    assert_eq!(place().get(&server.url("/m"), Some(&sum)).await.unwrap().digest, sum);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_stalled_store_is_asked_again_and_then_given_up() {
    let model = body(10_000);
    let served = model.clone();
    let server = Server::start(move |asked, nth| match nth {
        0 => Act::Stall(Vec::new()),
        1 => Act::Stall(cut(&served, 5_000)),
        _ => proper(asked, "one", &served),
    })
    .await;
    let place = place();
    assert_eq!(place.get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&model));
    assert_eq!(server.seen()[2].from(), 5_000);
    let silent = Server::start(|_, _| Act::Stall(Vec::new())).await;
    let error = place.get(&silent.url("/m"), None).await.unwrap_err();
    assert_eq!(error.reason(), "StoreUnavailable");
    assert!(error.to_string().contains("no answer for 1s (after 4 attempts)"), "{error}");
}

#[tokio::test]
async fn each_status_has_its_class_and_only_the_worlds_faults_are_retried() {
    for (status, reason, requests) in [
        ("404 Not Found", "ModelNotFound", 1),
        ("410 Gone", "ModelNotFound", 1),
        ("401 Unauthorized", "ModelUnauthorized", 1),
        ("403 Forbidden", "ModelUnauthorized", 1),
        ("400 Bad Request", "StoreUnavailable", 1),
        ("204 No Content", "StoreUnavailable", 1),
        ("304 Not Modified", "StoreUnavailable", 1),
        ("429 Too Many Requests", "StoreUnavailable", 4),
        ("500 Internal Server Error", "StoreUnavailable", 4),
        ("503 Service Unavailable", "StoreUnavailable", 4),
    ] {
        let server = Server::start(move |_, _| Act::Close(answer(status, "", b""))).await;
        let error = place().get(&server.url("/m?sig=secret"), None).await.unwrap_err();
        assert_eq!((error.reason(), server.seen().len()), (reason, requests), "{status}: {error}");
        assert!(error.to_string().contains(&status[..3]) && !error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_comes_back_is_used() {
    let model = body(100);
    let served = model.clone();
    let server = Server::start(move |asked, nth| match nth {
        0 | 1 => Act::Close(answer("503 Service Unavailable", "retry-after: 1\r\n", b"")),
        2 => Act::Close(Vec::new()),
        _ => proper(asked, "one", &served),
    })
    .await;
    let begun = std::time::Instant::now();
    assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&model));
    assert!(begun.elapsed() >= Duration::from_millis(100), "Retry-After was not waited for");
}

#[tokio::test]
async fn redirects_are_followed_within_bounds() {
    let served = body(100);
    let server = Server::start(move |asked, _| {
        let to = |location: &str| Act::Close(answer("302 Found", &format!("location: {location}\r\n"), b"moved"));
        match asked.target.as_str() {
            "/a/start" => to("../b/next?x=1"),
            "/b/next?x=1" => to("/end"),
            "/end" => proper(asked, "one", &served),
            "/file" => to("file:///etc/passwd"),
            _ => to("/loop"),
        }
    })
    .await;
    let place = place();
    assert_eq!(place.get(&server.url("/a/start"), None).await.unwrap().digest, of_bytes(&body(100)));
    assert_eq!(server.seen().len(), 3);
    for (path, words) in [("/loop", "more than 5 redirects"), ("/file", "a URL cannot be read")] {
        let error = place.get(&server.url(path), None).await.unwrap_err();
        assert!(error.reason() == "StoreUnavailable" && error.to_string().contains(words), "{error}");
    }
    assert_eq!(server.seen().len(), 3 + 6 + 1);
}

#[tokio::test]
async fn a_lie_about_the_length_never_becomes_an_artefact() {
    let (model, sum) = (body(1000), of_bytes(&body(1000)));
    // Less than is there: the sum tells. More: the body is never whole.
    for (told, reason) in [(900, "ChecksumMismatch"), (1100, "StoreUnavailable")] {
        let served = model.clone();
        let server = Server::start(move |_, _| {
            let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {told}\r\n\r\n").into_bytes();
            bytes.extend_from_slice(&served);
            Act::Close(bytes)
        })
        .await;
        let place = place();
        let error = place.get(&server.url("/m"), Some(&sum)).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(place.files("sha256"), 0);
    }
}

#[tokio::test]
async fn wrong_bytes_are_removed_and_not_asked_for_again() {
    let server = Server::start(|asked, _| proper(asked, "one", &body(1000))).await;
    let place = place();
    let error = place.get(&server.url("/m"), Some(&"0".repeat(64))).await.unwrap_err();
    assert_eq!(error.reason(), "ChecksumMismatch");
    assert!(error.to_string().contains(&of_bytes(&body(1000))), "{error}");
    assert_eq!((place.files("partial"), place.files("sha256"), server.seen().len()), (0, 0, 1));
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_comes_or_while() {
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[8; 4096]);
        chunked.extend_from_slice(b"\r\n");
    }
    let endless = chunked.clone();
    for head in [b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec(), endless] {
        let server = Server::start(move |_, _| Act::Stall(head.clone())).await;
        let mut place = place();
        place.store.limits.max_artifact_bytes = 50_000;
        let error = place.get(&server.url("/m"), None).await.unwrap_err();
        assert_eq!(error.reason(), "ModelInvalid");
        assert!(error.to_string().contains("larger than the limit of 50000 bytes"), "{error}");
        assert_eq!((place.files("partial"), server.seen().len()), (0, 1));
    }
}
