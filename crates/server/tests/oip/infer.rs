//! What goes in comes out: JSON, binary tensors, classes, encodings, every datatype.

use std::io::{Read, Write};

use bytes::Bytes;
use modelyard_server::protocol::Protocol;
use modelyard_wire::json::oip::{Encoded, Form, Outgoing};
use modelyard_wire::{DataType, Tensor};
use proptest::prelude::*;
use serde_json::json;

use crate::house::{infer, send, service, x};

#[tokio::test]
async fn the_answer_is_exact_json() {
    let body =
        r#"{"id":"a\"b","inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[0.1,2,-3e-8,NaN,Infinity,-Infinity]}]}"#;
    for kind in [None, Some("text/plain"), Some("application/octet-stream"), Some("application/json; charset=utf-8")] {
        let headers: Vec<_> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
        let got = send(&service(false), ("POST", "/v2/models/scores/infer"), &headers, body).await;
        assert_eq!(
            std::str::from_utf8(&got.body).unwrap(),
            r#"{"model_name":"scores","model_version":"3","id":"a\"b","outputs":[{"name":"y","datatype":"FP32","shape":[2,3],"data":[0.1,2.0,-3e-8,NaN,Infinity,-Infinity]}]}"#
        );
        assert_eq!(got.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn integers_keep_all_digits() {
    let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"UINT64","data":[18446744073709551615,9007199254740993]}]}"#;
    let got = infer(&service(false), "uint64", body).await;
    assert!(String::from_utf8_lossy(&got.body).contains("[18446744073709551615,9007199254740993]"), "{:?}", got.body);
}

#[tokio::test]
async fn strings_that_json_cannot_carry_need_binary_output() {
    let service = service(false);
    let tensor = Tensor::strings(vec![1, 2], vec![Bytes::from_static(b"ok"), Bytes::from_static(b"\xff")]).unwrap();
    let inputs = [("x", &tensor)];
    let Encoded { body, json_length } = Outgoing { inputs: &inputs, ..Outgoing::default() }.write(Form::Binary).unwrap();
    let length = json_length.unwrap();
    let headers = |length: usize| length.to_string();
    let path = ("POST", "/v2/models/bytes/infer");
    let binary = send(&service, path, &[("inference-header-content-length", &headers(length))], body.clone()).await;
    assert_eq!(binary.decoded().outputs[0].tensor, tensor);
    let ask = String::from_utf8(body[..length].to_vec()).unwrap().replace("true", "false");
    let body = [ask.as_bytes(), &body[length..]].concat();
    let refused = send(&service, path, &[("inference-header-content-length", &headers(ask.len()))], body).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.error(), "output 'y': element 1 is not UTF-8, which JSON cannot carry; ask for binary output");
}

