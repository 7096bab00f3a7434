//! XGBoost's own files: what they answer, worked by hand, in JSON and in UBJSON alike, and which are refused.
//! `make test-models` compares trained models with the library itself.

use modelyard_wire::DataType;
use serde_json::{Value, json};

use super::{near, opened};

/// UBJSON as XGBoost writes it: lengths of eight bytes, lists of numbers of one kind.
fn ubj(value: &Value) -> Vec<u8> {
    let sized = |marker: &[u8], length: usize| [marker, b"L", &(length as i64).to_be_bytes()].concat();
    let text = |text: &str| [sized(b"", text.len()), text.as_bytes().to_vec()].concat();
    match value {
        Value::Null => b"Z".to_vec(),
        Value::Bool(set) => {
            if *set {
                b"T".to_vec()
            } else {
                b"F".to_vec()
            }
        }
        Value::Number(number) => match number.as_i64() {
            Some(number) => [b"l".to_vec(), (number as i32).to_be_bytes().to_vec()].concat(),
            None => [b"d".to_vec(), (number.as_f64().unwrap() as f32).to_be_bytes().to_vec()].concat(),
        },
        Value::String(string) => [b"S".to_vec(), text(string)].concat(),
        Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_i64) => {
            let elements = all.iter().flat_map(|one| (one.as_i64().unwrap() as i32).to_be_bytes());
            [sized(b"[$l#", all.len()), elements.collect()].concat()
        }
        Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_number) => {
            let elements = all.iter().flat_map(|one| (one.as_f64().unwrap() as f32).to_be_bytes());
            [sized(b"[$d#", all.len()), elements.collect()].concat()
        }
        Value::Array(all) => [sized(b"[#", all.len()), all.iter().flat_map(ubj).collect()].concat(),
        Value::Object(all) => {
            let entries = all.iter().flat_map(|(key, value)| [text(key), ubj(value)].concat());
            [b"{".to_vec(), entries.collect(), b"}".to_vec()].concat()
        }
    }
}

/// A stump: `x[feature] < at` gives `weights[0]`, otherwise `weights[1]`; a missing value goes left if `left`.
fn stump(feature: i64, at: f64, left: bool, weights: [f64; 2]) -> Value {
    json!({
        "left_children": [1, -1, -1], "right_children": [2, -1, -1], "split_indices": [feature, 0, 0],
        "split_conditions": [at, weights[0], weights[1]], "default_left": [i64::from(left), 0, 0], "split_type": [0, 0, 0],
        "tree_param": { "num_nodes": "3", "size_leaf_vector": "1" },
    })
}

fn model(objective: &str, base: &str, classes: usize, trees: &[Value]) -> Value {
    let groups = classes.max(1);
    json!({
        "learner": {
            "attributes": {}, "feature_names": [], "feature_types": [],
            "gradient_booster": {
                "model": {
                    "gbtree_model_param": { "num_trees": trees.len().to_string() },
                    "iteration_indptr": (0..=trees.len() / groups).map(|at| at * groups).collect::<Vec<_>>(),
                    "tree_info": (0..trees.len()).map(|at| at % groups).collect::<Vec<_>>(),
                    "trees": trees,
                },
                "name": "gbtree",
            },
            "learner_model_param": { "base_score": base, "num_class": classes.to_string(), "num_feature": "2", "num_target": "1" },
            "objective": { "name": objective },
        },
        "version": [3, 2, 0],
    })
}

/// A file of one tree.
pub(super) fn smallest() -> Value {
    model("reg:squarederror", "5E-1", 0, &[stump(0, 1.0, true, [1.0, 2.0])])
}

const ROWS: [f32; 8] = [0.0, 5.0, 1.0, 5.0, f32::NAN, 5.0, 0.0, f32::NAN];

/// All outputs, as numbers; the same of both formats.
fn answers(model: &Value) -> Vec<Vec<f64>> {
    let text = super::answers(&model.to_string(), &ROWS);
    assert_eq!(text, super::answers(&ubj(model), &ROWS));
    text
}

