//! Steps against scikit-learn's answers (tests/steps/reference.py writes them), and what each says of columns that it does not take.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use modelyard_core::steps::Step;
use modelyard_wire::{Data, DataType, Tensor};
use serde_json::{Value, json};

use super::{Around, wrap};
use crate::engine::{Engine, Facts, RunError, Stop};
use crate::signature::{Signature, TensorSpec};

/// A model that answers what it is given.
struct Echo(Signature, Facts);

impl Engine for Echo {
    fn signature(&self) -> &Signature {
        &self.0
    }
    fn facts(&self) -> &Facts {
        &self.1
    }
    fn run(&self, inputs: &[Tensor], _: &Stop) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs.to_vec())
    }
}

fn specs(of: &Value) -> Vec<TensorSpec> {
    let one = |spec: &Value| TensorSpec {
        name: spec[0].as_str().unwrap().to_owned(),
        datatype: spec[1].as_str().unwrap().parse().unwrap(),
        shape: spec[2].as_array().unwrap().iter().map(|dim| dim.as_i64().unwrap()).collect(),
    };
    of.as_array().unwrap().iter().map(one).collect()
}

/// An echo of those columns between those steps.
fn stepped(columns: &Value, before: &Value, after: &Value) -> Result<Box<dyn Engine>, String> {
    stepped_in(None, columns, before, after)
}

fn stepped_in(folder: Option<&Path>, columns: &Value, before: &Value, after: &Value) -> Result<Box<dyn Engine>, String> {
    let columns = specs(columns);
    let signature = Signature { inputs: columns.clone(), outputs: columns, batched: true };
    let steps = |list: &Value| -> Vec<Step> { serde_json::from_value(list.clone()).unwrap() };
    let (before, after) = (steps(before), steps(after));
    for step in before.iter().chain(&after) {
        step.check().unwrap();
    }
    let classes = ["low".to_owned(), "high".to_owned()];
    let around = Around { before: &before, after: &after, classes: &classes, folder };
    wrap(Box::new(Echo(signature, Facts::default())), &around).map_err(|error| error.to_string())
}

fn tensor(of: &Value) -> Tensor {
    let datatype: DataType = of["datatype"].as_str().unwrap().parse().unwrap();
    let shape: Vec<usize> = of["shape"].as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap() as usize).collect();
    let data = of["data"].as_array().unwrap();
    if datatype == DataType::Bytes {
        let texts = data.iter().map(|text| Bytes::from(text.as_str().unwrap().to_owned())).collect();
        return Tensor::strings(shape, texts).unwrap();
    }
    let numbers = data.iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect();
    super::column::Column::numbers(shape, numbers).tensor(datatype).unwrap()
}

fn stop() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(60))
}

/// Equal texts, or numbers within 1e-6.
fn differ(found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.datatype() != expected.datatype() || found.shape() != expected.shape() {
        return Some(format!(
            "{} {:?}, expected {} {:?}",
            found.datatype(),
            found.shape(),
            expected.datatype(),
            expected.shape()
        ));
    }
    if let (Data::Strings(found), Data::Strings(expected)) = (found.data(), expected.data()) {
        return (found != expected).then(|| format!("{found:?}, expected {expected:?}"));
    }
    let (found, expected) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
    let near = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * (1.0 + b.abs());
    (!found.iter().zip(&expected).all(near)).then(|| format!("{found:?}, expected {expected:?}"))
}

#[test]
fn answers_are_scikit_learns() {
    agree(include_str!("../../tests/steps/reference.json"), 30);
}

#[test]
fn boxes_are_those_that_onnx_runtime_leaves() {
    agree(include_str!("../../tests/steps/boxes.json"), 25);
}

