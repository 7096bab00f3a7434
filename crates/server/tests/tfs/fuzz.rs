//! Bytes of good requests, changed at random: no panic, and never the server's fault.

use http::{Method, Request};

use crate::house::{house, send};

/// xorshift64*: enough to pick bytes, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

const BODIES: [(&str, &str, &str); 11] = [
    ("/v1/models/half:predict", "", r#"{"instances":[[1,2.5],[-3e2,4]],"signature_name":"serving_default"}"#),
    ("/v1/models/half:predict", "", r#"{"inputs":{"x":[[1,2],[3,NaN]],"other":{"a":[null,true]}}}"#),
    ("/v1/models/pair:predict", "", r#"{"instances":[{"a":[1,2],"b":7},{"b":8,"a":[3,4]}]}"#),
    ("/v1/models/pair:predict", "", r#"{"inputs":{"a":[[1,2],[3,4]],"b":[7,8]}}"#),
    ("/v1/models/text:predict", "", r#"{"instances":["a\u00e9\n",{"b64":"//8="},"\ud83d\ude00"]}"#),
    ("/v1/models/free:predict", "", r#"{"instances":[[[1],[2]],[[3],[4]],[[5],[6]]]}"#),
    ("/v1/models/is_uint64:predict", "", r#"{"instances":[18446744073709551615,0,9007199254740993]}"#),
    ("/v1/models/is_fp16:predict", "", r#"{"inputs":[65504,-Infinity,1e-8]}"#),
    (
        "/v1/models/half:predict",
        "application/cloudevents+json",
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"instances":[[1,2]]}}"#,
    ),
    (
        "/v1/models/half:predict",
        "application/cloudevents+json",
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"eyJpbnN0YW5jZXMiOltbMSwyXV19"}"#,
    ),
    (
        "/v1/models/half:predict",
        "application/x-protobuf",
        "\n\u{6}\n\u{4}half\u{12}\u{1b}\n\u{1}x\u{12}\u{16}\u{8}\u{1}\u{12}\u{8}\u{12}\u{2}\u{8}\u{1}\u{12}\u{2}\u{8}\u{2}\"\u{8}\0\0@@\0\0@@",
    ),
];

/// Bytes that mean something to a parser.
const TELLING: &[u8] = b"[]{},:\"\\0123456789-+.eENIntfu \x00\x1f\x7f\x80\xc3\xed\xff";

fn changed(body: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut body = body.to_vec();
    for _ in 0..=dice.roll(3) {
        if body.is_empty() {
            break;
        }
        let at = dice.roll(body.len());
        match dice.roll(6) {
            0 => body[at] = TELLING[dice.roll(TELLING.len())],
            1 => body.insert(at, TELLING[dice.roll(TELLING.len())]),
            2 => drop(body.remove(at)),
            3 => body.truncate(at),
            4 => body[at] ^= 1 << dice.roll(8),
            _ => {
                let end = at + dice.roll(body.len() - at);
                let copy = body[at..end].to_vec();
                body.splice(at..at, copy);
            }
        }
    }
    body
}

#[tokio::test]
async fn no_body_is_our_fault() {
    let house = house();
    let mut dice = Dice(0x006d_6f64_656c);
    for (path, kind, body) in BODIES {
        let got = send(&house, Request::post(path).header("content-type", kind).body(body.into()).unwrap()).await;
        assert_eq!(got.status.as_u16(), 200, "{path} {body}: {}", got.text());
    }
    let (mut fine, mut refused) = (0, 0);
    for round in 0..11_000 {
        let (path, kind, body) = BODIES[round % BODIES.len()];
        let body = changed(body.as_bytes(), &mut dice);
        let request = Request::post(path).header("content-type", kind).body(body.clone()).unwrap();
        let got = send(&house, request).await;
        let status = got.status.as_u16();
        assert!(matches!(status, 200 | 400 | 413), "{status} {path} {body:?}");
        if status == 200 {
            fine += 1;
        } else {
            refused += 1;
            assert!(!got.error().is_empty());
        }
    }
    assert!(fine > 200 && refused > 5000, "{fine} {refused}");
}

#[tokio::test]
async fn no_path_is_our_fault() {
    let house = house();
    let mut dice = Dice(0x0070_6174_6873);
    let paths = [
        "/v1/models/half/versions/3:predict",
        "/v1/models/half/labels/a%20b/metadata",
        "/V1/Models/a%20model%2Fx%3Ay",
        "/openapi.json",
        "/v1/models",
    ];
    let mut tried = 0;
    for round in 0..10_000 {
        let path = changed(paths[round % paths.len()].as_bytes(), &mut dice);
        let method = [Method::GET, Method::POST, Method::HEAD][dice.roll(3)].clone();
        let Ok(request) = Request::builder().method(method).uri(path.as_slice()).body(b"{}".to_vec()) else { continue };
        tried += 1;
        let got = send(&house, request).await;
        assert!(!got.status.is_server_error(), "{} {path:?}", got.status);
    }
    assert!(tried > 1000, "{tried}");
}