#[test]
fn regressors_give_a_variable() {
    // Below 1: 0 only; 1 is not below, and a missing value goes where it was told to.
    let trees = [stump(0, 1.0, true, [1.0, 2.0]), stump(1, 6.0, false, [10.0, 20.0])];
    let linear = model("reg:squarederror", "5E-1", 0, &trees);
    let engine = opened(linear.to_string().as_bytes()).unwrap();
    let spec = |spec: &modelyard_server::signature::TensorSpec| (spec.name.clone(), spec.datatype, spec.shape.clone());
    assert_eq!(spec(&engine.signature().inputs[0]), ("input".to_owned(), DataType::Fp32, vec![-1, 2]));
    assert_eq!(spec(&engine.signature().outputs[0]), ("variable".to_owned(), DataType::Fp32, vec![-1, 1]));
    let facts = engine.facts();
    assert_eq!((facts.platform, facts.engine, &*facts.producer), ("xgboost_json", "Trees", "XGBoost 3.2.0"));
    assert_eq!(answers(&linear), [[11.5, 12.5, 11.5, 21.5]]);
    let sums = [0.1, 0.2, 0.1, 0.3];
    let trees = [stump(0, 1.0, true, [0.1, 0.2]), stump(1, 6.0, false, [0.0, 0.2])];
    near(&answers(&model("count:poisson", "[2E0]", 0, &trees))[0], &sums.map(|sum: f64| 2.0 * sum.exp()));
    near(&answers(&model("reg:logistic", "5E-1", 0, &trees))[0], &sums.map(|sum: f64| 1.0 / (1.0 + (-sum).exp())));
}

#[test]
fn a_model_of_no_rounds_answers_its_base() {
    assert_eq!(answers(&model("reg:squarederror", "2.5", 0, &[])), [[2.5; 4]]);
    let [labels, probabilities] = &answers(&model("binary:logistic", "25E-2", 0, &[]))[..] else { panic!("two outputs") };
    near(labels, &[0.0; 4]);
    near(probabilities, &[0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25]);
    assert_eq!(answers(&model("multi:softprob", "[5E-1,5E-1,5E-1]", 3, &[]))[0], [0.0; 4]);
}

/// Its base is a sum, unlike that of `binary:logistic`.
#[test]
fn raw_scores_begin_with_the_base_as_it_is() {
    let tree = stump(0, 1.0, false, [-1.0, 1.0]);
    near(&answers(&model("binary:logitraw", "2E-1", 0, &[tree]))[0], &[-0.8, 1.2, 1.2, -0.8]);
}

#[test]
fn classifiers_give_labels_and_probabilities() {
    let trees = [stump(0, 1.0, false, [-1.0, 1.0])];
    let binary = answers(&model("binary:logistic", "5E-1", 0, &trees));
    let p = 1.0 / (1.0 + 1.0_f64.exp());
    near(&binary[0], &[0.0, 1.0, 1.0, 0.0]);
    near(&binary[1], &[1.0 - p, p, p, 1.0 - p, p, 1.0 - p, 1.0 - p, p]);
    let each = |weights: [f64; 2]| stump(0, 1.0, false, weights);
    let trees = [each([2.0, 0.0]), each([0.0, 2.0]), each([0.0, 0.0])];
    let multi = answers(&model("multi:softprob", "[0E0,0E0,0E0]", 3, &trees));
    near(&multi[0], &[0.0, 1.0, 1.0, 0.0]);
    let (sum, e) = (2.0_f64.exp() + 2.0, 2.0_f64.exp());
    near(&multi[1][..6], &[e / sum, 1.0 / sum, 1.0 / sum, 1.0 / sum, e / sum, 1.0 / sum]);
    let engine = opened(model("multi:softmax", "0", 3, &trees).to_string().as_bytes()).unwrap();
    assert_eq!(engine.facts().classes, ["0", "1", "2"]);
}