/// More than so many cases, each with its answer.
fn agree(cases: &str, least: usize) {
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    assert!(cases.len() > least, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let engine = match stepped(&case["model"], &case["before"], &case["after"]) {
            Ok(engine) => engine,
            Err(error) => {
                wrong.push(format!("{}: {error}", case["name"]));
                continue;
            }
        };
        let given = case["inputs"].as_array().unwrap().iter().map(|one| (one["name"].as_str().unwrap(), tensor(one)));
        let inputs = engine.signature().bind(given).unwrap();
        let outputs = engine.run(&inputs, &stop()).unwrap();
        for expected in case["outputs"].as_array().unwrap() {
            let name = expected["name"].as_str().unwrap();
            let at = engine.signature().output(name).unwrap();
            if let Some(how) = differ(&outputs[at], &tensor(expected)) {
                wrong.push(format!("{}: {name} is {how}", case["name"]));
            }
            assert!(engine.signature().outputs[at].check(&outputs[at]).is_ok(), "{}: {name} is not as declared", case["name"]);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn what_does_not_fit_is_named_by_step_and_column() {
    let two = json!([["x", "FP32", [-1, 2]]]);
    let input = |names: &Value| json!({"op": "Input", "columns": names});
    for (before, message) in [
        (json!([{"op": "Clip", "columns": ["y"], "min": [0]}]), "preprocess[0] (Clip): column 'y': it is not here; here are 'x'"),
        (json!([input(&json!(["x"]))]), "preprocess: column 'x': its shape is [-1], the model takes [-1, 2]"),
        (json!([input(&json!(["a"]))]), "preprocess: column 'a': it is left over: the model takes 'x'"),
        (json!([{"op": "Drop", "columns": ["x"]}]), "preprocess: the model takes 'x': column 'x': it is not here; here are none"),
        (
            json!([input(&json!(["a", "b"])), {"op": "Concat", "columns": ["a", "b"], "to": ["x"], "datatype": "FP64"}]),
            "preprocess: column 'x': it is FP64, the model takes FP32: add a Cast",
        ),
        (
            json!([{"op": "Input", "columns": ["a"], "datatype": "BYTES"}, {"op": "Concat", "columns": ["a"], "to": ["x"]}]),
            "preprocess[1] (Concat): column 'a': expected numbers, it is BYTES",
        ),
        (
            json!([{"op": "Standardise", "columns": ["x"], "mean": [1, 2, 3], "scale": [1]}]),
            "preprocess[0] (Standardise): column 'x': mean has 3 numbers; the columns have 2 values a row",
        ),
        (
            json!([{"op": "OneHot", "columns": ["x"], "values": [1]}]),
            "column 'x': expected one value a row, its shape is [-1, 2]",
        ),
        (
            json!([{"op": "Input", "columns": ["a"], "datatype": "BYTES"}, {"op": "Ordinal", "columns": ["a"], "values": [1]}]),
            "preprocess[1] (Ordinal): column 'a': it is BYTES; expected numbers, or texts instead of values",
        ),
        (json!([{"op": "Drop", "columns": ["x"]}, input(&json!(["a"]))]), "preprocess[1] (Input): it follows preprocess[0]"),
        (
            json!([{"op": "Cast", "columns": ["x"], "datatype": "BYTES"}]),
            "preprocess[0] (Cast): column 'x': numbers are not turned",
        ),
        (json!([input(&json!(["a"])), {"op": "Rename", "columns": ["a"], "to": ["x"]}]), "column 'x': its shape is [-1]"),
        (json!([{"op": "Fill", "columns": ["x"], "texts": ["a"]}]), "column 'x': it is FP32; expected BYTES"),
    ] {
        let said = stepped(&two, &before, &json!([])).err().unwrap();
        assert!(said.contains(message), "{before}: {said}");
    }
    for (after, message) in [
        (json!([input(&json!(["a"]))]), "postprocess[0] (Input): columns are declared in preprocess alone"),
        (json!([{"op": "Drop", "columns": ["x"]}]), "postprocess: no column is left"),
        (json!([{"op": "TopK", "columns": ["x"], "to": ["v", "i"], "k": 3}]), "column 'x': k is 3; it has 2 scores"),
        (
            json!([{"op": "Labels", "columns": ["x"], "to": ["l"], "texts": ["a", "b", "c"]}]),
            "column 'x': it has 2 scores, there are 3 names",
        ),
        (json!([{"op": "Argmax", "columns": ["x"], "to": ["x"]}]), "column 'x': there is one of this name already"),
        (json!([{"op": "Boxes", "columns": ["x"]}]), "column 'x': expected [-1, boxes, values], or [-1, values, boxes]"),
    ] {
        let said = stepped(&two, &json!([]), &after).err().unwrap();
        assert!(said.contains(message), "{after}: {said}");
    }
    let fixed = TensorSpec { name: "x".to_owned(), datatype: DataType::Fp32, shape: vec![1, 2] };
    let signature = Signature { inputs: vec![fixed.clone()], outputs: vec![fixed], batched: false };
    let around = Around { before: &[], after: &[], classes: &[], folder: None };
    let said = wrap(Box::new(Echo(signature, Facts::default())), &around).err().unwrap().to_string();
    assert!(said.contains("one free batch dimension"), "{said}");
}

#[test]
fn a_bad_row_is_named_by_column_and_row() {
    let model = json!([["x", "INT64", [-1]]]);
    let text = |words: &[&str]| {
        Tensor::strings(vec![words.len()], words.iter().map(|word| Bytes::from((*word).to_owned())).collect()).unwrap()
    };
    let declared = json!({"op": "Input", "columns": ["x"], "datatype": "BYTES"});
    let day = json!([["x_day", "INT64", [-1]]]);
    let parts = json!([declared, {"op": "DateParts", "columns": ["x"], "parts": ["Day"]}]);
    let engine = stepped(&day, &parts, &json!([])).unwrap();
    let error = engine.run(&[text(&["2026-02-28", "2026-02-30"])], &stop()).unwrap_err().to_string();
    assert!(error.starts_with("column 'x', row 1: '2026-02-30' is no date such as"), "{error}");
    for (step, input, message) in [
        (
            json!({"op": "Ordinal", "columns": ["x"], "texts": ["a", "b"]}),
            text(&["a", "b", "c"]),
            "column 'x', row 2: 'c' is none of the 2 values that are known",
        ),
        (
            json!({"op": "Cast", "columns": ["x"], "datatype": "INT64"}),
            text(&["7", "seven"]),
            "column 'x', row 1: 'seven' is no number",
        ),
        (json!({"op": "Cast", "columns": ["x"], "datatype": "INT64"}), text(&["NaN"]), "column 'x', row 0: NaN is no INT64"),
        (
            json!({"op": "Cast", "columns": ["x"], "datatype": "INT64"}),
            text(&["1e30"]),
            "row 0: 1000000000000000000000000000000 is no INT64",
        ),
    ] {
        let engine = stepped(&model, &json!([declared, step]), &json!([])).unwrap();
        let error = engine.run(&[input], &stop()).unwrap_err();
        assert!(matches!(error, RunError::InvalidRow { .. }));
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.after(5).to_string().contains(", row "));
    }
}

#[test]
fn rules_refuse_or_flag() {
    let model = json!([["x", "FP32", [-1]], ["t", "BYTES", [-1]]]);
    let inputs = |numbers: &[f32], words: &[&str]| {
        let words = words.iter().map(|word| Bytes::from((*word).to_owned())).collect();
        [Tensor::from_f32(vec![numbers.len()], numbers).unwrap(), Tensor::strings(vec![numbers.len()], words).unwrap()]
    };
    let good = inputs(&[1.0, f32::NAN, 3.0], &["ab1", "", "c2"]);
    for (rule, bad, message) in [
        (
            json!({"columns": ["x"], "min": [1], "max": [3]}),
            inputs(&[1.0, 0.5], &["", ""]),
            "column 'x', row 1: 0.5 is less than 1",
        ),
        (
            json!({"columns": ["x"], "min": [0.7]}),
            inputs(&[0.7, 0.69], &["", ""]),
            "column 'x', row 1: 0.6899999976158142 is less than 0.699",
        ),
        (json!({"columns": ["x"], "max": [3]}), inputs(&[4.0], &[""]), "column 'x', row 0: 4 is more than 3"),
        (json!({"columns": ["x"], "values": [1, 3]}), inputs(&[1.0, 2.0], &["", ""]), "row 1: 2 is none of the 2 values"),
        (
            json!({"columns": ["t"], "texts": ["ab1", "c2"]}),
            inputs(&[1.0], &["d"]),
            "column 't', row 0: 'd' is none of the 2 texts",
        ),
        (json!({"columns": ["t"], "pattern": "^[a-z]+[0-9]$"}), inputs(&[1.0], &["1"]), "'1' does not match ^[a-z]+[0-9]$"),
    ] {
        let mut step = rule.clone();
        step["op"] = json!("Expect");
        let engine = stepped(&model, &json!([step.clone()]), &json!([])).unwrap();
        assert_eq!(engine.run(&good, &stop()).unwrap()[1], good[1], "{rule}");
        let error = engine.run(&bad, &stop()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        step["notNull"] = json!(true);
        let error = stepped(&model, &json!([step.clone()]), &json!([])).unwrap().run(&good, &stop()).unwrap_err().to_string();
        assert!(error.contains("row 1: expected a ") && error.ends_with("found none"), "{error}");
        step["otherwise"] = json!("Flag");
        step["to"] = json!(["odd"]);
        let engine = stepped(&model, &json!([step]), &json!([{"op": "Select", "columns": ["odd", "x"]}])).unwrap();
        assert_eq!(engine.signature().outputs[0].datatype, DataType::Bool);
        assert_eq!(engine.run(&good, &stop()).unwrap()[0].to_f64().unwrap(), [0.0, 1.0, 0.0]);
    }
    for (rule, message) in [
        (json!({"op": "Expect", "columns": ["x"], "pattern": "a"}), "column 'x': it is FP32; expected rules of numbers"),
        (json!({"op": "Expect", "columns": ["t"], "min": [1]}), "column 't': it is BYTES; expected rules of texts"),
    ] {
        let said = stepped(&model, &json!([rule]), &json!([])).err().unwrap();
        assert!(said.starts_with("preprocess[0] (Expect): ") && said.contains(message), "{said}");
        let said = stepped(&model, &json!([]), &json!([rule])).err().unwrap();
        assert!(said.contains("rules are for preprocess alone"), "{said}");
    }
}

#[test]
fn untouched_columns_keep_their_bytes() {
    let model = json!([["id", "INT64", [-1]], ["x", "FP32", [-1, 1]]]);
    let before = json!([{"op": "Input", "columns": ["age"]}, {"op": "Rename", "columns": ["age"], "to": ["x"]}]);
    let after = json!([{"op": "Select", "columns": ["x", "id"]}]);
    let engine = stepped(&model, &before, &after).unwrap();
    let names = |specs: &[TensorSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&engine.signature().inputs), ["age", "id"]);
    assert_eq!(names(&engine.signature().outputs), ["x", "id"]);
    assert_eq!(names(&engine.within().unwrap().inputs), ["id", "x"]);
    let id = Tensor::from_i64(vec![1], &[9_007_199_254_740_993]).unwrap();
    let age = Tensor::from_f32(vec![1], &[31.0]).unwrap();
    let found = engine.run(&[age, id.clone()], &stop()).unwrap();
    assert_eq!(found, [Tensor::from_f32(vec![1, 1], &[31.0]).unwrap(), id]);
}

#[test]
fn scores_of_each_box_compete() {
    let engine = stepped(&json!([["x", "FP32", [-1, 2, 2]]]), &json!([]), &json!([{"op": "Softmax", "columns": ["x"]}])).unwrap();
    let logits = Tensor::from_f32(vec![1, 2, 2], &[0.0, 0.0, 3_f32.ln(), 0.0]).unwrap();
    let found = engine.run(&[logits], &stop()).unwrap()[0].to_f64().unwrap();
    assert!(found.iter().zip([0.5, 0.5, 0.75, 0.25]).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
}

#[test]
fn texts_become_tokens() {
    let reference: Value = serde_json::from_str(include_str!("../../tests/tokenizers/reference.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), reference["tokenizers"]["bert-uncased"].to_string()).unwrap();
    std::fs::write(folder.path().join("odd.json"), r#"{"model": {"type": "Odd"}}"#).unwrap();
    let names = ["input_ids", "attention_mask", "token_type_ids"];
    let model = json!(names.map(|name| json!([name, "INT64", [-1, -1]])));
    let declared = json!({"op": "Input", "columns": ["text", "other"], "datatype": "BYTES"});
    let tokenize = json!({"op": "Tokenize", "columns": ["text", "other"], "to": names});
    let with = |fields: Value| {
        let mut step = tokenize.clone();
        fields.as_object().unwrap().iter().for_each(|(name, value)| step[name] = value.clone());
        stepped_in(Some(folder.path()), &model, &json!([declared, step]), &json!([]))
    };
    let words = |words: &[&str]| {
        Tensor::strings(vec![words.len()], words.iter().map(|word| Bytes::from((*word).to_owned())).collect()).unwrap()
    };
    let inputs = [words(&["hello", "hello world, hello world"]), words(&["a", "b"])];
    let engine = with(json!({})).unwrap();
    assert!(engine.facts().uneven);
    let found = engine.run(&inputs, &stop()).unwrap();
    let rows =
        |tensor: &Tensor| -> Vec<Vec<f64>> { tensor.to_f64().unwrap().chunks(tensor.shape()[1]).map(<[f64]>::to_vec).collect() };
    let [ids, mask, types] = [0, 1, 2].map(|at| rows(&found[at]));
    let tokens = mask.iter().map(|row| row.iter().sum::<f64>()).collect::<Vec<_>>();
    assert!(tokens[0] < tokens[1] && tokens[1] as usize == ids[1].len(), "{mask:?}");
    assert!(ids[0][tokens[0] as usize..].iter().all(|id| *id == 0.0), "padded: {ids:?}");
    assert_eq!(types[0].iter().sum::<f64>(), 2.0, "the second of a pair and its separator: {types:?}");
    let found = with(json!({"maxLength": 6, "width": 12})).unwrap().run(&inputs, &stop()).unwrap();
    assert_eq!((found[0].shape(), rows(&found[1])[1].iter().sum::<f64>()), ([2, 12].as_slice(), 6.0));
    for (fields, message) in [
        (json!({"tokenizer": "none.json"}), "preprocess[1] (Tokenize): none.json: it cannot be read beside the model"),
        (json!({"tokenizer": "odd.json"}), "odd.json: model.type: Odd is not known here"),
        (json!({"maxLength": 2}), "tokenizer.json adds 3 tokens to each row; expected at least as many, found 2"),
        (json!({"datatype": "INT32"}), "column 'input_ids': it is INT32, the model takes INT64"),
    ] {
        let said = with(fields).err().unwrap();
        assert!(said.contains(message), "{said}");
    }
    let bad = Tensor::strings(vec![1], vec![Bytes::from_static(b"a\xff")]).unwrap();
    let error = engine.run(&[words(&["a"]), bad], &stop()).unwrap_err().to_string();
    assert_eq!(error, "column 'other', row 0: expected UTF-8, found other bytes at 1");
}

#[test]
fn texts_without_tokens_are_the_clients_fault() {
    let reference: Value = serde_json::from_str(include_str!("../../tests/tokenizers/reference.json")).unwrap();
    let mut tokenizer = reference["tokenizers"]["bert-uncased"].clone();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    tokenizer["post_processor"] = Value::Null;
    std::fs::write(folder.path().join("plain.json"), tokenizer.to_string()).unwrap();
    let model = json!([["input_ids", "INT64", [-1, -1]]]);
    let opened = |file: &str, columns: &[&str]| {
        let declared = json!({"op": "Input", "columns": columns, "datatype": "BYTES"});
        let step = json!({"op": "Tokenize", "columns": columns, "to": ["input_ids"], "tokenizer": file});
        stepped_in(Some(folder.path()), &model, &json!([declared, step]), &json!([])).unwrap()
    };
    let texts = |texts: &[&str]| {
        Tensor::strings(vec![texts.len()], texts.iter().map(|text| Bytes::from((*text).to_owned())).collect()).unwrap()
    };
    let none = "no tokens, and the tokenizer adds none; expected a text of one or more";
    let error = opened("plain.json", &["review"]).run(&[texts(&[""])], &stop()).unwrap_err();
    assert_eq!(error.to_string(), format!("column 'review', row 0: the text has {none}"));
    let error = opened("plain.json", &["review", "title"]).run(&[texts(&[" "]), texts(&[""])], &stop()).unwrap_err();
    assert_eq!(error.to_string(), format!("column 'review', row 0: it and the text beside it have {none}"));
    // Beside a text that has some it is padded as that is long; and what the tokenizer adds is enough.
    assert_eq!(opened("plain.json", &["review"]).run(&[texts(&["", "hello"])], &stop()).unwrap()[0].shape()[0], 2);
    assert_eq!(opened("tokenizer.json", &["review"]).run(&[texts(&[""])], &stop()).unwrap()[0].shape(), [1, 2]);
}

#[test]
fn what_is_beyond_the_datatype_is_refused_and_infinity_is_not() {
    let declared = json!({"op": "Input", "columns": ["x"], "datatype": "BYTES"});
    let cast = json!({"op": "Cast", "columns": ["x"], "datatype": "FP32"});
    let engine = stepped(&json!([["x", "FP32", [-1]]]), &json!([declared, cast]), &json!([])).unwrap();
    let run = |words: &[&str]| {
        let words = words.iter().map(|word| Bytes::from((*word).to_owned())).collect::<Vec<_>>();
        engine.run(&[Tensor::strings(vec![words.len()], words).unwrap()], &stop())
    };
    assert_eq!(run(&["-inf", "Infinity", "3e38"]).unwrap()[0].to_f64().unwrap()[..2], [f64::NEG_INFINITY, f64::INFINITY]);
    for (word, said) in
        [("1e400", "row 1: '1e400' is no FP32"), ("-1e39", "row 1: -1000000000000000000000000000000000000000 is no FP32")]
    {
        let error = run(&["1", word]).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// A list in a YAML has 64 bits; a column of 32 has the nearest numbers of its own.
#[test]
fn numbers_of_a_list_are_compared_as_the_column_has_them() {
    for datatype in ["FP32", "FP64"] {
        let given = tensor(&json!({"datatype": datatype, "shape": [3], "data": [0.1, 0.5, 0.7]}));
        let declared = json!({"op": "Input", "columns": ["s"], "datatype": datatype});
        let answer = |model: Value, before: &[Value], after: Value| {
            let engine = stepped(&model, &json!(before), &after).unwrap();
            engine.run(std::slice::from_ref(&given), &stop()).unwrap().last().unwrap().to_f64().unwrap()
        };
        let hot = json!({"op": "OneHot", "columns": ["s"], "values": [0.1, 0.5, 0.7], "unknown": "Error"});
        let found = answer(json!([["s", "FP32", [-1, 3]]]), &[declared.clone(), hot], json!([]));
        assert_eq!(found, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], "{datatype}");
        let places = json!({"op": "Ordinal", "columns": ["s"], "values": [0.7, 0.1, 0.5], "unknown": "Error"});
        let found = answer(json!([["s", "INT64", [-1]]]), &[declared, places], json!([]));
        assert_eq!(found, [1.0, 2.0, 0.0], "{datatype}");
        let above = json!([{"op": "Threshold", "columns": ["s"], "to": ["above"], "at": 0.7}]);
        assert_eq!(answer(json!([["s", datatype, [-1]]]), &[], above), [0.0, 0.0, 1.0], "{datatype}");
    }
}
