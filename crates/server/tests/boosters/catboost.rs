//! CatBoost's JSON files: what they answer, worked by hand, and which are refused. `make test-models` compares trained models with
//! the library itself.

use modelyard_wire::{DataType, Tensor};
use serde_json::{Value, json};

use super::{near, opened, run};

fn above(feature: usize, border: f64) -> Value {
    json!({ "split_type": "FloatFeature", "float_feature_index": feature, "border": border, "split_index": 0 })
}

/// Two features: the first float stands second in a row, and the second first.
fn model(loss: &str, bias: &Value, trees: &[Value]) -> Value {
    let float = |index: usize, flat: usize, missing: &str| json!({ "feature_index": index, "flat_feature_index": flat, "borders": [], "has_nans": true, "nan_value_treatment": missing });
    json!({
        "features_info": { "float_features": [float(0, 1, "AsFalse"), float(1, 0, "AsTrue")] },
        "model_info": {
            "catboost_version_info": "Git info:\n    Commit: 1\n    Branch: tags/v1.2.10\n",
            "params": { "loss_function": { "type": loss, "params": {} } },
        },
        "oblivious_trees": trees,
        "scale_and_bias": [1, bias],
    })
}

/// Asks for `f0 > 1` first and `f1 > 6` second.
fn oblivious(leaves: &[f64]) -> Value {
    json!({ "splits": [above(0, 1.0), above(1, 6.0)], "leaf_values": leaves, "leaf_weights": [] })
}

/// The leaf's number is 1 for `x[1] > 1`, plus 2 for `x[0] > 6`: here 0, 1, 2, 3, 2 and 1.
const ROWS: [f32; 12] = [6.0, 1.0, 0.0, 1.5, 7.0, 0.0, 9.0, 9.0, f32::NAN, f32::NAN, 0.0, 2.0];

fn answers(model: &Value) -> Vec<Vec<f64>> {
    super::answers(&model.to_string(), &ROWS)
}

const LEAVES: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn symmetric_trees_number_their_leaves_by_bits() {
    let plain = model("RMSE", &json!([0.5]), &[oblivious(&LEAVES)]);
    let engine = opened(&plain.to_string()).unwrap();
    let spec = |spec: &modelyard_server::signature::TensorSpec| (spec.name.clone(), spec.datatype, spec.shape.clone());
    assert_eq!(spec(&engine.signature().inputs[0]), ("input".to_owned(), DataType::Fp32, vec![-1, 2]));
    assert_eq!(spec(&engine.signature().outputs[0]), ("variable".to_owned(), DataType::Fp32, vec![-1, 1]));
    let facts = engine.facts();
    assert_eq!((facts.platform, facts.engine, &*facts.producer), ("catboost_json", "Trees", "CatBoost 1.2.10"));
    assert_eq!(answers(&plain), [[1.5, 2.5, 4.5, 8.5, 4.5, 2.5]]);
    // Scale and bias, of a sum of two trees, one of them a bare leaf.
    let bare = json!({ "splits": [], "leaf_values": [10.0] });
    let mut scaled = model("RMSE", &json!([0.5]), &[oblivious(&LEAVES), bare]);
    scaled["scale_and_bias"][0] = json!(2.0);
    assert_eq!(answers(&scaled), [[22.5, 24.5, 28.5, 36.5, 28.5, 24.5]]);
    // Files of old have one bias, or say nothing of it.
    scaled["scale_and_bias"] = json!([2.0, 1.0]);
    assert_eq!(answers(&scaled), [[23.0, 25.0, 29.0, 37.0, 29.0, 25.0]]);
    scaled.as_object_mut().unwrap().remove("scale_and_bias");
    assert_eq!(answers(&scaled), [[11.0, 12.0, 14.0, 18.0, 14.0, 12.0]]);
    // What is missing is neither above nor told otherwise.
    let mut as_is = plain;
    as_is["features_info"]["float_features"][1]["nan_value_treatment"] = json!("AsIs");
    assert_eq!(answers(&as_is), [[1.5, 2.5, 4.5, 8.5, 1.5, 2.5]]);
}

