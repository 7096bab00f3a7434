//! Requests and responses of the Open Inference Protocol: what is refused and in which words, and that what is written reads back.

use bytes::Bytes;
use proptest::prelude::*;

use super::elements_tests::{same, tensor};
use super::oip::{Form, Head, Outgoing, Request, Response, read_error, write_tensor};
use crate::Tensor;

fn fault(json: &str) -> String {
    Request::read(&Bytes::copy_from_slice(json.as_bytes()), None).unwrap_err().to_string()
}

#[test]
fn fields_come_in_any_order() {
    let orders = [
        r#"{"id":"7","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]}]}"#,
        r#"{"inputs":[{"data":[1,2,3,4],"parameters":{"a":1},"datatype":"FP32","name":"x","shape":[2,2]}],"more":{"a":[1]},"id":"7"}"#,
        r#"{"id":"7","parameters":null,"outputs":null,"inputs":[{"name":"x","parameters":null,"shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}]}"#,
        r#" { "inputs" : [ { "shape" : [ 2 , 2 ] , "data" : [ 1 , 2 , 3 , 4 ] , "name" : "\u0078" , "datatype" : "FP32" } ] , "id" : "7" } "#,
    ];
    for json in orders {
        let body = Bytes::from_static(json.as_bytes());
        let request = Request::read(&body, None).unwrap();
        assert_eq!(request.id.as_deref(), Some("7"));
        assert_eq!(request.inputs[0].name, "x");
        assert_eq!(request.inputs[0].tensor, Tensor::from_f32(vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap());
    }
}

#[test]
fn bytes_may_be_base64() {
    let json = r#"{"inputs":[{"name":"x","shape":[3],"datatype":"BYTES","data":["a",{"b64":"/wA="},{"b64":""}]}]}"#;
    let body = Bytes::from_static(json.as_bytes());
    let request = Request::read(&body, None).unwrap();
    let expected = ["a".into(), Bytes::from_static(&[0xff, 0]), Bytes::new()];
    assert_eq!(request.inputs[0].tensor, Tensor::strings(vec![3], expected.to_vec()).unwrap());
    let said = fault(r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":[{"b64":"?"}]}]}"#);
    assert!(said.contains("expected base64 text"), "{said}");
    let said = fault(r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":[1]}]}"#);
    assert!(said.contains(r#"expected a string or {"b64": ...} for BYTES, found '1'"#), "{said}");
}

#[test]
fn faults_name_what_is_wrong() {
    let input = |fields: &str| format!(r#"{{"inputs":[{{{fields}}}]}}"#);
    for (json, message) in [
        (String::new(), "byte 0: expected an object, found the end of the body"),
        ("{}".to_owned(), "byte 0: expected a request with 'inputs', found one without"),
        (r#"{"id":5}"#.to_owned(), "byte 6: expected a string, found '5'"),
        (r#"{"inputs":[]}"#.to_owned(), "'inputs': expected at least one tensor, found none"),
        (input(r#""name":"x""#), "byte 11: expected a tensor with 'shape', found one without"),
        (input(r#""name":"x","name":"y""#), "byte 30: expected each key once, found 'name' again"),
        (input(r#""shape":[-1]"#), "byte 21: expected an integer from 0 to 18446744073709551615, found -1"),
        (input(r#""datatype":"FLOAT""#), "unknown datatype 'FLOAT'"),
        (input(r#""name":"x","shape":[2],"datatype":"FP32","data":[1]"#), "'x': shape [2] of FP32 needs 2 elements, found 1"),
        (input(r#""name":"x","shape":[1],"datatype":"FP32","data":[1,2]"#), "'x': shape [1] of FP32 needs 1 elements, found 2"),
        (input(r#""name":"x","shape":[1],"datatype":"FP32","data":["a"]"#), "byte 61: expected a number for FP32, found '\"'"),
        (input(r#""name":"x","data":["a"],"shape":[1],"datatype":"FP32""#), "byte 31: expected a number for FP32, found '\"'"),
        (input(r#""name":"x","shape":[1],"datatype":"FP32""#), "'x': expected data or binary_data_size, found neither"),
        (
            input(r#""name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4},"data":[1]"#),
            "'x': expected data or binary_data_size, found both",
        ),
        (
            input(r#""name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}"#),
            "'x': binary_data_size needs the header Inference-Header-Content-Length, which is missing",
        ),
        (input(r#""name":"x","parameters":{"shared_memory_region":"r"}"#), "'x': shared memory is not offered"),
        (input(r#""parameters":{"a":null}"#), "byte 30: expected a string, a number, true or false as a parameter, found 'n'"),
        (
            r#"{"parameters":{"a":[]},"inputs":[]}"#.to_owned(),
            "byte 19: expected a string, a number, true or false as a parameter",
        ),
        (r#"{"parameters":{"a":1,"a":2}}"#.to_owned(), "parameter 'a' is given twice"),
        (
            input(r#""shape":[18446744073709551615,2],"name":"x","datatype":"FP32","data":[]"#),
            "'x': shape [18446744073709551615, 2] has more elements",
        ),
        (
            format!(r#"{{"inputs":[{{"shape":[{}1]}}]}}"#, "1,".repeat(64)),
            "byte 149: expected at most 64 dimensions, found one more",
        ),
        (
            r#"{"outputs":[{"name":"y","parameters":{"binary_data":1}}]}"#.to_owned(),
            "parameter 'binary_data': expected true or false, found 1",
        ),
        (r#"{"outputs":[{}]}"#.to_owned(), "byte 12: expected an output with 'name', found one without"),
    ] {
        assert!(fault(&json).starts_with(message), "{json}\n{}", fault(&json));
    }
}

#[test]
fn nested_data_is_nested_as_its_shape_says() {
    let input =
        |shape: &str, data: &str| format!(r#"{{"inputs":[{{"data":{data},"name":"x","shape":{shape},"datatype":"FP32"}}]}}"#);
    for (shape, data) in [
        ("[2,3]", "[1,2,3,4,5,6]"),
        ("[2,3]", "[[1,2,3],[4,5,6]]"),
        ("[1,2,3]", "[[[1,2,3],[4,5,6]]]"),
        ("[2,0,3]", "[[],[]]"),
        ("[2,0]", "[[],[]]"),
        ("[0,3]", "[]"),
        ("[]", "1"),
        ("[1]", "1"),
    ] {
        let body = Bytes::from(input(shape, data));
        assert!(Request::read(&body, None).is_ok(), "{shape} {data}");
    }
    for (shape, data, message) in [
        ("[2,3]", "[[1,2],[3,4],[5,6]]", "dimension 0 of data is 3, expected 2 by its shape [2, 3]"),
        ("[2,3]", "[[1,2],[3,4,5,6]]", "dimension 1 of data is 2, expected 3 by its shape [2, 3]"),
        ("[2,3]", "[[1,2,3],[4,5]]", "dimension 1 of data is 2 in the list that ends at byte 32, expected 3 by its shape [2, 3]"),
        ("[1,6]", "[[1],[2,3,4,5,6]]", "dimension 0 of data is 2, expected 1 by its shape [1, 6]"),
        ("[2,3]", "[[[1,2,3],[4,5,6]]]", "data nests 3 lists deep, expected one flat list, or 2 deep by its shape [2, 3]"),
        ("[1,2,3]", "[[1,2,3],[4,5,6]]", "data nests 2 lists deep, expected one flat list, or 3 deep by its shape [1, 2, 3]"),
        ("[6]", "[[1,2,3,4,5,6]]", "data nests 2 lists deep, expected one flat list, or 1 deep by its shape [6]"),
        ("[2,3]", "[1,[2,3,4]]", "byte 22: dimension 0 of data holds both lists and single values, expected its shape [2, 3]"),
        ("[2,3]", "[[1,2,3],4]", "byte 28: dimension 0 of data holds both lists and single values"),
        ("[0,3]", "[[]]", "dimension 0 of data is 1, expected 0 by its shape [0, 3]"),
    ] {
        let json = input(shape, data);
        assert!(fault(&json).starts_with(&format!("'x': {message}")), "{json}\n{}", fault(&json));
    }
}

#[test]
fn binary_bytes_are_counted() {
    let json = br#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}"#;
    let body = |tail: &[u8]| Bytes::from([json, tail].concat());
    let read = |body: &Bytes, length| Request::read(body, Some(length)).map(drop).map_err(|error| error.to_string());
    assert_eq!(read(&body(&[0; 4]), json.len()), Ok(()));
    assert_eq!(read(&body(&[0; 3]), json.len()).unwrap_err(), "'x': binary_data_size is 4, 3 bytes are left of the body");
    assert_eq!(read(&body(&[0; 6]), json.len()).unwrap_err(), "2 bytes are left after the last binary tensor");
    let length = json.len() + 9;
    let found = json.len() + 4;
    assert_eq!(
        read(&body(&[0; 4]), length).unwrap_err(),
        format!("the header Inference-Header-Content-Length says {length} bytes of JSON, the body has {found} bytes")
    );
}

#[test]
fn error_bodies_are_recognised() {
    assert_eq!(read_error(br#"{"ready":false,"error":"no"}"#).as_deref(), Some("no"));
    assert_eq!(read_error(b"<html>"), None);
}

proptest! {
    #[test]
    fn a_request_reads_back(tensors in prop::collection::vec((".{0,5}", tensor()), 1..4), id in proptest::option::of(".{0,5}"), binary: bool) {
        let inputs: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let outgoing = Outgoing { id: id.as_deref(), inputs: &inputs, outputs: &["y", "z"] };
        let encoded = outgoing.write(if binary { Form::Binary } else { Form::Json }).unwrap();
        let body = Bytes::from(encoded.body);
        let request = Request::read(&body, encoded.json_length).unwrap();
        prop_assert_eq!(request.id.as_deref(), id.as_deref());
        prop_assert_eq!(request.outputs.len(), 2);
        prop_assert_eq!(request.parameters.len(), usize::from(binary));
        for ((name, tensor), found) in inputs.iter().zip(&request.inputs) {
            prop_assert_eq!(*name, &*found.name);
            prop_assert!(same(tensor, &found.tensor));
        }
    }

    #[test]
    fn a_response_reads_back(tensor in tensor(), binary: bool) {
        let mut json = Vec::new();
        Head { model_name: "m", model_version: 3, id: Some("7") }.open(&mut json);
        write_tensor(&mut json, "y", &tensor, if binary { Form::Binary } else { Form::Json }).unwrap();
        json.extend_from_slice(b"]}");
        let length = binary.then_some(json.len());
        if binary {
            json.extend_from_slice(&tensor.to_raw());
        }
        let body = Bytes::from(json);
        let response = Response::read(&body, length).unwrap();
        prop_assert_eq!(response.model_version.as_deref(), Some("3"));
        prop_assert!(same(&response.outputs[0].tensor, &tensor));
    }
}

#[test]
fn mutated_bodies_never_panic() {
    let tensor = Tensor::from_f32(vec![2, 2], &[0.5, -1.0, 2e-7, f32::NAN]).unwrap();
    let words = Tensor::strings(vec![2], vec![Bytes::from_static(b"a\"b"), Bytes::from_static("\u{1f600}".as_bytes())]).unwrap();
    let inputs = [("x", &tensor), ("w", &words)];
    let outgoing = Outgoing { id: Some("7"), inputs: &inputs, outputs: &["y"] };
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for form in [Form::Json, Form::Binary] {
        let whole = outgoing.write(form).unwrap();
        let mut refused = 0;
        for _ in 0..5000 {
            let mut body = whole.body.clone();
            for _ in 0..=random(3) {
                let at = random(body.len());
                match random(3) {
                    0 => body[at] = u8::try_from(random(256)).unwrap(),
                    1 => drop(body.remove(at)),
                    _ => body.insert(at, b"[]{}\",:0123456789-.eEtfn\\"[random(25)]),
                }
            }
            let body = Bytes::from(body);
            refused += usize::from(Request::read(&body, whole.json_length).is_err());
            refused += usize::from(Response::read(&body, whole.json_length).is_err());
        }
        assert!(refused > 1000, "{refused}");
    }
}
