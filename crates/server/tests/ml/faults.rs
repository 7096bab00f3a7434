//! Files and data that are wrong, one attribute or element at a time.

use bytes::Bytes;
use modelyard_server::engine::RunError;
use modelyard_wire::{DataType, Tensor};
use tract_onnx::pb::{AttributeProto, TensorProto};

use super::graphs::{FLOAT, INT64, float, graph_of, model_of, node, number, opened, port, text, with};
use super::stop;

const STRING: i32 = 8;

fn floats(values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), r#type: 6, ..AttributeProto::default() }
}

fn ints(values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), r#type: 7, ..AttributeProto::default() }
}

fn texts(values: &[&str]) -> AttributeProto {
    AttributeProto { strings: values.iter().map(|one| one.as_bytes().to_vec()).collect(), r#type: 8, ..AttributeProto::default() }
}

fn tensor(data_type: i32, dims: &[i64], raw_data: Vec<u8>) -> AttributeProto {
    let tensor = TensorProto { data_type, dims: dims.to_vec(), raw_data, ..TensorProto::default() };
    AttributeProto { t: Some(tensor), r#type: 4, ..AttributeProto::default() }
}

/// What loading says of one node with these attributes; its inputs are as the operator wants them.
fn said(operator: &str, attributes: &[(&str, AttributeProto)]) -> String {
    let bare = operator.rsplit(':').next().unwrap();
    let words = ["StringNormalizer", "TfIdfVectorizer", "StringSplit", "RegexFullMatch", "Tokenizer"].contains(&bare);
    let outputs: &[&str] = match bare {
        "LinearClassifier" | "SVMClassifier" | "StringSplit" => &["y", "z"],
        _ => &["y"],
    };
    let whole = attributes.iter().fold(node(operator, &["x"], outputs), |node, (name, value)| with(node, name, value.clone()));
    let kind = if words { STRING } else { FLOAT };
    let ports = outputs.iter().map(|name| port(name, kind, &[-1])).collect();
    let model = model_of(graph_of(vec![whole], vec![port("x", kind, &[-1, 4])], ports));
    opened(&model).err().unwrap_or_else(|| panic!("{operator} was loaded"))
}

/// An operator, its attributes, and what the refusal must say.
type Fault<'a> = (&'a str, Vec<(&'a str, AttributeProto)>, &'a [&'a str]);

fn check(faults: Vec<Fault<'_>>) {
    for (operator, attributes, words) in faults {
        let found = said(operator, &attributes);
        // The lint names the node, and so does tract's analysis.
        let bare = operator.rsplit(':').next().unwrap();
        assert!(found.contains(&format!("{bare} 'y'")) || found.contains("node #1 \"y\""), "{operator}: {found}");
        words.iter().for_each(|word| assert!(found.contains(word), "{operator}: {found}\nexpected: {word}"));
    }
}

#[test]
fn columns() {
    let scaler = "ai.onnx.ml:Scaler";
    let (imputer, nan) = ("ai.onnx.ml:Imputer", f32::NAN);
    check(vec![
        (scaler, vec![], &["offset and scale have 0 and 0 values"]),
        (scaler, vec![("offset", floats(&[1.0])), ("scale", floats(&[1.0, 2.0]))], &["have 1 and 2 values; expected as many"]),
        (scaler, vec![("offset", ints(&[1]))], &["attribute offset is of type INTS; expected FLOATS"]),
        (scaler, vec![("offset", floats(&[1.0; 3]))], &["the input has 4 columns; offset and scale have 3 values"]),
        ("ai.onnx.ml:Normalizer", vec![("norm", text("L3"))], &["attribute norm is 'L3'; expected MAX, L1 or L2"]),
        (imputer, vec![], &["neither imputed_value_floats nor imputed_value_int64s has a value"]),
        (imputer, vec![("imputed_value_floats", floats(&[]))], &["neither imputed_value_floats nor"]),
        (
            imputer,
            vec![("imputed_value_floats", floats(&[1.0; 3])), ("replaced_value_float", float(nan))],
            &["has 4 columns; imputed_value_* has 3 values"],
        ),
        (imputer, vec![("imputed_value_floats", floats(&[1.0])), ("imputed_value_int64s", ints(&[1]))], &["are both given"]),
        (imputer, vec![("imputed_value_int64s", ints(&[1]))], &["the input is F32, which the imputed values are not"]),
        ("ai.onnx.ml:Binarizer", vec![("threshold", text("high"))], &["attribute threshold is of type STRING; expected FLOAT"]),
        ("ai.onnx.ml:ArrayFeatureExtractor", vec![], &["it has 1 inputs; expected two"]),
        ("ai.onnx.ml:FeatureVectorizer", vec![], &["inputdimensions has 0 values; expected one for each of the 1 inputs"]),
        (
            "ai.onnx.ml:FeatureVectorizer",
            vec![("inputdimensions", ints(&[1 << 40]))],
            &["inputdimensions holds 1099511627776; expected 0 to"],
        ),
        ("ai.onnx.ml:FeatureVectorizer", vec![("inputdimensions", ints(&[-1]))], &["inputdimensions holds -1"]),
    ]);
}

#[test]
fn linear_models() {
    let (classifier, regressor) = ("ai.onnx.ml:LinearClassifier", "ai.onnx.ml:LinearRegressor");
    let two = || ("classlabels_ints", ints(&[0, 1]));
    check(vec![
        (classifier, vec![("coefficients", floats(&[1.0; 8]))], &["neither classlabels_ints nor classlabels_strings is given"]),
        (
            classifier,
            vec![("classlabels_ints", ints(&[]))],
            &["the list of labels (classlabels_ints or classlabels_strings) is empty"],
        ),
        (
            classifier,
            vec![two(), ("classlabels_strings", texts(&["a"]))],
            &["classlabels_ints and classlabels_strings are both given"],
        ),
        (classifier, vec![two()], &["coefficients has 0 values; expected a multiple of 2"]),
        (
            classifier,
            vec![two(), ("coefficients", floats(&[1.0; 8])), ("intercepts", floats(&[1.0; 3]))],
            &["intercepts has 3 values for 2 classes"],
        ),
        (classifier, vec![two(), ("coefficients", floats(&[1.0; 6]))], &["the input has 4 columns; the model has 3 features"]),
        (
            classifier,
            vec![two(), ("coefficients", floats(&[1.0; 8])), ("post_transform", text("TANH"))],
            &["post_transform is 'TANH'; expected NONE"],
        ),
        (classifier, vec![two(), ("multi_class", number(2))], &["attribute multi_class is 2; expected 0 or 1"]),
        (
            classifier,
            vec![("classlabels_strings", AttributeProto { strings: vec![vec![0xff]], r#type: 8, ..AttributeProto::default() })],
            &["classlabels_strings: element 0 is not UTF-8"],
        ),
        (regressor, vec![("targets", number(0))], &["attribute targets is 0; expected 1 to"]),
        (regressor, vec![("targets", number(1 << 40))], &["attribute targets is 1099511627776"]),
        (
            regressor,
            vec![("coefficients", floats(&[1.0; 7])), ("targets", number(2))],
            &["coefficients has 7 values; expected a multiple of 2"],
        ),
        (
            regressor,
            vec![("coefficients", floats(&[1.0; 8])), ("targets", number(2)), ("intercepts", floats(&[1.0]))],
            &["intercepts has 1 values; expected 2 or none"],
        ),
    ]);
}

#[test]
fn support_vector_machines() {
    let (classifier, regressor) = ("ai.onnx.ml:SVMClassifier", "ai.onnx.ml:SVMRegressor");
    let sound = [
        ("classlabels_ints", ints(&[0, 1])),
        ("vectors_per_class", ints(&[1, 1])),
        ("support_vectors", floats(&[1.0; 8])),
        ("coefficients", floats(&[1.0, -1.0])),
        ("rho", floats(&[0.0])),
    ];
    let but = |name: &'static str, value: AttributeProto| {
        let others = sound.iter().filter(|(other, _)| *other != name).cloned();
        others.chain([(name, value)]).collect::<Vec<_>>()
    };
    check(vec![
        (
            classifier,
            but("vectors_per_class", ints(&[1])),
            &["vectors_per_class has 1 values; expected one for each of the 2 classes"],
        ),
        (classifier, but("vectors_per_class", ints(&[1, -1])), &["vectors_per_class: element 1 is -1"]),
        (classifier, but("vectors_per_class", ints(&[i64::MAX, i64::MAX])), &["vectors"]),
        (classifier, but("vectors_per_class", ints(&[0, 0])), &["support_vectors has 8 values; expected a multiple of 0"]),
        (classifier, but("support_vectors", floats(&[1.0; 7])), &["support_vectors has 7 values; expected a multiple of 2"]),
        (classifier, but("support_vectors", floats(&[1.0; 6])), &["the input has 4 columns; the model has 3 features"]),
        (classifier, but("coefficients", floats(&[1.0])), &["coefficients has 1 values; expected 2"]),
        (classifier, but("rho", floats(&[])), &["rho has 0 values; expected 1"]),
        (classifier, but("prob_a", floats(&[1.0])), &["prob_a and prob_b have 1 and 0 values"]),
        (classifier, but("prob_a", floats(&[1.0; 3])), &["prob_a has 3 values; expected 1"]),
        (classifier, but("kernel_type", text("COSINE")), &["kernel_type is 'COSINE'; expected LINEAR, POLY, RBF or SIGMOID"]),
        (classifier, but("kernel_params", floats(&[1.0])), &["kernel_params has 1 values; expected gamma, coef0 and degree"]),
        (classifier, but("classlabels_ints", ints(&[0])), &["vectors_per_class has 2 values"]),
        (regressor, vec![("coefficients", floats(&[1.0; 4]))], &["rho has 0 values; expected one"]),
        (regressor, vec![("rho", floats(&[0.0]))], &["coefficients has 0 values"]),
        (regressor, vec![("rho", floats(&[0.0])), ("n_supports", number(-1))], &["n_supports is negative"]),
        (
            regressor,
            vec![("rho", floats(&[0.0])), ("n_supports", number(2)), ("coefficients", floats(&[1.0; 3]))],
            &["coefficients has 3 values; expected n_supports, which is 2"],
        ),
        (
            regressor,
            vec![
                ("rho", floats(&[0.0])),
                ("n_supports", number(2)),
                ("coefficients", floats(&[1.0; 2])),
                ("support_vectors", floats(&[1.0; 5])),
            ],
            &["support_vectors has 5 values"],
        ),
        (
            regressor,
            vec![("rho", floats(&[0.0])), ("coefficients", floats(&[1.0; 4])), ("one_class", number(7))],
            &["one_class is 7; expected 0 or 1"],
        ),
    ]);
}

#[test]
fn encoders() {
    let (hot, label, mapper) = ("ai.onnx.ml:OneHotEncoder", "ai.onnx.ml:LabelEncoder", "ai.onnx.ml:CategoryMapper");
    let keys = || ("keys_floats", floats(&[1.0]));
    check(vec![
        (hot, vec![], &["neither cats_int64s nor cats_strings has a category"]),
        (hot, vec![("cats_int64s", ints(&[1])), ("cats_strings", texts(&["a"]))], &["are both given"]),
        (hot, vec![("cats_strings", texts(&["a"]))], &["the input is F32; expected strings, as the keys are"]),
        (label, vec![], &["none of keys_strings, keys_int64s, keys_floats, keys_tensor is given"]),
        (label, vec![keys()], &["none of values_strings, values_int64s, values_floats, values_tensor is given"]),
        (label, vec![keys(), ("values_int64s", ints(&[1, 2]))], &["there are 1 keys and 2 values"]),
        (label, vec![keys(), ("keys_int64s", ints(&[1]))], &["keys_int64s and keys_floats are both given"]),
        (label, vec![("classes_strings", texts(&[]))], &["there are 0 keys and 0 values"]),
        (
            label,
            vec![keys(), ("values_int64s", ints(&[1])), ("default_tensor", tensor(1, &[1], vec![0; 4]))],
            &["the default is not one value of the values' type"],
        ),
        (
            label,
            vec![keys(), ("values_tensor", tensor(1, &[1], vec![0; 7]))],
            &["attribute values_tensor: its shape [1] needs 1 values"],
        ),
        (
            label,
            vec![keys(), ("values_tensor", tensor(1, &[1 << 62, 4], vec![0; 4]))],
            &["values_tensor: a tensor of FLOAT and shape"],
        ),
        (label, vec![keys(), ("values_tensor", tensor(16, &[1], vec![0; 2]))], &["values_tensor: a tensor of BFLOAT16"]),
        (label, vec![("keys_strings", texts(&["a"])), ("values_int64s", ints(&[1]))], &["expected strings, as the keys are"]),
        (mapper, vec![("cats_strings", texts(&["a"]))], &["cats_strings and cats_int64s have 1 and 0 values"]),
        (mapper, vec![], &["have 0 and 0 values; expected as many, at least one"]),
    ]);
}

#[test]
fn texts_and_patterns() {
    let (tf, tokens) = ("TfIdfVectorizer", "com.microsoft:Tokenizer");
    let sound = [
        ("mode", text("TF")),
        ("min_gram_length", number(1)),
        ("max_gram_length", number(1)),
        ("max_skip_count", number(0)),
        ("ngram_counts", ints(&[0])),
        ("ngram_indexes", ints(&[0, 1])),
        ("pool_strings", texts(&["a", "b"])),
    ];
    let but = |name: &'static str, value: AttributeProto| {
        let others = sound.iter().filter(|(other, _)| *other != name).cloned();
        others.chain([(name, value)]).collect::<Vec<_>>()
    };
    check(vec![
        (
            "StringNormalizer",
            vec![("case_change_action", text("TITLE"))],
            &["case_change_action is 'TITLE'; expected NONE, LOWER or UPPER"],
        ),
        ("StringNormalizer", vec![("is_case_sensitive", number(3))], &["is_case_sensitive is 3"]),
        (tf, but("mode", text("BM25")), &["mode is 'BM25'; expected TF, IDF or TFIDF"]),
        (tf, but("min_gram_length", number(0)), &["min_gram_length is 0; expected 1 to 64"]),
        (tf, but("max_gram_length", number(0)), &["max_gram_length is 0; expected 1 to 64"]),
        (tf, but("max_skip_count", number(1 << 40)), &["max_skip_count is 1099511627776"]),
        (tf, but("ngram_counts", ints(&[])), &["ngram_counts has 0 values; expected 1"]),
        (tf, but("ngram_counts", ints(&[-4])), &["ngram_counts: -4 to 2 holds no 1-grams of the pool of 2"]),
        (tf, but("ngram_counts", ints(&[0, 1])), &["ngram_counts: 1 to 2 holds no 2-grams"]),
        (tf, but("ngram_indexes", ints(&[])), &["ngram_indexes is empty"]),
        (tf, but("ngram_indexes", ints(&[0])), &["ngram_indexes has 1 values; the pool holds more n-grams"]),
        (tf, but("ngram_indexes", ints(&[0, i64::MAX])), &["ngram_indexes holds 9223372036854775807; expected 0 to"]),
        (tf, but("ngram_indexes", ints(&[0, -1])), &["ngram_indexes holds -1"]),
        (tf, but("pool_strings", texts(&["a", "a"])), &["the pool holds n-gram 1 twice"]),
        (tf, but("pool_int64s", ints(&[1])), &["pool_strings and pool_int64s are both given"]),
        (tf, but("weights", floats(&[1.0])), &["weights has 1 values; the pool holds 2 n-grams"]),
        (tokens, vec![], &["neither tokenexp nor separators is given"]),
        (tokens, vec![("tokenexp", text("("))], &["attribute tokenexp: '(' is not a regular expression"]),
        (
            tokens,
            vec![("tokenexp", text("a")), ("pad_value", text(&"#".repeat(65_537)))],
            &["attribute pad_value has 65537 bytes"],
        ),
        (tokens, vec![("separators", texts(&[]))], &["attribute separators is empty"]),
        (tokens, vec![("tokenexp", text("a")), ("mincharnum", number(0))], &["mincharnum is 0; expected 1 to"]),
        ("RegexFullMatch", vec![("pattern", text("a)(b"))], &["attribute pattern: 'a)(b' is not a regular expression"]),
        ("RegexFullMatch", vec![("pattern", text("(a{1000}){1000}"))], &["attribute pattern"]),
        ("StringSplit", vec![("maxsplit", number(-2))], &["maxsplit is -2"]),
        ("StringConcat", vec![], &["it has 1 inputs; expected two"]),
        ("Cast", vec![("to", number(99))], &["datatype"]),
    ]);
}

#[test]
fn hashes() {
    let hash = "com.microsoft:MurmurHash3";
    check(vec![
        (hash, vec![("seed", number(-1))], &["attribute seed is -1; expected 0 to 4294967295"]),
        (hash, vec![("positive", number(2))], &["attribute positive is 2"]),
    ]);
}

/// What an answer to data says, for a node of two inputs where `second` is given.
fn answered(node: tract_onnx::pb::NodeProto, (kind, shape): (i32, &[i64]), input: Tensor, second: Option<Tensor>) -> String {
    let mut inputs = vec![port("x", kind, shape)];
    if second.is_some() {
        inputs.push(port("at", INT64, &[-1]));
    }
    let engine = opened(&model_of(graph_of(vec![node], inputs, vec![port("y", kind, &[-1])]))).unwrap();
    let given: Vec<Tensor> = [Some(input), second].into_iter().flatten().collect();
    match engine.run(&given, &stop()) {
        Err(RunError::InvalidData(said)) => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_that_cannot_be_computed_with() {
    let words = |words: &[&str]| {
        Tensor::strings(vec![words.len()], words.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()).unwrap()
    };
    let hot = with(with(node("ai.onnx.ml:OneHotEncoder", &["x"], &["y"]), "cats_strings", texts(&["a"])), "zeros", number(0));
    let text = answered(hot, (STRING, &[-1]), words(&["a", "z"]), None);
    assert!(text.contains("element 1 is none of the 1 categories (in OneHotEncoder 'y')"), "{text}");
    let table = Tensor::from_f32(vec![2, 3], &[0.0; 6]).unwrap();
    for (at, said) in [(3, "column 3 is asked for; the values have 3"), (-4, "column -4 is asked for")] {
        let node = node("ai.onnx.ml:ArrayFeatureExtractor", &["x", "at"], &["y"]);
        let text = answered(node, (FLOAT, &[-1, 3]), table.clone(), Some(Tensor::from_i64(vec![1], &[at]).unwrap()));
        assert!(text.contains(said), "{text}");
    }
    let nan = Tensor::from_f32(vec![1, 2], &[0.0, f32::NAN]).unwrap();
    let text = answered(node("ai.onnx.ml:Binarizer", &["x"], &["y"]), (FLOAT, &[-1, 2]), nan, None);
    assert!(text.contains("element 1 is NaN"), "{text}");
    let cast = with(node("Cast", &["x"], &["y"]), "to", number(1));
    let text = answered(cast, (STRING, &[-1]), words(&["1", "one"]), None);
    assert!(text.contains("element 1 is \"one\"; expected a number"), "{text}");
    assert_eq!(table.datatype(), DataType::Fp32);
}
