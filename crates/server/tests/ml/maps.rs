//! Maps that enter a graph: rows that are no maps, files whose maps are not what the operator reads, and maps among other inputs.

use bytes::Bytes;
use modelyard_server::engine::{Engine, RunError, load};
use modelyard_wire::{DataType, Tensor};
use prost::Message;
use tract_onnx::pb::{AttributeProto, NodeProto};

use super::graphs::{FLOAT, INT64, STRING, graph_of, integers, model_of, node, number, port, text, texts, with};
use super::stop;

/// The bytes of a field of a message, which protobuf lets follow those of the rest.
fn field(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).ok().filter(|length| *length < 128).unwrap();
    [&[tag << 3 | 2, length], value].concat()
}

/// A model of these nodes, with an input of tensors where `kind` is given, and the map `m`.
fn opened(nodes: Vec<NodeProto>, keys: i32, values: i32) -> Result<Box<dyn Engine>, String> {
    let outputs = nodes.last().unwrap().output.iter().map(|name| port(name, 0, &[-1, -2])).collect::<Vec<_>>();
    let outputs = outputs.into_iter().map(|port| tract_onnx::pb::ValueInfoProto { r#type: None, ..port }).collect();
    let inputs =
        if nodes.iter().any(|node| node.input.contains(&"x".to_owned())) { vec![port("x", FLOAT, &[-1, 2])] } else { vec![] };
    let (keys, values) = (u8::try_from(keys).unwrap(), u8::try_from(values).unwrap());
    // TypeProto.map_type, whose value_type is a tensor of one element.
    let kind = field(5, &[&[8, keys][..], &field(2, &field(1, &[8, values]))].concat());
    let input = field(11, &[field(1, b"m"), field(2, &kind)].concat());
    let mut model = model_of(graph_of(nodes, inputs, outputs)).encode_to_vec();
    model.extend(field(7, &input));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model).unwrap();
    load(&path).map_err(|error| error.to_string())
}

fn vectorizer(input: &str) -> NodeProto {
    with(node("ai.onnx.ml:DictVectorizer", &[input], &["y"]), "string_vocabulary", texts(&["a", "b"]))
}

fn rows(rows: &[&str]) -> Tensor {
    Tensor::strings(vec![rows.len()], rows.iter().map(|row| Bytes::copy_from_slice(row.as_bytes())).collect()).unwrap()
}

#[test]
fn files_whose_maps_are_not_what_the_operator_reads() {
    let cast = |attributes: &[(&str, AttributeProto)]| {
        attributes.iter().fold(node("ai.onnx.ml:CastMap", &["m"], &["y"]), |node, (name, value)| with(node, name, value.clone()))
    };
    let bare = node("ai.onnx.ml:DictVectorizer", &["m"], &["y"]);
    let both = with(vectorizer("m"), "int64_vocabulary", integers(&[1]));
    for (nodes, keys, values, said) in [
        (vec![vectorizer("m")], INT64, FLOAT, "'y': its maps have keys of INT64; expected STRING"),
        (vec![vectorizer("m")], STRING, STRING, "its maps have values of STRING; expected FLOAT or DOUBLE or INT64"),
        (vec![bare], STRING, FLOAT, "neither string_vocabulary nor int64_vocabulary is given"),
        (vec![both], STRING, FLOAT, "string_vocabulary and int64_vocabulary are both given"),
        (vec![vectorizer("x")], STRING, FLOAT, "it reads what is no map among the model's inputs"),
        (vec![node("Identity", &["m"], &["n"]), vectorizer("m")], STRING, FLOAT, "input 'm': it is not a tensor"),
        (vec![cast(&[])], STRING, FLOAT, "its maps have keys of STRING; expected INT64"),
        (vec![cast(&[])], INT64, INT64, "its maps have values of INT64; expected FLOAT or STRING"),
        (
            vec![cast(&[("cast_to", text("TO_DOUBLE"))])],
            INT64,
            FLOAT,
            "cast_to is 'TO_DOUBLE'; expected TO_FLOAT, TO_INT64 or TO_STRING",
        ),
        (vec![cast(&[("map_form", text("THIN"))])], INT64, FLOAT, "map_form is 'THIN'; expected DENSE or SPARSE"),
        (vec![cast(&[("map_form", text("SPARSE")), ("max_map", number(1 << 40))])], INT64, FLOAT, "max_map is 1099511627776"),
        (vec![cast(&[("map_form", text("SPARSE")), ("max_map", number(0))])], INT64, FLOAT, "max_map is 0; expected 1 to"),
    ] {
        let found = opened(nodes, keys, values).err().unwrap_or_else(|| panic!("loaded; expected {said}"));
        assert!(found.contains(said), "{found}\nexpected: {said}");
    }
}

/// The attribute that tells the maps' datatypes is ours: one that a file brings is not believed.
#[test]
fn a_file_cannot_say_what_its_maps_are() {
    let forged = with(with(vectorizer("x"), "modelyard_map_keys", number(8)), "modelyard_map_values", number(1));
    let said = opened(vec![forged], STRING, FLOAT).err().unwrap();
    assert!(said.contains("it reads what is no map among the model's inputs"), "{said}");
}

#[test]
fn rows_that_are_no_maps() {
    let engine = opened(vec![vectorizer("m")], STRING, FLOAT).unwrap();
    let spec = &engine.signature().inputs[0];
    assert_eq!(
        (spec.name.as_str(), spec.datatype, spec.shape.as_slice(), engine.signature().batched),
        ("m", DataType::Bytes, &[-1][..], true)
    );
    for (row, said) in [
        ("[1]", "row 1 is \"[1]\"; expected a JSON object, {\"key\": value}"),
        ("{\"a\": 1", "row 1 is \"{\\\"a\\\": 1\"; expected a JSON object"),
        ("{\"a\": \"one\"}", "row 1: the value of \"a\" is \"one\"; expected a number, or null for NaN"),
        ("{\"b\": [1]}", "row 1: the value of \"b\" is [1]; expected a number"),
    ] {
        let Err(RunError::InvalidData(found)) = engine.run(&[rows(&["{}", row])], &stop()) else { panic!("{row} was taken") };
        assert!(found.contains(said), "{found}\nexpected: {said}");
    }
    let answer = engine.run(&[rows(&["", "{\"b\": null, \"c\": \"any\"}", "{\"a\": 1, \"a\": 2}"])], &stop()).unwrap();
    let found = answer[0].to_f64().unwrap();
    assert!(found[3].is_nan() && found[..3] == [0.0; 3] && found[4..] == [2.0, 0.0], "{found:?}");
}

#[test]
fn keys_and_widths_of_a_cast_map() {
    let sparse = with(node("ai.onnx.ml:CastMap", &["m"], &["y"]), "map_form", text("SPARSE"));
    let sparse = opened(vec![with(sparse, "max_map", number(3))], INT64, FLOAT).unwrap();
    let dense = opened(vec![node("ai.onnx.ml:CastMap", &["m"], &["y"])], INT64, STRING).unwrap();
    for (engine, row, said) in [
        (&sparse, "{\"-1\": 2}", "row 1: the key -1 is below 0"),
        (&sparse, "{\"one\": 2}", "row 1: the key \"one\" is not an integer of 64 bits"),
        (&dense, "{\"1\": \"2\", \"2\": \"3\"}", "row 1 has 2 keys, row 0 has 0: a dense CastMap needs as many in each"),
    ] {
        let Err(RunError::InvalidData(found)) = engine.run(&[rows(&["{}", row])], &stop()) else { panic!("{row} was taken") };
        assert!(found.contains(said), "{found}\nexpected: {said}");
    }
    let Err(RunError::InvalidData(found)) = dense.run(&[rows(&["{\"1\": \"x\"}"])], &stop()) else { panic!("x was taken") };
    assert!(found.contains("row 0: the value of \"1\" is \"x\"; expected a number"), "{found}");
}

/// Beside a tensor the map's rows are the tensor's.
#[test]
fn a_map_beside_a_tensor() {
    let joined = with(node("Concat", &["x", "y"], &["z"]), "axis", number(1));
    let engine = opened(vec![vectorizer("m"), joined], STRING, FLOAT).unwrap();
    assert!(engine.signature().batched, "{:?}", engine.signature());
    let names: Vec<&str> = engine.signature().inputs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["x", "m"]);
    let x = Tensor::from_f32(vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let answer = engine.run(&[x, rows(&["{\"a\": 5}", "{\"b\": 6}"])], &stop()).unwrap();
    assert_eq!(answer, [Tensor::from_f32(vec![2, 4], &[1.0, 2.0, 5.0, 0.0, 3.0, 4.0, 0.0, 6.0]).unwrap()]);
}