#[test]
fn other_trees_branch_as_they_are_written() {
    let leaf = |value: Value| json!({ "value": value, "weight": 1 });
    let inner = json!({ "split": above(0, 1.0), "left": leaf(json!(4.0)), "right": leaf(json!(8.0)) });
    let tree = json!({ "split": above(1, 6.0), "left": leaf(json!(1.0)), "right": inner });
    let mut branching = model("RMSE", &json!([0.0]), &[]);
    branching.as_object_mut().unwrap().remove("oblivious_trees");
    branching["trees"] = json!([tree, leaf(json!(0.5))]);
    assert_eq!(answers(&branching), [[1.5, 1.5, 4.5, 8.5, 4.5, 1.5]]);
    let pair = json!({ "split": above(1, 6.0), "left": leaf(json!([1.0, 2.0])), "right": leaf(json!([3.0, 4.0])) });
    branching["trees"] = json!([pair]);
    branching["model_info"]["params"]["loss_function"]["type"] = json!("MultiRMSE");
    branching["scale_and_bias"] = json!([1, [0, 10]]);
    assert_eq!(answers(&branching), [[1.0, 12.0, 1.0, 12.0, 3.0, 14.0, 3.0, 14.0, 3.0, 14.0, 1.0, 12.0]]);
    branching["scale_and_bias"] = json!([1, []]);
    for (tree, words) in [
        (
            json!({ "split": above(1, 6.0), "left": leaf(json!(1.0)) }),
            "tree 0, node 0: expected a split with left and right, or a value",
        ),
        (
            json!({ "split": above(1, 6.0), "left": leaf(json!(1.0)), "right": leaf(json!([1.0, 2.0])) }),
            "tree 0, node 2: value: 2 values; expected 1",
        ),
        (json!({}), "tree 0: 0 values a leaf; expected 1 to 65536"),
    ] {
        branching["trees"] = json!([tree]);
        let said = opened(&branching.to_string()).err().unwrap();
        assert!(said.contains(words), "{said}");
    }
    let deep = (0..100_000).map(|_| "{\"left\":").collect::<String>();
    let said = opened(&format!("{{\"features_info\":{{}},\"trees\":[{deep}")).err().unwrap();
    assert!(said.contains("recursion limit"), "{said}");
}

