//! Networks that tract answers wrongly or not at all, and what is done before it sees them: answers against ONNX Runtime's (reference.py
//! writes them), and what is said of files and data that are wrong.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use base64::Engine as _;
use graphs::{FLOAT, INT64, graph_of, integer, model_of, node, number, opened, port, single, text, texts, weights, with};
use modelyard_server::engine::{RunError, Stop, load, prove};
use modelyard_wire::Tensor;
use serde_json::Value;
use tract_onnx::pb::{FunctionProto, ModelProto, NodeProto, OperatorSetIdProto};

#[path = "../graphs/mod.rs"]
mod graphs;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn stop() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(60))
}

fn decoded(case: &Value) -> Vec<u8> {
    base64::prelude::BASE64_STANDARD.decode(case["model"].as_str().unwrap()).unwrap()
}

/// Every case, as a model with its sample: what differs is listed. Run twice: nothing of the first run may be left in the second.
#[test]
fn answers_are_onnx_runtimes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut wrong = Vec::new();
    for case in cases() {
        std::fs::write(&path, decoded(&case)).unwrap();
        std::fs::write(folder.path().join("sample.json"), case["sample"].to_string()).unwrap();
        let said = match load(&path) {
            Err(error) => error.to_string(),
            Ok(engine) => match (prove(&*engine, folder.path()), prove(&*engine, folder.path())) {
                (Ok(Some(_)), Ok(Some(_))) => continue,
                other => format!("{other:?}"),
            },
        };
        wrong.push(format!("{}: {said}", case["name"]));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases().len(), wrong.join("\n"));
}

/// Changed files load and run or are refused, in bounded time; nothing aborts.
#[test]
fn changed_bytes_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let end = Instant::now() + Duration::from_secs(20);
    let mut dice = 11_u64;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % sides
    };
    let (mut changed, mut loaded) = (0, 0);
    for case in cases() {
        let good = decoded(&case);
        std::fs::write(folder.path().join("sample.json"), case["sample"].to_string()).unwrap();
        for _ in 0..3 {
            let mut bytes = good.clone();
            for _ in 0..=roll(3) {
                let at = roll(bytes.len());
                bytes[at] = roll(256) as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
            changed += 1;
            if let Ok(engine) = load(&path) {
                loaded += 1;
                drop(prove(&*engine, folder.path()));
            }
        }
        if Instant::now() > end {
            break;
        }
    }
    assert!(changed > 60 && loaded > 20, "{loaded} of {changed} loaded");
}

#[track_caller]
fn refused(model: &ModelProto, words: &[&str]) {
    let said = opened(model).err().expect("the model was loaded");
    words.iter().for_each(|word| assert!(said.contains(word), "{said}\nexpected: {word}"));
}

#[test]
fn attributes_are_checked() {
    let three = &["x", "x", "x"];
    refused(
        &single(with(node("LSTM", three, &["y"]), "direction", text("sideways"))),
        &["LSTM 'y': attribute direction is 'sideways'"],
    );
    refused(
        &single(with(node("RNN", three, &["y"]), "activations", texts(&["Cosine"]))),
        &["RNN 'y': activation 'Cosine' is unknown"],
    );
    refused(&single(with(node("GRU", three, &["y"]), "activations", texts(&["Tanh"]))), &["has 1 names; expected 2"]);
    let affine = with(node("RNN", three, &["y"]), "activations", texts(&["Affine"]));
    refused(&single(affine), &["a value of activation_alpha is not given"]);
    refused(
        &single(with(node("SpaceToDepth", &["x"], &["y"]), "blocksize", number(0))),
        &["attribute blocksize is 0; expected 1 to"],
    );
    refused(&single(node("BitShift", &["x", "x"], &["y"])), &["BitShift 'y': attribute direction is ''; expected LEFT or RIGHT"]);
    let attention = |name: &str, value| single(with(node("Attention", three, &["y"]), name, value));
    refused(&attention("left_window_size", number(-2)), &["attribute left_window_size is -2; expected -1 or more"]);
    refused(&attention("q_num_heads", number(2)), &["expected both or neither"]);
    refused(&attention("qk_matmul_output_mode", number(9)), &["attribute qk_matmul_output_mode is 9; expected 0 to 3"]);
}

