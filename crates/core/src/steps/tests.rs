//! A step reads back, its faults name the field, and the schema knows each field of each operation.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::{Step, Widths, WrittenStep};

fn step(value: Value) -> Result<Step, (String, String)> {
    let written: WrittenStep = serde_json::from_value(value).unwrap();
    written.step().map_err(|misfit| (misfit.field, misfit.message))
}

/// One step of each operation, with every field that it has.
fn each() -> Vec<Value> {
    vec![
        json!({"op": "Input", "columns": ["a"], "datatype": "INT64", "width": 3}),
        json!({"op": "Rename", "columns": ["a"], "to": ["b"]}),
        json!({"op": "Select", "columns": ["a"]}),
        json!({"op": "Drop", "columns": ["a"]}),
        json!({"op": "Cast", "columns": ["a"], "datatype": "FP64"}),
        json!({"op": "Fill", "columns": ["a"], "values": [1.5]}),
        json!({"op": "Fill", "columns": ["a"], "texts": ["none"]}),
        json!({"op": "Clip", "columns": ["a"], "min": [0.0], "max": [1.0]}),
        json!({"op": "Standardise", "columns": ["a"], "mean": [0.5], "scale": [2.0]}),
        json!({"op": "MinMax", "columns": ["a"], "min": [0.0], "max": [9.0], "low": -1.0, "high": 1.0}),
        json!({"op": "Robust", "columns": ["a"], "center": [0.5], "scale": [2.0]}),
        json!({"op": "Log", "columns": ["a"], "offset": 1.0}),
        json!({"op": "Exp", "columns": ["a"], "offset": 1.0}),
        json!({"op": "OneHot", "columns": ["a"], "texts": ["x", "y"], "unknown": "Ignore"}),
        json!({"op": "OneHot", "columns": ["a"], "values": [1.0, 2.0]}),
        json!({"op": "Ordinal", "columns": ["a"], "texts": ["x"], "unknown": "Value", "unknownValue": -1}),
        json!({"op": "Ordinal", "columns": ["a"], "values": [7.0]}),
        json!({"op": "Bucketise", "columns": ["a"], "edges": [1.0, 2.0]}),
        json!({"op": "DateParts", "columns": ["a"], "parts": ["Year", "DayOfYear"]}),
        json!({"op": "Hash", "columns": ["a"], "buckets": 16}),
        json!({"op": "Expect", "columns": ["a"], "min": [0.0], "max": [9.5], "values": [1.0], "notNull": true, "otherwise": "Flag", "to": ["b"]}),
        json!({"op": "Expect", "columns": ["a"], "texts": ["x"], "pattern": "^x$"}),
        json!({"op": "Image", "columns": ["a"], "width": 224, "height": 224, "fit": "Crop", "shorter": 256, "filter": "Bicubic",
               "channels": "BGR", "layout": "HWC", "divisor": 1.0, "mean": [0.5], "scale": [0.25, 0.5, 0.25], "datatype": "FP16",
               "maxPixels": 1000, "to": ["f"]}),
        json!({"op": "Image", "columns": ["a"], "width": 64, "height": 32, "fit": "Pad", "fill": 114, "datatype": "UINT8"}),
        json!({"op": "Tokenize", "columns": ["a", "b"], "to": ["i", "m", "t"], "tokenizer": "other.json", "maxLength": 64, "width": 64,
               "datatype": "INT32"}),
        json!({"op": "Bytes", "columns": ["a"], "head": 8, "tail": 8, "block": 64, "strip": true, "fill": 256, "datatype": "INT64"}),
        json!({"op": "Pool", "columns": ["a"], "to": ["b"], "pooling": "Mean", "mask": "m"}),
        json!({"op": "NormaliseL2", "columns": ["a"]}),
        json!({"op": "Concat", "columns": ["a", "b"], "to": ["c"], "datatype": "FP64"}),
        json!({"op": "Softmax", "columns": ["a"]}),
        json!({"op": "Sigmoid", "columns": ["a"]}),
        json!({"op": "Argmax", "columns": ["a"], "to": ["b"]}),
        json!({"op": "Labels", "columns": ["a"], "to": ["b"], "texts": ["no", "yes"]}),
        json!({"op": "TopK", "columns": ["a"], "to": ["v", "i", "l"], "k": 2, "texts": ["no", "yes"]}),
        json!({"op": "Threshold", "columns": ["a"], "to": ["b"], "at": 0.5}),
        json!({"op": "Boxes", "columns": ["a"], "to": ["b", "s", "c", "n", "l"], "format": "XYWH", "outputFormat": "XYXY",
               "boxesLast": true, "objectness": true, "background": false, "multiLabel": true, "classAware": false,
               "scoreThreshold": 0.5, "iouThreshold": 0.5, "maxBoxes": 10, "candidates": 100, "frame": "f", "relative": true,
               "texts": ["x", "y"]}),
        json!({"op": "Boxes", "columns": ["a", "b"]}),
        json!({"op": "Denormalise", "columns": ["a"], "mean": [0.5], "scale": [2.0]}),
    ]
}