#[test]
fn what_training_left_in_the_file_is_honoured() {
    let trees = [stump(0, 1.0, false, [1.0, 2.0]), stump(0, 1.0, false, [10.0, 20.0]), stump(0, 1.0, false, [100.0, 200.0])];
    let mut stopped = model("reg:squarederror", "0", 0, &trees);
    stopped["learner"]["attributes"]["best_iteration"] = "1".into();
    assert_eq!(answers(&stopped), [[11.0, 22.0, 22.0, 11.0]]);
    let mut dart = model("reg:squarederror", "0", 0, &trees);
    let inner = dart["learner"]["gradient_booster"].take();
    dart["learner"]["gradient_booster"] = json!({ "gbtree": inner, "name": "dart", "weight_drop": [1.0, 0.5, 0.0] });
    assert_eq!(answers(&dart), [[6.0, 12.0, 12.0, 6.0]]);
    let mut categories = stump(0, 0.0, true, [1.0, 2.0]);
    categories["split_type"] = json!([1, 0, 0]);
    // Right are the categories of the set: 1. A missing value goes left.
    for (name, values) in
        [("categories", [1, 7]), ("categories_nodes", [0, 0]), ("categories_segments", [0, 0]), ("categories_sizes", [2, 0])]
    {
        categories[name] = values.as_slice().into();
    }
    assert_eq!(answers(&model("reg:squarederror", "0", 0, &[categories])), [[1.0, 2.0, 1.0, 1.0]]);
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    let good = model("reg:squarederror", "0", 0, &[stump(0, 1.0, false, [1.0, 2.0])]);
    let tree = "/learner/gradient_booster/model/trees/0";
    for (at, value, words) in [
        ("/learner/objective/name".to_owned(), json!("binary:hinge"), "objective 'binary:hinge' is not supported"),
        ("/learner/gradient_booster/name".to_owned(), json!("gblinear"), "booster 'gblinear'; expected gbtree or dart"),
        (
            "/learner/gradient_booster".to_owned(),
            json!({ "name": "gblinear", "model": { "boosted_rounds": "3", "weights": [0.5, 1.0, 2.0] } }),
            "booster 'gblinear'; expected gbtree or dart",
        ),
        (format!("{tree}/tree_param/size_leaf_vector"), json!("3"), "multi_output_tree"),
        ("/learner/learner_model_param/base_score".to_owned(), json!("half"), "base_score: 'half' is not a number"),
        ("/learner/learner_model_param/base_score".to_owned(), json!("[1,2]"), "base_score: 2 numbers; expected 1 or 1"),
        ("/learner/learner_model_param/num_class".to_owned(), json!("9999999999"), "num_class: 9999999999; expected 1 to 65536"),
        ("/learner/learner_model_param/num_feature".to_owned(), json!("0"), "tree 0, node 0: split_indices: 0; expected"),
        ("/learner/attributes".to_owned(), json!({ "best_iteration": "9" }), "best_iteration: 9; iteration_indptr has 2 entries"),
        ("/learner/gradient_booster/model".to_owned(), json!({ "weights": [1.0] }), "missing field `trees` of gbtree"),
        ("/learner/gradient_booster".to_owned(), json!({ "name": "gbtree" }), "gbtree: its model is missing"),
        ("/learner/gradient_booster/model/tree_info".to_owned(), json!([4]), "tree 0: tree_info: expected 0 to 0"),
        (
            format!("{tree}/left_children"),
            json!([0, -1, -1]),
            "tree 0, node 0: left_children and right_children: leads to node 0",
        ),
        (
            format!("{tree}/left_children"),
            json!([9, -1, -1]),
            "tree 0, node 0: left_children and right_children: 9; the tree has 3 nodes",
        ),
        (format!("{tree}/right_children"), json!([-4, -1, -1]), "tree 0, node 0: right_children: -4"),
        (format!("{tree}/split_indices"), json!([2, 0, 0]), "tree 0, node 0: split_indices: 2; expected 0 to 1"),
        (format!("{tree}/split_conditions"), json!([2.5]), "tree 0, split_conditions: 1 entries; expected 3"),
        (format!("{tree}/split_type"), json!([1, 0, 0]), "tree 0, node 0: categories: the node has none"),
        ("/version".to_owned(), json!([9, 1, 0]), "a file of XGBoost 9.1.0; expected 3 or older"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(&at).unwrap() = value;
        for raw in [bad.to_string().into_bytes(), ubj(&bad)] {
            let said = opened(&raw).err().unwrap_or_else(|| panic!("{at} was loaded"));
            assert!(said.contains(words), "{at}: {said}");
        }
    }
}

#[test]
fn damaged_bytes_are_refused() {
    let good = ubj(&model("reg:squarederror", "0", 0, &[stump(0, 1.0, false, [1.0, 2.0])]));
    assert!(opened(&good).is_ok());
    for end in (1..good.len()).step_by(7) {
        assert!(opened(&good[..end]).is_err(), "{end}");
    }
    let said = opened(&[&good[..], b"Z"].concat()).err().unwrap();
    assert!(said.contains("1 bytes follow the value"), "{said}");
    // Lengths that are not there, and depths that would overflow a stack.
    let key = b"{L\0\0\0\0\0\0\0\x07learner{";
    let huge = [&key[..], b"L\x7f\xff\xff\xff\xff\xff\xff\xff"].concat();
    let many = [&key[..], b"L\0\0\0\0\0\0\0\x01a[$Z#L\0\0\0\x7f\0\0\0\0"].concat();
    let deep = [&key[..], b"L\0\0\0\0\0\0\0\x01a".as_slice(), &b"[".repeat(100_000)].concat();
    for (raw, words) in [(huge, "cut short"), (many, "more elements than bytes"), (deep, "nested deeper than 32")] {
        let said = opened(&raw).err().unwrap();
        assert!(said.contains(words), "{said}");
    }
    let said = opened(b"{\"learner\": [}").err().unwrap();
    assert!(said.contains("not a model of XGBoost's"), "{said}");
    let said = opened(b"\x1f\x8b\x08\0\0\0\0\0").err().unwrap();
    assert!(said.contains("is compressed with gzip"), "{said}");
}