/// A function of the file's own.
fn function(name: &str, body: Vec<NodeProto>) -> FunctionProto {
    let names = |name: &str| vec![name.to_owned()];
    let set = OperatorSetIdProto { domain: String::new(), version: 18 };
    let (name, domain) = (Some(name.to_owned()), Some("org.example".to_owned()));
    FunctionProto {
        name,
        domain,
        input: names("a"),
        output: names("b"),
        node: body,
        opset_import: vec![set],
        ..FunctionProto::default()
    }
}

fn calls(name: &str) -> NodeProto {
    node(&format!("org.example:{name}"), &["x"], &["y"])
}

fn with_functions(functions: Vec<FunctionProto>) -> ModelProto {
    ModelProto { functions, ..single(calls("First")) }
}

fn inner(name: &str) -> NodeProto {
    node(&format!("org.example:{name}"), &["a"], &["b"])
}

#[test]
fn functions_are_bounded() {
    let itself = with_functions(vec![function("First", vec![inner("First")])]);
    refused(&itself, &["function 'org.example.First' calls itself"]);
    let circle = vec![function("First", vec![inner("Second")]), function("Second", vec![inner("First")])];
    refused(&with_functions(circle), &["calls itself"]);
    // Each calls the next ten times: a million nodes from a few.
    let tenfold = |at: usize| {
        let name = |at: usize| if at == 0 { "First".to_owned() } else { format!("F{at}") };
        let mut body: Vec<_> =
            (0..9).map(|call| node(&format!("org.example:{}", name(at + 1)), &["a"], &[&format!("t{call}")])).collect();
        body.push(inner(&name(at + 1)));
        function(&name(at), body)
    };
    let mut bomb: Vec<_> = (0..7).map(tenfold).collect();
    bomb.push(function("F7", vec![node("Neg", &["a"], &["b"])]));
    refused(&with_functions(bomb), &["come to more than 200000 nodes"]);
    let twice = vec![function("First", vec![node("Neg", &["a"], &["b"])]), function("First", vec![node("Abs", &["a"], &["b"])])];
    refused(&with_functions(twice), &["function 'org.example.First' is defined more than once"]);
    let mut newer = function("First", vec![node("Neg", &["a"], &["b"])]);
    newer.opset_import[0].version = 21;
    refused(&with_functions(vec![newer]), &["is written for version 21 of ai.onnx, the model for 18"]);
    let mut crowded = with_functions(vec![function("First", vec![node("Neg", &["a"], &["b"])])]);
    crowded.graph.as_mut().unwrap().node[0].input.push("x".to_owned());
    refused(&crowded, &["calls function 'org.example.First' with 2 inputs"]);
    let mut broken = with_functions(vec![function("First", vec![node("Neg", &["nowhere"], &["b"])])]);
    broken.functions[0].node[0].name = "bad".to_owned();
    refused(&broken, &["which nothing defines"]);
}