#[test]
fn each_operation_reads_back_and_is_in_the_schema() {
    let schema = WrittenStep::json_schema(&mut SchemaGenerator::default()).to_value();
    let mut seen = std::collections::BTreeSet::new();
    for value in each() {
        let read = step(value.clone()).unwrap_or_else(|fault| panic!("{value}: {fault:?}"));
        assert_eq!(serde_json::to_value(WrittenStep::from(&read)).unwrap(), value);
        assert_eq!(read.op(), value["op"]);
        assert_eq!(json!(read.columns()), value["columns"]);
        for name in value.as_object().unwrap().keys() {
            assert!(schema["properties"][name]["description"].is_string(), "{name} is not described");
            assert!(schema["properties"][name]["type"].is_string(), "{name}: {}", schema["properties"][name]);
            seen.insert(name.clone());
        }
    }
    let fields: std::collections::BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, seen, "a field that no step of this test has");
    let ops: std::collections::BTreeSet<String> = each().iter().map(|one| one["op"].to_string()).collect();
    assert_eq!(schema["properties"]["op"]["enum"].as_array().unwrap().len(), ops.len());
    assert_eq!(schema["properties"]["unknown"]["enum"], json!(["Error", "Ignore", "Value"]));
    assert_eq!(schema["properties"]["datatype"]["enum"].as_array().unwrap().len(), 14);
}