#[test]
fn loss_functions_say_what_sums_mean() {
    let halves = [-0.5, 0.5, 0.0, 1.0];
    let sums = [-0.5, 0.5, 0.0, 1.0, 0.0, 0.5];
    let tree = [oblivious(&halves)];
    near(&answers(&model("Poisson", &json!([0]), &tree))[0], &sums.map(f64::exp));
    near(&answers(&model("MultiLogloss", &json!([0]), &tree))[0], &sums.map(logistic));
    near(&answers(&model("Quantile", &json!([0]), &tree))[0], &sums);
    let binary = answers(&model("Logloss", &json!([0]), &tree));
    near(&binary[0], &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    near(&binary[1], &sums.map(|sum| [logistic(-sum), logistic(sum)]).concat());
    // Of a sum of models the loss is text.
    let mut sum = model("RMSE", &json!([0]), &tree);
    sum["model_info"] = json!({ "loss_function": "{\"type\":\"Tweedie\",\"params\":{}}" });
    near(&answers(&sum)[0], &sums.map(f64::exp));
    sum["model_info"] = json!({});
    near(&answers(&sum)[0], &sums);
}

#[test]
fn classes_have_the_names_of_the_file() {
    // Leaf 0 is for the first class, 1 for the second, 2 and 3 for the third.
    let tree = oblivious(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    let mut multi = model("MultiClass", &json!([0, 0, 0]), &[tree]);
    let other = 1.0 / (1.0_f64.exp() + 2.0);
    let all = answers(&multi);
    near(&all[0], &[0.0, 1.0, 2.0, 2.0, 2.0, 1.0]);
    near(&all[1][..6], &[1.0 - 2.0 * other, other, other, other, 1.0 - 2.0 * other, other]);
    multi["model_info"]["class_params"] = json!({ "class_label_type": "Integer", "class_names": [7, -1, 3], "classes_count": 0 });
    near(&answers(&multi)[0], &[7.0, -1.0, 3.0, 3.0, 3.0, -1.0]);
    multi["model_info"]["class_params"] =
        json!({ "class_label_type": "Float", "class_names": [], "class_to_label": [2.0, 1, 0] });
    near(&answers(&multi)[0], &[2.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    multi["model_info"]["params"]["loss_function"]["type"] = json!("MultiClassOneVsAll");
    near(&answers(&multi)[1][..3], &[logistic(1.0), 0.5, 0.5]);
    multi["model_info"]["class_params"] = json!({ "class_label_type": "String", "class_names": ["a", "b", 0.5] });
    let engine = opened(&multi.to_string()).unwrap();
    assert_eq!(engine.facts().classes, ["a", "b", "0.5"]);
    assert_eq!((&*engine.signature().outputs[0].name, engine.signature().outputs[0].datatype), ("label", DataType::Bytes));
    let outputs = run(&*engine, &ROWS);
    let expected = ["a", "b", "0.5", "0.5", "0.5", "b"].map(bytes::Bytes::from).to_vec();
    assert_eq!(outputs[0], Tensor::strings(vec![6], expected).unwrap());
    let mut flags = model("Logloss", &json!([0]), &[oblivious(&LEAVES)]);
    flags["model_info"]["class_params"] = json!({ "class_label_type": "Boolean", "class_names": [false, true] });
    assert_eq!(answers(&flags)[0], [1.0; 6]);
}

#[test]
fn categories_are_whole_numbers() {
    // The hash of 2, and of no number that is tried.
    let hot = |value: i64| json!({ "split_type": "OneHotFeature", "cat_feature_index": 0, "value": value, "split_index": 0 });
    let tree = |value: i64| json!({ "splits": [hot(value)], "leaf_values": [1.0, 2.0] });
    let mut file = model("RMSE", &json!([0]), &[tree(-1_284_790_409)]);
    file["features_info"] = json!({
        "float_features": [{ "feature_index": 0, "flat_feature_index": 0 }],
        "categorical_features": [{ "feature_index": 0, "flat_feature_index": 1, "values": [-1_284_790_409, 1] }],
    });
    assert_eq!(answers(&file), [[1.0, 1.0, 1.0, 1.0, 1.0, 2.0]]);
    for (value, words) in [
        (1, "tree 0, split 0: asks feature 1 for a category whose hash is 1: it is no whole number up to 1000000"),
        (3, "tree 0, split 0: value: 3, which is not among the feature's values"),
    ] {
        file["oblivious_trees"] = json!([tree(value)]);
        let said = opened(&file.to_string()).err().unwrap();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn what_is_not_honoured_or_sound_is_refused_by_name() {
    let good = model("Logloss", &json!([0]), &[oblivious(&LEAVES)]);
    let split = "/oblivious_trees/0/splits/0";
    let hot = json!({ "split_type": "OneHotFeature", "cat_feature_index": 0, "value": -7 });
    let place = json!([{ "feature_id": "t", "feature_index": 0, "flat_feature_index": 2 }]);
    for (at, value, words) in [
        (
            "/model_info/params/loss_function/type",
            json!("PythonUserDefinedPerObject"),
            "loss_function 'PythonUserDefinedPerObject'",
        ),
        ("/model_info/params/loss_function/type", json!("RMSEWithUncertainty"), "a mean and a variance"),
        ("/model_info/params/loss_function/type", json!("MultiClass"), "loss_function 'MultiClass' with 1 values a leaf"),
        ("/model_info/binclass_probability_threshold", json!("0.3"), "binclass_probability_threshold: 0.3; expected 0.5"),
        ("/model_info/class_params", json!({ "class_names": [1] }), "class_names: 1 classes; expected 2"),
        ("/model_info/class_params", json!({ "classes_count": 5 }), "classes_count: 5 classes, of which training met 2"),
        ("/features_info/text_features", place.clone(), "feature 2 is text"),
        ("/features_info/embedding_features", place, "feature 2 is embedding"),
        (split, hot, "cat_feature_index: 0; categorical_features has none such"),
        (split, json!({ "split_type": "OnlineCtr", "border": 1 }), "asks for statistics of a category (OnlineCtr)"),
        (split, json!({ "split_type": "Later" }), "split_type is none that is known here"),
        (split, json!({ "split_type": "FloatFeature", "border": 1 }), "tree 0, split 0: float_feature_index is missing"),
        (split, json!({ "split_type": "FloatFeature", "float_feature_index": 0 }), "tree 0, split 0: border is missing"),
        (split, above(2, 1.0), "tree 0, split 0: float_feature_index: 2; float_features has none such"),
        (split, above(0, 1e300), "border: 1e300; expected a number of FP32"),
        (
            "/features_info/float_features/0/flat_feature_index",
            json!(99_999_999),
            "flat_feature_index: 99999999; expected at most",
        ),
        ("/features_info/float_features/0/flat_feature_index", json!(-1), "not a model of CatBoost's"),
        ("/features_info/float_features/0/nan_value_treatment", json!("AsIf"), "unknown variant `AsIf`"),
        ("/oblivious_trees/0/leaf_values", json!([1, 2, 3]), "tree 0: 0 values a leaf"),
        (
            "/oblivious_trees/0/leaf_values",
            json!([1, 2, 3, 4, 5]),
            "tree 0: leaf_values: 5 values; expected 1 for each leaf of 2 splits",
        ),
        ("/oblivious_trees/0/leaf_values", json!([1, 2, 3, null]), "not a model of CatBoost's"),
        ("/oblivious_trees/0/splits", json!(vec![above(0, 1.0); 70]), "tree 0: 0 values a leaf"),
        ("/oblivious_trees", json!([]), "there is no tree"),
        ("/oblivious_trees/1", json!({ "splits": [], "leaf_values": [1, 2] }), "tree 1: leaf_values: 2 values; expected 1"),
        ("/trees", json!([{ "value": 1 }]), "expected either oblivious_trees or trees"),
        ("/scale_and_bias", json!([1, [0, 0]]), "scale_and_bias: a bias of 2 values; expected 1"),
        ("/scale_and_bias", json!([1, "0"]), "not a model of CatBoost's"),
    ] {
        let mut bad = good.clone();
        let (parent, key) = at.rsplit_once('/').unwrap();
        match bad.pointer_mut(parent).unwrap() {
            Value::Array(all) if all.len() == key.parse::<usize>().unwrap() => all.push(value),
            Value::Array(all) => all[key.parse::<usize>().unwrap()] = value,
            parent => parent[key] = value,
        }
        let said = opened(&bad.to_string()).err().unwrap_or_else(|| panic!("{at} was loaded"));
        assert!(said.contains(words), "{at}: {said}");
    }
    // Numbers that JSON has not, and files that are cut short.
    let text = good.to_string();
    for bad in [text.replace("8.0]", "NaN]"), text.replace("8.0]", "1e999]"), text[..text.len() / 2].to_owned()] {
        assert_ne!(bad, text);
        let said = opened(&bad).err().unwrap();
        assert!(said.contains("not a model of CatBoost's"), "{said}");
    }
}
