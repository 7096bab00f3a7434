//! How answers are written: floats, strings, several outputs, rows and columns.

use crate::house::{house, predict};

#[tokio::test]
async fn answers_are_laid_out_as_the_request() {
    let house = house();
    for (model, body, want) in [
        ("half", r#"{"instances":[[1,2],[3,4]]}"#, r#"{"predictions":[[0.5,1.0],[1.5,2.0]]}"#),
        ("half", r#"{"inputs":[[1,2],[3,4]]}"#, r#"{"outputs":[[0.5,1.0],[1.5,2.0]]}"#),
        ("half", r#"{"inputs":{"x":[[1,2]]}}"#, r#"{"outputs":[[0.5,1.0]]}"#),
        (
            "pair",
            r#"{"instances":[{"a":[1,2],"b":7},{"b":8,"a":[3,4]}]}"#,
            r#"{"predictions":[{"sum":3.0,"same":7},{"sum":7.0,"same":8}]}"#,
        ),
        ("pair", r#"{"inputs":{"a":[[1,2],[3,4]],"b":[7,8]}}"#, r#"{"outputs":{"sum":[3.0,7.0],"same":[7,8]}}"#),
        ("fixed", r#"{"instances":[2,4,6]}"#, r#"{"predictions":[1.0,2.0,3.0]}"#),
        ("fixed", r#"{"inputs":[2,4,6]}"#, r#"{"outputs":[1.0,2.0,3.0]}"#),
        ("scalar", r#"{"inputs":2}"#, r#"{"outputs":1.0}"#),
        ("scalar", r#"{"inputs":{"x":3}}"#, r#"{"outputs":1.5}"#),
        ("flatten", r#"{"inputs":[1,2,3]}"#, r#"{"outputs":6.0}"#),
        ("uneven", r#"{"inputs":[1,2,3]}"#, r#"{"outputs":{"y":[1.0,2.0,3.0],"z":[1.0,2.0]}}"#),
        ("uneven", r#"{"instances":[1,2]}"#, r#"{"predictions":[{"y":1.0,"z":1.0},{"y":2.0,"z":2.0}]}"#),
        ("odd", r#"{"instances":[1]}"#, r#"{"predictions":[[NaN,Infinity,-Infinity,-0.0,0.1,1e+20]]}"#),
        (
            "text",
            r#"{"instances":["aé\n",{"b64":"//8="}]}"#,
            r#"{"predictions":[{"said":{"b64":"YcOpCg=="},"said_bytes":{"b64":"YcOpCg=="}},{"said":{"b64":"//8="},"said_bytes":{"b64":"//8="}}]}"#,
        ),
        ("text", r#"{"inputs":["a\"é\n"]}"#, r#"{"outputs":{"said":["a\"é\n"],"said_bytes":[{"b64":"YSLDqQo="}]}}"#),
        ("binary", r#"{"instances":[1,2]}"#, r#"{"predictions":[{"b64":"/wA="},{"b64":"/wA="}]}"#),
        ("free", r#"{"inputs":[[[1],[2]],[[3],[4]]]}"#, r#"{"outputs":[[[1.0],[2.0]],[[3.0],[4.0]]]}"#),
    ] {
        let got = predict(&house, model, body).await;
        assert_eq!(got.text(), want, "{model} {body}");
        assert_eq!(got.status.as_u16(), 200);
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.model.as_deref(), Some(model));
    }
}

#[tokio::test]
async fn outputs_without_common_rows_are_refused_as_rows() {
    let house = house();
    for (model, body, words) in [
        ("flatten", r#"{"instances":[1,2]}"#, "output 'y' is a scalar"),
        ("uneven", r#"{"instances":[1,2,3]}"#, "output 'z' has inconsistent batch size: 2 rows, output 'y' has 3"),
    ] {
        let got = predict(&house, model, body).await;
        assert_eq!(got.status.as_u16(), 400);
        assert!(got.error().contains(words), "{}", got.error());
        assert!(got.error().contains("'inputs' instead of 'instances'"));
    }
}

#[tokio::test]
async fn every_datatype_reads_back() {
    let house = house();
    for (model, values) in [
        ("is_bool", "true,false"),
        ("is_uint8", "0,255"),
        ("is_uint16", "0,65535"),
        ("is_uint32", "0,4294967295"),
        ("is_uint64", "0,18446744073709551615,9007199254740993"),
        ("is_int8", "-128,127"),
        ("is_int16", "-32768,32767"),
        ("is_int32", "-2147483648,2147483647"),
        ("is_int64", "-9223372036854775808,9223372036854775807,9007199254740993"),
        ("is_fp16", "0.5,-2.0,65504.0,NaN,-Infinity"),
        ("is_bf16", "0.5,-2.0,NaN,Infinity"),
        ("is_fp32", "0.1,3.4028235e+38,1e-45,NaN,Infinity,-Infinity,-0.0"),
        ("is_fp64", "0.1,1.7976931348623157e+308,5e-324,NaN,-Infinity"),
        ("is_bytes", r#""","a","é😀""#),
    ] {
        let got = predict(&house, model, &format!(r#"{{"instances":[{values}]}}"#)).await;
        assert_eq!(got.text(), format!(r#"{{"predictions":[{values}]}}"#), "{model}");
        let got = predict(&house, model, &format!(r#"{{"inputs":{{"x":[{values}]}}}}"#)).await;
        assert_eq!(got.text(), format!(r#"{{"outputs":[{values}]}}"#), "{model}");
    }
}
