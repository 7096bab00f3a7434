//! A large artefact, of which several ranges come side by side.

use std::sync::atomic::{AtomicU64, Ordering};

use super::server::{Act, Asked, Server, answer, cut, proper};
use super::*;

/// Five ranges, the last one short.
const LARGE: usize = (33 << 20) + 7;

#[tokio::test]
async fn ranges_come_side_by_side_and_make_the_whole() {
    let model = body(LARGE);
    let served = model.clone();
    let server = Server::start(move |asked, _| proper(asked, "one", &served)).await;
    let artifact = place().get(&server.url("/m"), None).await.unwrap();
    assert_eq!((artifact.digest, artifact.bytes), (of_bytes(&model), LARGE as u64));
    let seen = server.seen();
    let mut asked: Vec<_> = seen.iter().skip(1).map(|one| one.header("range").unwrap().to_owned()).collect();
    asked.sort();
    let of = |from: usize, last: usize| format!("bytes={from}-{last}");
    let mib = |count: usize| count << 20;
    let wanted = [of(mib(16), mib(24) - 1), of(mib(24), mib(32) - 1), of(mib(32), LARGE - 1), of(mib(8), mib(16) - 1)];
    assert_eq!(asked, wanted);
    assert!(seen.iter().skip(1).all(|one| one.header("if-range") == Some("\"one\"")));
}

#[tokio::test]
async fn a_cut_range_leaves_a_start_and_a_new_version_starts_over() {
    let (old, new) = (body(LARGE), body(LARGE - 1));
    // The range from 16 MiB on is cut once; what is before it, and its first bytes, are not asked for again.
    let (served, failed) = (old.clone(), AtomicU64::new(0));
    let server = Server::start(move |asked, _| match asked.from() {
        at if at == 16 << 20 && failed.fetch_add(1, Ordering::SeqCst) == 0 => {
            let range = format!("etag: \"one\"\r\ncontent-range: bytes {at}-{}/{LARGE}\r\n", (24 << 20) - 1);
            let whole = answer("206 Partial Content", &range, &served[at..24 << 20]);
            Act::Close(whole[..whole.len() - (4 << 20)].to_vec())
        }
        _ => proper(asked, "one", &served),
    })
    .await;
    assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&old));
    let from = server.seen().iter().map(Asked::from).find(|from| !from.is_multiple_of(8 << 20)).unwrap();
    assert!(((16 << 20)..(24 << 20)).contains(&from), "{from}");
    // The second request, whichever range it is, finds another version.
    let (served, fresh) = (old, new.clone());
    let server = Server::start(move |asked, nth| match nth {
        0 => proper(asked, "one", &served),
        _ => proper(asked, "two", &fresh),
    })
    .await;
    assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&new));
}

#[tokio::test]
async fn a_store_without_ranges_or_tags_is_read_in_one_piece() {
    let model = body(LARGE);
    for extra in ["", "etag: \"one\"\r\n", "accept-ranges: bytes\r\n", "accept-ranges: bytes\r\netag: W/\"one\"\r\n"] {
        let served = model.clone();
        let server = Server::start(move |_, _| Act::Close(answer("200 OK", extra, &served))).await;
        assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&model), "{extra}");
        assert_eq!(server.seen().len(), 1, "{extra}");
    }
    // Ranges are promised, and never given: as of several servers behind one name, whose tags differ.
    let served = model.clone();
    let server = Server::start(move |asked, nth| {
        let extra = format!("accept-ranges: bytes\r\netag: \"{}\"\r\n", if asked.header("range").is_some() { nth } else { 0 });
        Act::Close(answer("200 OK", &extra, &served))
    })
    .await;
    assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&model));
    assert_eq!(server.seen().last().unwrap().header("range"), None);
    // A cut in the first answer of several is resumed as any other.
    let served = model.clone();
    let server = Server::start(move |asked, nth| match nth {
        0 => Act::Close(cut(&served, 5 << 20)),
        _ => proper(asked, "one", &served),
    })
    .await;
    assert_eq!(place().get(&server.url("/m"), None).await.unwrap().digest, of_bytes(&model));
}
