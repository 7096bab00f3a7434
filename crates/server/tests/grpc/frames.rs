//! Frames, compression, deadlines, and what is no gRPC at all.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{Request, Version};
use modelyard_server::protocol::{Inbound, Seen, handle};
use modelyard_wire::proto::inference as oip;
use prost::Message;

use crate::house::{INFER, call, framed, int, raw, request, send, service, with};

#[tokio::test]
async fn compressed_requests_get_compressed_answers() {
    let service = service();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&raw().encode_to_vec()).unwrap();
    let packed = packed.finish().unwrap();
    let gzip = |flag: u8, accept: &str| {
        let mut request = request(INFER, framed(flag, &packed));
        request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        request.headers_mut().insert("grpc-accept-encoding", accept.parse().unwrap());
        request
    };
    let found = send(&service, gzip(1, "identity, gzip")).await;
    assert_eq!((found.status, found.frames[0].0, &found.headers["grpc-encoding"]), (0, 1, &"gzip".parse().unwrap()));
    let mut plain = Vec::new();
    GzDecoder::new(&found.frames[0].1[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(oip::ModelInferResponse::decode(&plain[..]).unwrap().id, "seven");
    assert_eq!(send(&service, gzip(1, "identity")).await.frames[0].0, 0);
    assert_eq!(send(&service, gzip(0, "gzip")).await.status, 3);

    let mut unknown = request(INFER, framed(0, &raw().encode_to_vec()));
    unknown.headers_mut().insert("grpc-encoding", "br".parse().unwrap());
    let found = send(&service, unknown).await;
    assert_eq!((found.status, &found.headers["grpc-accept-encoding"]), (12, &"identity,gzip,deflate".parse().unwrap()));
    assert_eq!(send(&service, request(INFER, framed(1, &packed))).await.status, 3);

    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 10 << 20]).unwrap();
    let mut bomb = request(INFER, framed(1, &bomb.finish().unwrap()));
    bomb.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    assert_eq!(send(&service, bomb).await.status, 8);
}

#[tokio::test]
async fn bodies_that_are_no_message_are_refused() {
    let service = service();
    let one = framed(0, &raw().encode_to_vec());
    let two: Bytes = [&one[..], &one[..]].concat().into();
    for (body, status, message) in [
        (Bytes::new(), 3, "the call has no message; expected one"),
        (two, 3, "more than one message"),
        (one.slice(..4), 3, "the body ends within a message: expected 5 bytes with its prefix, found 4"),
        (one.slice(..20), 3, "the body ends within a message"),
        (framed(7, b""), 3, "flag 7"),
        (framed(0, b"\x0a\x05a"), 3, "not a valid inference.ModelInferRequest"),
        (Bytes::from_static(&[0, 0, 1, 0x86, 0xa1]), 8, "100001 bytes; the limit is 100000"),
    ] {
        let found = send(&service, request(INFER, body)).await;
        assert_eq!(found.status, status, "{found:?}");
        assert!(found.message.contains(message), "{found:?}");
    }
}

#[tokio::test]
async fn deadlines_come_from_the_call_and_from_the_parameter() {
    let service = service();
    let timed = |timeout: &str| {
        let mut request = request(INFER, framed(0, &raw().encode_to_vec()));
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        request
    };
    assert_eq!(send(&service, timed("10S")).await.status, 0);
    assert_eq!(send(&service, timed("0n")).await.status, 4);
    assert_eq!(send(&service, timed("99999999H")).await.status, 0);
    let found = send(&service, timed("soon")).await;
    assert_eq!((found.status, found.message.contains("grpc-timeout 'soon'")), (3, true));
    let short = with(|request| request.parameters = BTreeMap::from([("timeout".into(), int(i64::MAX))]));
    assert_eq!(call(&service, INFER, &short).await.status, 0);
}

#[tokio::test]
async fn what_is_no_grpc_gets_an_answer_in_http() {
    let service = service();
    let mut seen = Seen::now();
    for (version, kind, method, status) in [
        (Version::HTTP_11, "application/grpc", "POST", 415),
        (Version::HTTP_2, "application/grpc-web", "POST", 415),
        (Version::HTTP_2, "application/grpc+json", "POST", 415),
        (Version::HTTP_2, "application/grpc", "GET", 405),
    ] {
        let request = Request::builder().method(method).uri(INFER).version(version).header("content-type", kind);
        let (head, body) = request.body(Inbound::Whole(None)).unwrap().into_parts();
        let response = handle(&service, (&head, body), &mut seen).await;
        assert_eq!(response.status(), status, "{version:?} {kind} {method}");
        assert_eq!(response.headers()["content-type"], "application/json");
    }
    let mut spelt = request(INFER, framed(0, &raw().encode_to_vec()));
    spelt.headers_mut().insert("content-type", "application/grpc+proto; charset=utf-8".parse().unwrap());
    assert_eq!(send(&service, spelt).await.status, 0);
}