#[test]
fn each_fault_names_its_field() {
    for (value, field, message) in [
        (json!({"columns": ["a"]}), "op", "expected the name of an operation"),
        (json!({"op": "Standardize", "columns": ["a"]}), "op", "no operation Standardize; did you mean Standardise?"),
        (
            json!({"op": "Clip", "columns": ["a"], "maxx": [1]}),
            "maxx",
            "Clip has no field maxx, it takes columns, min, max; did you mean max?",
        ),
        (json!({"op": "Clip", "columns": ["a"], "mean": [1]}), "mean", "Clip has no field mean"),
        (json!({"op": "Clip", "columns": ["a"]}), "min", "found neither"),
        (json!({"op": "Clip", "columns": ["a"], "min": [2], "max": [1]}), "min", "[0] is 2; expected at most max, 1"),
        (json!({"op": "Standardise", "columns": ["a"], "mean": [1]}), "scale", "Standardise needs it"),
        (json!({"op": "Standardise", "columns": ["a"], "mean": [1], "scale": [0]}), "scale", "[0] is 0"),
        (json!({"op": "MinMax", "columns": ["a"], "min": [1], "max": [1]}), "min", "expected less than max"),
        (json!({"op": "MinMax", "columns": ["a"], "min": [1], "max": [2], "low": 1}), "low", "expected less than high"),
        (json!({"op": "Bucketise", "columns": ["a"], "edges": [1, 1]}), "edges", "[1] is not greater"),
        (json!({"op": "Select", "columns": ["a", "a"]}), "columns", "[1]: 'a' is there twice"),
        (json!({"op": "Drop", "columns": []}), "columns", "Drop needs a column"),
        (json!({"op": "Rename", "columns": ["a"], "to": ["b", "c"]}), "to", "as many names as there are columns, 1; found 2"),
        (json!({"op": "Concat", "columns": ["a"], "to": []}), "to", "expected one name; found 0"),
        (json!({"op": "TopK", "columns": ["a"], "to": ["b"], "k": 1}), "to", "two names"),
        (json!({"op": "TopK", "columns": ["a"], "to": ["b", "c"], "k": 0}), "k", "expected 1 or more, found 0"),
        (json!({"op": "DateParts", "columns": ["a"], "parts": []}), "parts", "expected a part"),
        (json!({"op": "DateParts", "columns": ["a"], "parts": ["Day", "Day"]}), "parts", "'a_day' is there twice"),
        (json!({"op": "Expect", "columns": ["a"], "notNull": false}), "min", "expected a rule"),
        (json!({"op": "Expect", "columns": ["a", "b", "c"], "min": [1, 2]}), "min", "one for each column, 3; found 2"),
        (json!({"op": "Expect", "columns": ["a"], "min": [2], "max": [1]}), "min", "expected at most max, 1"),
        (json!({"op": "Expect", "columns": ["a"], "min": [2], "to": ["b"]}), "to", "otherwise: Flag alone"),
        (
            json!({"op": "Expect", "columns": ["a"], "min": [2], "otherwise": "Flag"}),
            "to",
            "as many names as there are columns, 1; found 0",
        ),
        (json!({"op": "Expect", "columns": ["a"], "min": [2], "pattern": "x"}), "texts", "found both"),
        (json!({"op": "Expect", "columns": ["a"], "pattern": "("}), "pattern", "unclosed group"),
        (json!({"op": "Image", "columns": ["a"], "width": 9000, "height": 1}), "width", "expected 1 to 4096, found 9000"),
        (json!({"op": "Image", "columns": ["a"], "width": 9, "height": 9, "fill": 1}), "fill", "fit: Pad alone"),
        (json!({"op": "Image", "columns": ["a"], "width": 9, "height": 9, "shorter": 10}), "shorter", "fit: Crop alone"),
        (
            json!({"op": "Image", "columns": ["a"], "width": 9, "height": 9, "fit": "Crop", "shorter": 8}),
            "shorter",
            "expected 9 to",
        ),
        (
            json!({"op": "Image", "columns": ["a"], "width": 9, "height": 9, "mean": [1, 2]}),
            "mean",
            "one for each channel, 3; found 2",
        ),
        (
            json!({"op": "Image", "columns": ["a"], "width": 9, "height": 9, "datatype": "UINT8", "divisor": 1}),
            "datatype",
            "as they are",
        ),
        (json!({"op": "Tokenize", "columns": ["a"], "to": ["b"], "tokenizer": "../x"}), "tokenizer", "a file beside the model"),
        (json!({"op": "Bytes", "columns": ["a"]}), "head", "found neither"),
        (json!({"op": "Tokenize", "columns": ["a", "b", "c"], "to": ["d"]}), "columns", "pairs of texts; found 3"),
        (json!({"op": "Tokenize", "columns": ["a"], "to": ["b"], "datatype": "FP32"}), "datatype", "expected INT64 or INT32"),
        (json!({"op": "Tokenize", "columns": ["a"], "to": ["b"], "maxLength": 9, "width": 8}), "maxLength", "at most width, 8"),
        (json!({"op": "Fill", "columns": ["a", "b", "c"], "texts": ["x", "y"]}), "texts", "one for each column, 3; found 2"),
        (json!({"op": "Image", "columns": ["a"], "width": 9, "height": 9, "to": ["b", "c"]}), "to", "columns, 1; found 2"),
        (json!({"op": "Boxes", "columns": ["a", "b", "c"]}), "columns", "one, or two of boxes and scores; found 3"),
        (json!({"op": "Boxes", "columns": ["a"], "to": ["b"]}), "to", "expected four names"),
        (json!({"op": "Boxes", "columns": ["a"], "maxBoxes": 0}), "maxBoxes", "expected 1 to 4096, found 0"),
        (json!({"op": "Boxes", "columns": ["a"], "candidates": 0}), "candidates", "expected 1 to 1048576, found 0"),
        (json!({"op": "Boxes", "columns": ["a"], "iouThreshold": 1.5}), "iouThreshold", "expected 0 to 1, found 1.5"),
        (json!({"op": "Boxes", "columns": ["a", "b"], "objectness": true}), "objectness", "one column alone"),
        (json!({"op": "Boxes", "columns": ["a"], "relative": true}), "relative", "frame alone"),
        (json!({"op": "Boxes", "columns": ["a"], "texts": ["x"]}), "texts", "a fifth name"),
        (json!({"op": "Boxes", "columns": ["a"], "format": "xyxy"}), "", "unknown variant `xyxy`"),
        (json!({"op": "Hash", "columns": ["a"], "buckets": 0}), "buckets", "expected 1 or more, found 0"),
        (json!({"op": "Fill", "columns": ["a"]}), "values", "found neither"),
        (json!({"op": "Fill", "columns": ["a"], "values": [1], "texts": ["x"]}), "texts", "found both"),
        (json!({"op": "OneHot", "columns": ["a"], "values": [1, 1]}), "values", "[1] is there twice"),
        (json!({"op": "OneHot", "columns": ["a"], "values": [1], "unknown": "Value"}), "unknown", "OneHot has Error and Ignore"),
        (json!({"op": "Ordinal", "columns": ["a"], "values": [1], "unknown": "Value"}), "unknownValue", "needs it"),
        (json!({"op": "Ordinal", "columns": ["a"], "values": [1], "unknownValue": 1}), "unknownValue", "alone"),
        (json!({"op": "Input", "columns": ["a"], "width": 0}), "width", "expected 1 or more, found 0"),
        (json!({"op": "Cast", "columns": ["a"], "datatype": "FLOAT"}), "", "unknown variant `FLOAT`"),
    ] {
        let (found, said) = step(value.clone()).unwrap_err();
        assert_eq!(found, field, "{value}: {said}");
        assert!(said.contains(message), "{value}: {said}");
    }
}

