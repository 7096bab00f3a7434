//! Elements of every datatype, what they refuse, and that what is written reads back.

use proptest::prelude::*;

use super::write::{self, Text};
use super::*;
use crate::{DataType, Tensor};

/// A shape, or where it breaks.
type Shape = Result<Vec<usize>, usize>;

fn read(datatype: DataType, json: &str) -> Result<(Vec<f64>, Shape), String> {
    let mut elements = Elements::new(datatype);
    let mut cursor = Cursor::new(json.as_bytes());
    let nesting = elements.read(&mut cursor).and_then(|nesting| cursor.end().map(|()| nesting)).map_err(|e| e.to_string())?;
    let count = elements.len();
    Ok((elements.finish(vec![count]).unwrap().to_f64().unwrap(), nesting.shape()))
}

#[test]
fn any_nesting_flattens() {
    for (json, shape) in [
        ("7", Ok(vec![])),
        ("[]", Ok(vec![0])),
        ("[1, 2 ,3]", Ok(vec![3])),
        ("[[1,2],[3,4]]", Ok(vec![2, 2])),
        (" [ [ [1] ] , [ [2] ] ] ", Ok(vec![2, 1, 1])),
        ("[[],[]]", Ok(vec![2, 0])),
        ("[[[]],[[]]]", Ok(vec![2, 1, 0])),
        ("[[1],[2,3]]", Err(9)),
        ("[[1],2]", Err(5)),
        ("[1,[2]]", Err(3)),
        ("[[],2]", Err(4)),
        ("[[[1]],[2]]", Err(8)),
        ("[[1],[[2]]]", Err(6)),
        ("[[],[[]]]", Err(7)),
        ("[[[]],[]]", Err(7)),
    ] {
        assert_eq!(read(DataType::Int64, json).unwrap().1, shape, "{json}");
    }
    assert_eq!(read(DataType::Fp32, "[[1,2],3,[[4]]]").unwrap().0, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn zeros_in_a_row_are_elements_like_others() {
    for datatype in [DataType::Fp32, DataType::Int16, DataType::Uint8] {
        let (values, shape) = read(datatype, "[[0,0,0,0,0,0,0,0,7],[0, 0, 0, 0, 0, 0, 0, 3, 0]]").unwrap();
        assert_eq!(values, [0., 0., 0., 0., 0., 0., 0., 0., 7., 0., 0., 0., 0., 0., 0., 0., 3., 0.]);
        assert_eq!(shape, Ok(vec![2, 9]));
    }
    assert_eq!(read(DataType::Fp64, "[0.0,0.0,0.0, 0.0, 0.0, 0.0,0.05]").unwrap().0, [0., 0., 0., 0., 0., 0., 0.05]);
    assert_eq!(read(DataType::Int8, "[0,0,0,0,[1]]").unwrap().1, Err(9));
    for (json, message) in [
        ("[0,0,0,0,]", "byte 9: expected an integer from -128 to 127 for INT8, found ']'"),
        ("[0,0,0,0,", "byte 9: expected an integer from -128 to 127 for INT8, found the end"),
        ("[0, 0, 0,01]", "byte 10: expected a number without leading zeros, found '1'"),
        ("[0,0,0,0.0,0.0]", "byte 7: expected an integer from -128 to 127 for INT8, found 0.0"),
    ] {
        let found = read(DataType::Int8, json).unwrap_err();
        assert!(found.starts_with(message), "{json}: {found}");
    }
}

proptest! {
    #[test]
    fn mixtures_with_zeros_read_as_they_were_written(
        items in prop::collection::vec((prop::sample::select(vec!["0", "0.0", "0.25", "-0.0", "12345678.123456789", "1e3"]), 0_usize..4), 1..60),
    ) {
        let separators = [",", ", ", " , ", ",\n"];
        let json: Vec<String> = items.iter().map(|(number, at)| format!("{number}{}", separators[*at])).collect();
        let json = format!("[{}1]", json.concat());
        let expected: Vec<f64> = items.iter().map(|(number, _)| number.parse().unwrap()).chain([1.0]).collect();
        let (found, shape) = read(DataType::Fp64, &json).unwrap();
        prop_assert_eq!(shape, Ok(vec![items.len() + 1]));
        prop_assert!(found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{json} {found:?}");
    }
}

#[test]
fn faults_name_byte_range_and_finding() {
    use DataType::*;
    for (datatype, json, message) in [
        (Fp32, "[1, \"x\"]", "byte 4: expected a number for FP32, found '\"'"),
        (Fp32, "[1, nul]", "byte 4: expected a number for FP32, found 'n'"),
        (Int8, "[1, null]", "byte 4: expected an integer from -128 to 127 for INT8, found 'n'"),
        (Fp32, "[1e39]", "byte 1: expected a number within FP32's range, found 1e39"),
        (Fp64, "[-1e400]", "byte 1: expected a number within FP64's range, found -1e400"),
        (Fp16, "[70000]", "byte 1: expected a number within FP16's range, found 70000"),
        (Int32, "[1.5]", "byte 1: expected an integer from -2147483648 to 2147483647 for INT32, found 1.5"),
        (Int32, "[1e3]", "byte 1: expected an integer from -2147483648 to 2147483647 for INT32, found 1e3"),
        (Int8, "[128]", "byte 1: expected an integer from -128 to 127 for INT8, found 128"),
        (Uint8, "[-1]", "byte 1: expected an integer from 0 to 255 for UINT8, found -1"),
        (
            Uint64,
            "[18446744073709551616]",
            "byte 1: expected an integer from 0 to 18446744073709551615 for UINT64, found 18446744073709551616",
        ),
        (Int64, "[NaN]", "byte 1: expected an integer from -9223372036854775808 to 9223372036854775807 for INT64, found 'N'"),
        (Bool, "[1]", "byte 1: expected true or false, found '1'"),
        (Fp32, "[01]", "byte 2: expected a number without leading zeros, found '1'"),
        (Fp32, "[1.]", "byte 3: expected a digit after '.', found ']'"),
        (Fp32, "[1e]", "byte 3: expected a digit in the exponent, found ']'"),
        (Fp32, "[-]", "byte 1: expected a number for FP32, found '-'"),
        (Fp32, "[.5]", "byte 1: expected a number for FP32, found '.'"),
        (Fp32, "[1,]", "byte 3: expected a number for FP32, found ']'"),
        (Fp32, "[[1],]", "byte 5: expected a number for FP32, found ']'"),
        (Fp32, "[1", "byte 2: expected ',' or ']', found the end of the body"),
        (Bytes, "[1]", "byte 1: expected a string for BYTES, found '1'"),
        (Bytes, "[{\"b64\":\"\"}]", "byte 1: expected a string for BYTES, found '{'"),
    ] {
        assert_eq!(read(datatype, json).unwrap_err(), message, "{json}");
    }
    let deep = "[".repeat(1000);
    assert!(read(Fp32, &deep).unwrap_err().contains("at most 100 levels"));
}

#[test]
fn floats_round_once() {
    for text in [
        "0.1",
        "0.123456",
        "0.9843137254901961",
        "16777217",
        "16777217.0000000001",
        "1.00000005960464477539",
        "3.4028235e38",
        "1e-45",
        "7.0064923216240853e-46",
        "7.0064923216240854e-46",
        "1.17549435e-38",
        "9007199254740993",
        "8589973000.0",
        "1e22",
        "1e23",
        "-0",
        "-0.0",
        "123456789012345678901234567890",
        "0.000000000000000000000000000000000001",
        "2.4414062500000003e-4",
    ] {
        let single = text.parse::<f32>().unwrap();
        let mut elements = Elements::new(DataType::Fp32);
        elements.read(&mut Cursor::new(text.as_bytes())).unwrap();
        assert_eq!(elements.finish(vec![]).unwrap(), Tensor::from_f32(vec![], &[single]).unwrap(), "{text}");
        assert_eq!(Cursor::new(text.as_bytes()).f64().unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
    assert!(read(DataType::Fp32, "[NaN]").unwrap().0[0].is_nan());
    for datatype in [DataType::Fp16, DataType::Bf16, DataType::Fp32, DataType::Fp64] {
        let (found, shape) = read(datatype, "[[1, null],[ null ,2]]").unwrap();
        assert_eq!((found[0], found[3], shape), (1.0, 2.0, Ok(vec![2, 2])));
        assert!(found[1].is_nan() && found[2].is_nan());
    }
    assert_eq!(read(DataType::Fp32, "[Infinity,-Infinity,3]").unwrap().0, [f64::INFINITY, f64::NEG_INFINITY, 3.0]);
    assert_eq!(read(DataType::Fp16, "[0.1, 65504]").unwrap().0, [f64::from(half::f16::from_f32(0.1)), 65504.0]);
    assert_eq!(read(DataType::Bf16, "[0.1]").unwrap().0, [f64::from(half::bf16::from_f32(0.1))]);
}

#[test]
fn base64_where_it_is_allowed() {
    let read = |json: &str| {
        let mut elements = Elements::new(DataType::Bytes).with_base64();
        elements.read(&mut Cursor::new(json.as_bytes())).map_err(|error| error.to_string())?;
        let count = elements.len();
        Ok::<_, String>(elements.finish(vec![count]).unwrap().into_parts().2)
    };
    let strings =
        |items: &[&'static [u8]]| crate::Data::Strings(items.iter().map(|one| bytes::Bytes::from_static(one)).collect());
    assert_eq!(read(r#"[{"b64":"/w=="}, "a", {"b64":""}]"#).unwrap(), strings(&[b"\xff", b"a", b""]));
    for (json, message) in [
        (r#"[{"b64":"!"}]"#, "byte 8: expected base64 text, found Invalid"),
        (r#"[{"x":"/w=="}]"#, "byte 1: expected {\"b64\": \"base64 text\"}, found the key 'x'"),
        (r#"[{"b64":"","b64":""}]"#, "byte 1: expected {\"b64\": \"base64 text\"}, found the key 'b64'"),
        (r"[{}]", "byte 1: expected {\"b64\": \"base64 text\"}, found {}"),
    ] {
        assert!(read(json).unwrap_err().starts_with(message), "{}", read(json).unwrap_err());
    }
}

#[test]
fn room_is_bounded_by_the_body() {
    let cursor = Cursor::new(b"[1,2,3]");
    let mut elements = Elements::new(DataType::Fp64);
    elements.reserve(usize::MAX, &cursor);
    assert_eq!(elements.finish(vec![0]).unwrap().len(), 0);
}

/// A tensor of any datatype, shape and content.
pub(super) fn tensor() -> impl Strategy<Value = Tensor> {
    (proptest::sample::select(&DataType::ALL[..]), prop::collection::vec(0_usize..4, 0..4)).prop_flat_map(|(datatype, shape)| {
        let count: usize = shape.iter().product();
        if datatype == DataType::Bytes {
            let strings = prop::collection::vec(any::<String>(), count);
            return strings
                .prop_map(move |s| Tensor::strings(shape.clone(), s.into_iter().map(Into::into).collect()).unwrap())
                .boxed();
        }
        prop::collection::vec(any::<u8>(), count * datatype.size().unwrap())
            .prop_map(move |mut raw| {
                if datatype == DataType::Bool {
                    raw.iter_mut().for_each(|byte| *byte &= 1);
                }
                Tensor::new(datatype, shape.clone(), raw.into()).unwrap()
            })
            .boxed()
    })
}

/// Equal as numbers: JSON has one NaN.
pub(super) fn same(left: &Tensor, right: &Tensor) -> bool {
    left == right
        || (left.shape() == right.shape()
            && left.datatype() == right.datatype()
            && left.to_f64().zip(right.to_f64()).is_some_and(|(left, right)| {
                left.iter().zip(&right).all(|(l, r)| l.to_bits() == r.to_bits() || (l.is_nan() && r.is_nan()))
            }))
}

proptest! {
    #[test]
    fn what_is_written_reads_back(tensor in tensor()) {
        for nested in [false, true] {
            let mut json = Vec::new();
            if nested { write::nested(&mut json, &tensor, Text::Utf8) } else { write::flat(&mut json, &tensor, Text::Utf8) }.unwrap();
            let mut elements = Elements::new(tensor.datatype());
            let mut cursor = Cursor::new(&json);
            let nesting = elements.read(&mut cursor).unwrap();
            cursor.end().unwrap();
            let back = elements.finish(tensor.shape().to_vec()).unwrap();
            prop_assert!(same(&back, &tensor), "{:?} {:?}", back, tensor);
            if nested && !tensor.is_empty() {
                prop_assert_eq!(nesting.shape().unwrap(), tensor.shape());
            }
        }
    }

    #[test]
    fn decimals_agree_with_the_standard_library(text in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?") {
        prop_assert_eq!(Cursor::new(text.as_bytes()).f64().unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
        let single = text.parse::<f32>().unwrap();
        let mut elements = Elements::new(DataType::Fp32);
        match elements.read(&mut Cursor::new(text.as_bytes())) {
            Ok(_) => prop_assert_eq!(elements.finish(vec![]).unwrap(), Tensor::from_f32(vec![], &[single]).unwrap()),
            Err(_) => prop_assert!(single.is_infinite()),
        }
    }

    #[test]
    fn well_formed_is_what_serde_json_says(text in "[\\[\\]{}\":, 0-9a\\\\utrenlfs.-]{0,24}") {
        let mut cursor = Cursor::new(text.as_bytes());
        let ours = cursor.skip_value().and_then(|()| cursor.end()).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }
}