#[test]
fn what_a_branch_cannot_compute_is_the_clients_fault() {
    let branch = |operator: NodeProto, output: &str| {
        let graph = graph_of(vec![operator], vec![], vec![port(output, FLOAT, &[-1, 4])]);
        tract_onnx::pb::AttributeProto { g: Some(graph), r#type: 5, ..tract_onnx::pb::AttributeProto::default() }
    };
    let choose = with(node("If", &["c"], &["y"]), "then_branch", branch(node("Gather", &["x", "i"], &["t"]), "t"));
    let choose = with(choose, "else_branch", branch(node("Neg", &["x"], &["e"]), "e"));
    let inputs = vec![port("x", FLOAT, &[-1, 4]), port("c", 9, &[]), port("i", INT64, &[-1])];
    let engine = opened(&model_of(graph_of(vec![choose], inputs, vec![port("y", FLOAT, &[-2, 4])]))).unwrap();
    let x = Tensor::from_f32(vec![2, 4], &[1.0; 8]).unwrap();
    let ask = |condition: bool, index: i64| {
        let condition = Tensor::new(modelyard_wire::DataType::Bool, vec![], vec![u8::from(condition)].into()).unwrap();
        engine.run(&[x.clone(), condition, Tensor::from_i64(vec![1], &[index]).unwrap()], &stop())
    };
    assert_eq!(ask(true, 1).unwrap()[0].shape(), [1, 4]);
    assert_eq!(ask(false, 1).unwrap()[0].shape(), [2, 4]);
    assert!(matches!(ask(true, 7), Err(RunError::InvalidData(_))), "{:?}", ask(true, 7));
    assert_eq!(ask(true, 0).unwrap()[0].to_f64().unwrap(), [1.0; 4]);
}

/// Lengths past the sequence's end are said to be so.
#[test]
fn lengths_of_sequences_are_checked() {
    let net = with(node("RNN", &["x", "w", "r", "", "n"], &["y", "h"]), "hidden_size", number(1));
    let mut graph =
        graph_of(vec![net], vec![port("x", FLOAT, &[3, 2, 1]), port("n", 6, &[2])], vec![port("h", FLOAT, &[1, 2, 1])]);
    graph.initializer = vec![weights("w", &[1, 1, 1], &[1.0]), weights("r", &[1, 1, 1], &[0.5])];
    let engine = opened(&model_of(graph)).unwrap();
    let run = |lengths: [i32; 2]| {
        let raw: Vec<u8> = lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
        let lengths = Tensor::new(modelyard_wire::DataType::Int32, vec![2], raw.into()).unwrap();
        engine.run(&[Tensor::from_f32(vec![3, 2, 1], &[0.1; 6]).unwrap(), lengths], &stop())
    };
    assert!(run([3, 0]).is_ok());
    let said = run([3, 4]).unwrap_err();
    assert!(matches!(&said, RunError::InvalidData(text) if text.contains("sequence_lens holds 4; expected 0 to 3")), "{said:?}");
}

/// The specification is silent on rows without a step; ONNX Runtime's answer is zeros.
#[test]
fn a_row_without_a_step_ends_in_zeros() {
    let net = with(node("RNN", &["x", "w", "r", "", "n", "h0"], &["", "h"]), "hidden_size", number(1));
    let inputs = vec![port("x", FLOAT, &[3, 2, 1]), port("n", 6, &[2]), port("h0", FLOAT, &[1, 2, 1])];
    let mut graph = graph_of(vec![net], inputs, vec![port("h", FLOAT, &[1, 2, 1])]);
    graph.initializer = vec![weights("w", &[1, 1, 1], &[1.0]), weights("r", &[1, 1, 1], &[0.5])];
    let engine = opened(&model_of(graph)).unwrap();
    let raw: Vec<u8> = [0_i32, 1].iter().flat_map(|length| length.to_le_bytes()).collect();
    let lengths = Tensor::new(modelyard_wire::DataType::Int32, vec![2], raw.into()).unwrap();
    let (x, first) = (Tensor::from_f32(vec![3, 2, 1], &[0.0; 6]).unwrap(), Tensor::from_f32(vec![1, 2, 1], &[0.5; 2]).unwrap());
    let last = engine.run(&[x, lengths, first], &stop()).unwrap()[0].to_f64().unwrap();
    assert_eq!(last[0], 0.0);
    assert!((last[1] - 0.25_f64.tanh()).abs() < 1e-6, "{last:?}");
}

/// Rows of a net whose first dimension is time are never batched, whichever operator computes them.
#[test]
fn recurrent_nets_backwards_are_not_batched() {
    let net = with(with(node("RNN", &["x", "w", "r"], &["y"]), "hidden_size", number(1)), "direction", text("reverse"));
    let mut graph = graph_of(vec![net], vec![port("x", FLOAT, &[-1, 1, 1])], vec![port("y", FLOAT, &[-1, 1, 1, 1])]);
    graph.initializer = vec![weights("w", &[1, 1, 1], &[1.0]), weights("r", &[1, 1, 1], &[0.5])];
    assert!(!opened(&model_of(graph)).unwrap().signature().batched);
}

/// What a mask keeps, along an axis or of all elements; a mask may be shorter than what it stands beside.
#[test]
fn a_mask_compresses() {
    for (axis, mask, expected, shape) in [
        (None, vec![0, 1, 0, 0, 1, 1], vec![1.0, 4.0, 5.0], vec![3]),
        (Some(0), vec![0, 1], vec![3.0, 4.0, 5.0], vec![1, 3]),
        (Some(-1), vec![1, 0, 1], vec![0.0, 2.0, 3.0, 5.0], vec![2, 2]),
        (Some(1), vec![0, 1], vec![1.0, 4.0], vec![2, 1]),
        (Some(1), vec![0; 3], vec![], vec![2, 0]),
        (None, vec![1; 9], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], vec![6]),
    ] {
        let compress = node("Compress", &["x", "m"], &["y"]);
        let compress = axis.map_or(compress.clone(), |axis| with(compress, "axis", number(axis)));
        let inputs = vec![port("x", FLOAT, &[2, 3]), port("m", 9, &[-1])];
        let dims: &[i64] = if axis.is_some() { &[-2, -3] } else { &[-2] };
        let engine = opened(&model_of(graph_of(vec![compress], inputs, vec![port("y", FLOAT, dims)]))).unwrap();
        let x = Tensor::from_f32(vec![2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let mask = Tensor::new(modelyard_wire::DataType::Bool, vec![mask.len()], mask.into()).unwrap();
        let found = engine.run(&[x, mask], &stop()).unwrap();
        assert_eq!((found[0].shape(), found[0].to_f64().unwrap()), (&*shape, expected), "axis {axis:?}");
    }
    let beyond = with(node("Compress", &["x", "m"], &["y"]), "axis", number(2));
    let inputs = vec![port("x", FLOAT, &[2, 3]), port("m", 9, &[-1])];
    refused(&model_of(graph_of(vec![beyond], inputs, vec![port("y", FLOAT, &[-2])])), &["attribute axis is 2"]);
}

/// The same row, alone and among others that lack nothing: where it lacks a number the answer does too, and only there.
#[test]
fn who_shares_a_batch_changes_no_answer() {
    let mut graph = graph_of(
        vec![node("Conv", &["x", "w"], &["a"]), node("Relu", &["a"], &["y"])],
        vec![port("x", FLOAT, &[-1, 1, 4])],
        vec![port("y", FLOAT, &[-1, 1, 3])],
    );
    graph.initializer = vec![weights("w", &[1, 1, 2], &[0.5, -1.0])];
    let engine = opened(&model_of(graph)).unwrap();
    for rows in [1, 2, 3, 8, 10, 17] {
        let mut values = vec![1.0_f32; rows * 4];
        values[..4].copy_from_slice(&[f32::NAN, 2.0, 0.25, -4.0]);
        let x = Tensor::from_f32(vec![rows, 1, 4], &values).unwrap();
        let found = engine.run(&[x], &stop()).unwrap()[0].to_f64().unwrap();
        assert!(found[0].is_nan(), "{rows} rows: {found:?}");
        assert_eq!(found[1..3], [0.75, 4.125], "{rows} rows");
        assert!(found[3..].iter().all(|value| *value == 0.0), "{rows} rows: {found:?}");
    }
}

#[test]
fn an_index_out_of_range_is_named_as_it_was_given() {
    for (operator, dims, shape) in [("Gather", &[-1][..], vec![1]), ("GatherND", &[-1, 1], vec![1, 1])] {
        let inputs = vec![port("x", FLOAT, &[3, 2]), port("i", INT64, dims)];
        let graph = graph_of(vec![node(operator, &["x", "i"], &["y"])], inputs, vec![port("y", FLOAT, &[-1, 2])]);
        let engine = opened(&model_of(graph)).unwrap();
        let ask = |index: i64| {
            let x = Tensor::from_f32(vec![3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
            engine.run(&[x, Tensor::from_i64(shape.clone(), &[index]).unwrap()], &stop())
        };
        assert_eq!(ask(-3).unwrap()[0].to_f64().unwrap(), [0.0, 1.0], "{operator}");
        for index in [-4, 3, i64::MIN, i64::MAX] {
            let said = ask(index).unwrap_err();
            let words = format!("the index is {index}; axis 0 has 3 elements, so -3 to 2 are expected");
            assert!(matches!(&said, RunError::InvalidData(text) if text.contains(&words)), "{said:?}");
        }
    }
}

#[test]
fn a_slice_that_cannot_be_is_the_clients_fault() {
    let inputs = vec![port("x", FLOAT, &[3, 4]), port("s", INT64, &[1]), port("t", INT64, &[1])];
    let slice = node("Slice", &["x", "s", "e", "a", "t"], &["y"]);
    let mut graph = graph_of(vec![slice], inputs, vec![port("y", FLOAT, &[-2, 4])]);
    graph.initializer = vec![integer("e", &[3]), integer("a", &[0])];
    let engine = opened(&model_of(graph)).unwrap();
    let ask = |start: i64, step: i64| {
        let x = Tensor::from_f32(vec![3, 4], &[1.0; 12]).unwrap();
        let scalar = |value: i64| Tensor::from_i64(vec![1], &[value]).unwrap();
        engine.run(&[x, scalar(start), scalar(step)], &stop())
    };
    assert_eq!(ask(1, 1).unwrap()[0].shape(), [2, 4]);
    assert_eq!(ask(-3, i64::MAX).unwrap()[0].shape(), [1, 4]);
    let said = ask(0, 0).unwrap_err();
    assert!(matches!(&said, RunError::InvalidData(text) if text.contains("a step is 0")), "{said:?}");
}

/// What each place of a dimension takes of memory, a client that sends no element chooses.
#[test]
fn an_empty_input_with_boundless_dimensions_is_refused() {
    let inputs = vec![port("x", FLOAT, &[3, -1, -2]), port("s", INT64, &[1])];
    let mut graph = graph_of(vec![node("Slice", &["x", "s", "e", "a"], &["y"])], inputs, vec![port("y", FLOAT, &[-3, -1, -2])]);
    graph.initializer = vec![integer("e", &[3]), integer("a", &[0])];
    let engine = opened(&model_of(graph)).unwrap();
    let ask = |wide: usize| {
        let x = Tensor::from_f32(vec![3, 0, wide], &[]).unwrap();
        engine.run(&[x, Tensor::from_i64(vec![1], &[1]).unwrap()], &stop())
    };
    assert_eq!(ask(5).unwrap()[0].shape(), [2, 0, 5]);
    let said = ask(1 << 40).unwrap_err();
    assert!(matches!(&said, RunError::InvalidData(text) if text.contains("input 'x' is empty")), "{said:?}");
}

#[test]
fn repeats_are_bounded() {
    for power in [31, 32, 40, 62] {
        let mut graph = graph_of(
            vec![node("Tile", &["x", "r"], &["t"]), node("Shape", &["t"], &["y"])],
            vec![port("x", FLOAT, &[-1, 1])],
            vec![port("y", INT64, &[2])],
        );
        graph.initializer = vec![integer("r", &[1, 1 << power])];
        let asked = format!("it asks for a constant of shape [1, {}]", 1_u64 << power);
        refused(&model_of(graph), &["Tile", &asked]);
    }
}