/// What a list of steps says of lengths, without a model.
fn followed(list: Value) -> Result<(), (usize, String)> {
    let mut widths = Widths::default();
    for (at, value) in list.as_array().unwrap().iter().enumerate() {
        widths.follow(&step(value.clone()).unwrap()).map_err(|wrong| (at, wrong.to_string()))?;
    }
    Ok(())
}

#[test]
fn lists_fit_the_columns_that_are_known() {
    let input = json!({"op": "Input", "columns": ["a", "b"]});
    let wide = json!({"op": "Input", "columns": ["w"], "width": 3});
    let of =
        |columns: &[&str], count: usize| json!({"op": "Standardise", "columns": columns, "mean": vec![0.5; count], "scale": [2]});
    for list in [
        json!([input, of(&["a", "b"], 2), of(&["a"], 1)]),
        json!([input, wide, of(&["a", "w", "b"], 5)]),
        // Of the model's own inputs nothing is known here.
        json!([input, of(&["a", "x"], 7)]),
        json!([input, {"op": "Rename", "columns": ["a", "b"], "to": ["b", "a"]}, of(&["a", "b"], 2)]),
        json!([input, {"op": "Concat", "columns": ["a", "b"], "to": ["c"]}, of(&["c"], 2)]),
        json!([input, {"op": "OneHot", "columns": ["a"], "values": [1, 2, 3]}, of(&["a", "b"], 4)]),
        json!([input, {"op": "Drop", "columns": ["a"]}, of(&["a"], 9)]),
        json!([{"op": "Boxes", "columns": ["y"]}, of(&["detection_scores"], 100)]),
    ] {
        assert_eq!(followed(list.clone()), Ok(()), "{list}");
    }
    for (list, at, message) in [
        (json!([input, of(&["a", "b"], 3)]), 1, "mean: expected one number, or one for each value of a row, 2; found 3"),
        (json!([wide, of(&["w"], 2)]), 1, "value of a row, 3; found 2"),
        (json!([wide, {"op": "Rename", "columns": ["w"], "to": ["v"]}, of(&["v"], 2)]), 2, "value of a row, 3; found 2"),
        (json!([input, {"op": "Clip", "columns": ["a", "b"], "max": [1, 2, 3]}]), 1, "max: expected one number"),
        (json!([input, {"op": "Fill", "columns": ["a"], "values": [1, 2]}]), 1, "values: expected one number"),
        (json!([input, {"op": "Concat", "columns": ["a", "b"], "to": ["c"]}, of(&["c"], 3)]), 2, "2; found 3"),
        (
            json!([{"op": "Input", "columns": ["i"], "datatype": "BYTES"}, {"op": "Image", "columns": ["i"], "width": 2, "height": 2}, of(&["i"], 3)]),
            2,
            "value of a row, 12; found 3",
        ),
    ] {
        let (found, said) = followed(list.clone()).unwrap_err();
        assert!(found == at && said.contains(message), "{list}: {found} {said}");
    }
}