#[tokio::test]
async fn binary_tensors() {
    let service = service(false);
    let path = ("POST", "/v2/models/scores/infer");
    let raw: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|one| one.to_le_bytes()).collect();
    let json = |output: &str| {
        format!(r#"{{"inputs":[{{"name":"x","shape":[1,3],"datatype":"FP32","parameters":{{"binary_data_size":12}}}}]{output}}}"#)
    };
    let body = |output: &str| [json(output).as_bytes(), &raw].concat();
    let length = |output: &str| json(output).len().to_string();
    let tensor = Tensor::from_f32(vec![1, 3], &[1.0, 2.0, 3.0]).unwrap();
    for (output, binary) in [
        ("", false),
        (r#","parameters":{"binary_data_output":true}"#, true),
        (r#","outputs":[{"name":"y","parameters":{"binary_data":true}}]"#, true),
        (r#","outputs":[{"name":"y","parameters":{"binary_data":false}}],"parameters":{"binary_data_output":true}"#, false),
    ] {
        let got = send(&service, path, &[("Inference-Header-Content-Length", &length(output))], body(output)).await;
        assert_eq!(got.status, 200, "{:?}", got.body);
        assert_eq!(got.seen.protocol, Protocol::OipBinary);
        assert_eq!(got.header("inference-header-content-length").is_some(), binary);
        assert_eq!(got.header("content-type"), Some(if binary { "application/octet-stream" } else { "application/json" }));
        assert_eq!(got.decoded().outputs[0].tensor, tensor);
    }
    let plus = (json("").len() + 13).to_string();
    for (case, header, body, message) in [
        ("header past the body", Some(plus.as_str()), body(""), "the header Inference-Header-Content-Length says"),
        (
            "header not a number",
            Some("NaN"),
            body(""),
            "the header Inference-Header-Content-Length: expected a number of bytes, found 'NaN'",
        ),
        (
            "header negative",
            Some("-1"),
            body(""),
            "the header Inference-Header-Content-Length: expected a number of bytes, found '-1'",
        ),
        (
            "truncated",
            Some(&length("")),
            body("")[..body("").len() - 1].to_vec(),
            "'x': binary_data_size is 12, 11 bytes are left of the body",
        ),
        ("surplus", Some(&length("")), [body(""), vec![0]].concat(), "1 bytes are left after the last binary tensor"),
        ("no header", None, body(""), "'x': binary_data_size needs the header"),
        (
            "raw mode, wrong size",
            Some("0"),
            raw[..11].to_vec(),
            "input 'x': a raw body of shape [-1, 3] and datatype FP32 has a multiple of 12 bytes, found 11",
        ),
        ("raw mode, empty", Some("0"), Vec::new(), "a raw body (Inference-Header-Content-Length: 0) must not be empty"),
    ] {
        let headers: Vec<_> = header.map(|value| ("inference-header-content-length", value)).into_iter().collect();
        let got = send(&service, path, &headers, body).await;
        assert_eq!(got.status, 400, "{case}");
        assert!(got.error().starts_with(message), "{case}: {}", got.error());
    }
    let got = send(&service, path, &[("inference-header-content-length", "0")], raw.clone()).await;
    assert_eq!(got.decoded().outputs[0].tensor, tensor, "raw mode");
    assert_eq!(got.header("content-type"), Some("application/octet-stream"), "raw mode answers in binary");
    let pair = send(&service, ("POST", "/v2/models/pair/infer"), &[("inference-header-content-length", "0")], raw).await;
    assert_eq!((pair.status.as_u16(), pair.error().contains("needs a model with one input, this one has 2")), (400, true));
}

#[tokio::test]
async fn large_binary_answers_come_in_pieces() {
    let values: Vec<f32> = (0_u16..6000).map(f32::from).collect();
    let tensor = Tensor::from_f32(vec![2000, 3], &values).unwrap();
    let inputs = [("x", &tensor)];
    let sent = Outgoing { inputs: &inputs, ..Outgoing::default() }.write(Form::Binary).unwrap();
    let length = sent.json_length.unwrap().to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let got = send(&service(false), ("POST", "/v2/models/scores/infer"), &headers, sent.body).await;
    assert_eq!(got.decoded().outputs[0].tensor, tensor);
}

#[tokio::test]
async fn classification() {
    let service = service(false);
    let ask = |data: &str, output: &str| {
        format!(
            r#"{{"inputs":[{{"name":"x","shape":[2,3],"datatype":"FP32","data":{data}}}],"outputs":[{{"name":"y","parameters":{{{output}}}}}]}}"#
        )
    };
    let got = infer(&service, "scores", &ask("[0.1,0.7,0.7,5,NaN,-1]", r#""classification":2"#)).await.json();
    assert_eq!(
        got["outputs"][0],
        json!({ "name": "y", "datatype": "BYTES", "shape": [2, 2],
        "data": ["0.700000:1:one", "0.700000:2", "5.000000:0:zero", "-1.000000:2"] })
    );
    let more = infer(&service, "scores", &ask("[1,2,3,4,5,6]", r#""classification":30"#)).await.json();
    assert_eq!(more["outputs"][0]["shape"], json!([2, 3]));
    let binary = infer(&service, "scores", &ask("[1,2,3,4,5,6]", r#""classification":1,"binary_data":true"#)).await;
    assert_eq!(binary.decoded().outputs[0].tensor.datatype(), DataType::Bytes);
    let words = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"BYTES","data":["a","b"]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}"#;
    let refused = infer(&service, "bytes", words).await;
    assert_eq!(
        (refused.status.as_u16(), refused.error().as_str()),
        (400, "output 'y': classification needs numbers, the output is BYTES")
    );
}

/// Names are for people: classes are told apart by their index, and one name may be that of two.
#[tokio::test]
async fn classes_of_one_name_stay_apart() {
    let service = service(false);
    let asked = r#"{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[0.5,0.1,0.5,1,2,3]}],"outputs":[{"name":"y","parameters":{"classification":3}}]}"#;
    let got = infer(&service, "batched", asked).await.json();
    let ranked = ["0.500000:0:cat", "0.500000:2:cat", "0.100000:1:dog", "3.000000:2:cat", "2.000000:1:dog", "1.000000:0:cat"];
    assert_eq!(got["outputs"][0], json!({ "name": "y", "datatype": "BYTES", "shape": [2, 3], "data": ranked }));
    let metadata = send(&service, ("GET", "/v2/models/batched"), &[], "").await.json();
    assert_eq!(metadata["properties"]["classes"], json!(r#"["cat","dog","cat"]"#));
}

#[tokio::test]
async fn content_encodings() {
    let service = service(false);
    let path = ("POST", "/v2/models/scores/infer");
    let body = x("[1,3]", "[1,2,3]");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(send(&service, path, &[("content-encoding", "gzip")], gzip.clone()).await.status, 200);
    assert_eq!(send(&service, path, &[("content-encoding", "gzip")], body.clone()).await.status, 400);
    let refused = send(&service, path, &[("content-encoding", "br")], body.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.header("accept-encoding")), (415, Some("gzip, deflate")));
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 10_000_000]).unwrap();
    assert_eq!(send(&service, path, &[("content-encoding", "gzip")], bomb.finish().unwrap()).await.status, 413);

    let long = x("[300,3]", &format!("[{}]", vec!["0.5"; 900].join(",")));
    let plain = send(&service, path, &[], long.clone()).await;
    for (accept, packed) in [("gzip", true), ("gzip;q=0", false), ("br", false), ("deflate, gzip;q=0.3", true)] {
        let got = send(&service, path, &[("accept-encoding", accept)], long.clone()).await;
        assert_eq!(got.header("content-encoding") == Some("gzip"), packed, "{accept}");
        if packed {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&got.body[..]).read_to_end(&mut text).unwrap();
            assert_eq!(text, plain.body);
        }
    }
    let short = send(&service, path, &[("accept-encoding", "gzip")], body).await;
    assert_eq!(short.header("content-encoding"), None);
}

/// Two elements of any datatype and one to three rows.
fn tensor() -> impl Strategy<Value = Tensor> {
    (proptest::sample::select(&DataType::ALL[..]), 1_usize..4).prop_flat_map(|(datatype, rows)| match datatype.size() {
        None => prop::collection::vec(any::<String>(), rows * 2)
            .prop_map(move |words| Tensor::strings(vec![rows, 2], words.into_iter().map(Bytes::from).collect()).unwrap())
            .boxed(),
        Some(size) => prop::collection::vec(any::<u8>(), rows * 2 * size)
            .prop_map(move |mut raw| {
                if datatype == DataType::Bool {
                    raw.iter_mut().for_each(|byte| *byte &= 1);
                }
                Tensor::new(datatype, vec![rows, 2], raw.into()).unwrap()
            })
            .boxed(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What goes in comes out, in every datatype and both forms.
    #[test]
    fn every_datatype_passes_through(tensor in tensor(), binary: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let inputs = [("x", &tensor)];
        let sent = Outgoing { inputs: &inputs, ..Outgoing::default() }.write(if binary { Form::Binary } else { Form::Json }).unwrap();
        let length = sent.json_length.map(|length| length.to_string());
        let headers: Vec<_> = length.iter().map(|length| ("inference-header-content-length", length.as_str())).collect();
        let path = format!("/v2/models/{}/infer", tensor.datatype().as_str().to_lowercase());
        let got = runtime.block_on(async { send(&service(false), ("POST", &path), &headers, sent.body).await });
        prop_assert_eq!(got.status, 200, "{:?}", got.body);
        let decoded = got.decoded();
        let found = &decoded.outputs[0].tensor;
        // JSON has one NaN; numbers are compared as numbers.
        let numbers = |tensor: &Tensor| tensor.to_f64().map(|all| all.into_iter().map(|one| if one.is_nan() { None } else { Some(one.to_bits()) }).collect::<Vec<_>>());
        prop_assert!(found == &tensor || (!binary && numbers(found).is_some() && numbers(found) == numbers(&tensor)), "{:?}", found);
    }
}
