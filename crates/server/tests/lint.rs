//! What the lint refuses, on graphs made here: one small graph per rule.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod graphs;

use graphs::{FLOAT, INT64, graph_of, integer, integers, model_of, node, number, opened, port, single, weights, with};
use modelyard_wire::Tensor;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto};

#[track_caller]
fn refused(model: &ModelProto, words: &[&str]) {
    let text = opened(model).err().expect("the model was loaded");
    words.iter().for_each(|word| assert!(text.contains(word), "{text}"));
}

#[test]
fn operators_that_go_wrong() {
    refused(&single(with(node("Cast", &["x"], &["y"]), "to", number(16))), &["Cast 'y'", "BFLOAT16"]);
    let ports = || (vec![port("b", FLOAT, &[-1, 9, 4]), port("s", FLOAT, &[-1, 2, 9])], vec![port("y", INT64, &[-1, 3])]);
    let keeping = |inputs: &[&str], most: Option<i64>| {
        let (given, answers) = ports();
        let mut graph = graph_of(vec![node("NonMaxSuppression", inputs, &["y"])], given, answers);
        graph.initializer.extend(most.map(|most| TensorProto {
            name: "most".to_owned(),
            data_type: INT64,
            dims: vec![1],
            int64_data: vec![most],
            ..TensorProto::default()
        }));
        model_of(graph)
    };
    let words = ["NonMaxSuppression 'y': its max_output_boxes_per_class is 0 or absent"];
    refused(&keeping(&["b", "s"], None), &words);
    refused(&keeping(&["b", "s", "most"], Some(0)), &words);
    assert!(opened(&keeping(&["b", "s", "most"], Some(3))).is_ok());
}

#[test]
fn operators_that_are_unknown_are_all_listed() {
    let nodes = vec![
        node("Det", &["x"], &["a"]),
        node("Det", &["a"], &["b"]),
        node("ai.onnx.ml:Scaler", &["b"], &["c"]),
        node("org.example:Relu", &["c"], &["d"]),
        node("com.microsoft:QLinearAdd", &["d"], &["y"]),
    ];
    let model = model_of(graph_of(nodes, vec![port("x", FLOAT, &[-1, 4])], vec![port("y", FLOAT, &[-1, 4])]));
    refused(
        &model,
        &[
            "Det 'a': this engine has no such operator (2 in the file)",
            "ai.onnx.ml.Scaler 'c'",
            "org.example.Relu 'd': this engine has no operators of that domain",
            "com.microsoft.QLinearAdd 'y'",
        ],
    );
}

#[test]
fn bodies_are_looked_into() {
    let inner = graph_of(vec![node("Loop", &["x"], &["z"])], vec![], vec![port("z", FLOAT, &[-1, 4])]);
    let branch = AttributeProto { g: Some(inner), r#type: 5, ..AttributeProto::default() };
    let choose = with(node("If", &["x"], &["y"]), "then_branch", branch);
    refused(&single(choose), &["Loop 'z': this engine has no loops"]);
}

/// A loop over the rows of `x`, which adds them to a state, with so many loops within it in all.
fn looping(deep: usize) -> NodeProto {
    let row = format!("x{deep}");
    let step = match deep {
        1 => vec![node("Add", &["s1", "x1"], &["o1"])],
        _ => vec![looping(deep - 1)],
    };
    let state = format!("s{deep}");
    let dims = [&vec![1; deep - 1][..], &[2]].concat();
    let given = vec![port(&state, FLOAT, &[2]), port(&row, FLOAT, &dims)];
    let body = graph_of(step, given, vec![port(&format!("o{deep}"), FLOAT, &[2])]);
    let outer = [format!("s{}", deep + 1), format!("x{}", deep + 1), format!("o{}", deep + 1)];
    let body = AttributeProto { g: Some(body), r#type: 5, ..AttributeProto::default() };
    with(with(node("Scan", &[&outer[0], &outer[1]], &[&outer[2]]), "body", body), "num_scan_inputs", number(1))
}

#[test]
fn loops_stand_within_one_another_so_deep() {
    let summed = |deep: usize| {
        let names = [format!("s{}", deep + 1), format!("x{}", deep + 1), format!("o{}", deep + 1)];
        let dims = [&vec![1; deep][..], &[2]].concat();
        let given = vec![port(&names[0], FLOAT, &[2]), port(&names[1], FLOAT, &dims)];
        model_of(graph_of(vec![looping(deep)], given, vec![port(&names[2], FLOAT, &[2])]))
    };
    if let Err(why) = opened(&summed(6)) {
        panic!("{why}");
    }
    refused(&summed(7), &["Scan 'o8': loops stand 7 deep within one another, expected at most 6"]);
}

#[test]
fn files_that_no_engine_could_run() {
    let identity = || single(node("Identity", &["x"], &["y"]));
    let mut twice = identity();
    twice.graph.as_mut().unwrap().node.push(node("Relu", &["x"], &["y"]));
    refused(&twice, &["'y' is defined twice: by node 'y' (Identity) and by node 'y' (Relu)"]);
    let flatten = with(with(node("Flatten", &["x"], &["y"]), "axis", number(1)), "axis", number(0));
    refused(&single(flatten), &["node 'y' (Flatten) gives attribute axis twice"]);
    refused(&single(node("Add", &["x", "nowhere"], &["y"])), &["node 'y' (Add) reads 'nowhere', which nothing defines"]);
    refused(&single(node("Identity", &["x"], &["other"])), &["nothing defines the graph's output 'y'"]);
    let cycle = vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"]), node("Relu", &["b"], &["y"])];
    let cycle = model_of(graph_of(cycle, vec![port("x", FLOAT, &[-1, 4])], vec![port("y", FLOAT, &[-1, 4])]));
    refused(
        &cycle,
        &[
            "a cycle of 2 nodes: node 'a' (Add) reads 'b' of node 'b' (Relu), which reads 'a' of node 'a' (Add); expected nodes that wait",
        ],
    );
    refused(&single(node("Add", &["x", "y"], &["y"])), &["a cycle of 1 node: node 'y' (Add) reads 'y' of node 'y' (Add)"]);
    let mut future = identity();
    future.opset_import[0].version = 99;
    refused(&future, &["operator set ai.onnx 99 is not supported; expected 7 to 26"]);
    future.ir_version = 99;
    refused(&future, &["IR version 99 is unknown; expected 1 to 13"]);
    refused(&ModelProto { ir_version: 8, ..ModelProto::default() }, &["holds no graph"]);
    let mut sequence = identity();
    sequence.graph.as_mut().unwrap().input[0].r#type = Some(TypeProto::default());
    refused(&sequence, &["input 'x': it is not a tensor"]);
    let mut short = single(node("Add", &["x", "w"], &["y"]));
    let weight =
        TensorProto { name: "w".to_owned(), data_type: FLOAT, dims: vec![4], raw_data: vec![0; 12], ..TensorProto::default() };
    short.graph.as_mut().unwrap().initializer.push(weight.clone());
    refused(&short, &["initializer 'w' of shape [4] needs 16 bytes, found 12"]);
    short.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 40, 1 << 40];
    refused(&short, &["initializer 'w' has the impossible shape"]);
}

#[test]
fn numbers_of_windows_that_no_engine_could_run() {
    let with_pools = |operator: &str, attribute: &str, values: &[i64]| {
        let mut one = with(node(operator, &["x"], &["y"]), attribute, integers(values));
        if operator.ends_with("Pool") {
            one = with(one, "kernel_shape", integers(&[3, 3]));
        } else {
            one.input.push("w".to_owned());
        }
        let mut graph = graph_of(vec![one], vec![port("x", FLOAT, &[-1, 3, 8, 8])], vec![port("y", FLOAT, &[-1, 3, -1, -1])]);
        graph.initializer.push(weights("w", &[3, 3, 3, 3], &[0.5; 81]));
        model_of(graph)
    };
    for (operator, attribute, values, expected) in [
        ("Conv", "strides", &[0, 1][..], "1 or more each"),
        ("Conv", "strides", &[1], "2 entries, one for each dimension of the window"),
        ("Conv", "dilations", &[0, 1], "1 or more each"),
        ("Conv", "dilations", &[1, 1, 1], "2 entries"),
        ("Conv", "kernel_shape", &[0, 0], "1 or more each"),
        ("Conv", "kernel_shape", &[3], "2 entries, as its weight has"),
        ("Conv", "pads", &[1, 1, 1], "4 entries, a begin and an end for each dimension of the window"),
        ("Conv", "pads", &[0, -1, 0, 0], "0 or more each"),
        ("ConvTranspose", "strides", &[0, 1], "1 or more each"),
        ("ConvTranspose", "dilations", &[0, 1], "1 or more each"),
        ("ConvTranspose", "pads", &[1, 1, 1], "4 entries"),
        ("ConvTranspose", "output_padding", &[0], "2 entries"),
        ("MaxPool", "strides", &[0, 1], "1 or more each"),
        ("MaxPool", "dilations", &[0, 1], "1 or more each"),
        ("MaxPool", "pads", &[1, 1], "4 entries"),
        ("AveragePool", "strides", &[2, 2, 2], "2 entries"),
        ("AveragePool", "pads", &[-1, 0, 0, 0], "0 or more each"),
    ] {
        let words = format!("{operator} 'y': attribute '{attribute}': {values:?}; expected {expected}");
        refused(&with_pools(operator, attribute, values), &[&words]);
    }
    for (operator, attribute, values) in [
        ("Conv", "strides", &[2, 2][..]),
        ("Conv", "pads", &[1, 1, 1, 1]),
        ("ConvTranspose", "output_padding", &[0, 0]),
        ("MaxPool", "pads", &[1, 1, 1, 1]),
        ("AveragePool", "strides", &[2, 1]),
    ] {
        assert!(opened(&with_pools(operator, attribute, values)).is_ok(), "{operator} {attribute}");
    }
    let padded = |pads: &[i64]| {
        let nodes = vec![node("Relu", &["x"], &["a"]), node("Pad", &["a", "p"], &["y"])];
        let mut graph = graph_of(nodes, vec![port("x", FLOAT, &[-1, 4])], vec![port("y", FLOAT, &[-1, -1])]);
        graph.initializer.push(integer("p", pads));
        model_of(graph)
    };
    refused(
        &padded(&[0, 1, 1]),
        &["Pad 'y': input[1] 'p': [0, 1, 1]; expected 4 entries, a begin and an end for each dimension"],
    );
    refused(&padded(&[0, 1]), &["Pad 'y': input[1] 'p': [0, 1]; expected 4 entries"]);
    assert!(opened(&padded(&[0, 1, 0, -1])).is_ok());
}

#[test]
fn rows_that_mix_are_never_batched() {
    let softmax = |axis| opened(&single(with(node("Softmax", &["x"], &["y"]), "axis", number(axis)))).unwrap();
    assert!(softmax(1).signature().batched);
    assert!(!softmax(0).signature().batched);
}

#[test]
fn wrong_declarations_are_corrected() {
    let add = node("Add", &["x", "x"], &["y"]);
    let inputs = || vec![port("x", FLOAT, &[-1, 4])];
    let wrong = model_of(graph_of(vec![add.clone()], inputs(), vec![port("y", FLOAT, &[1, 7])]));
    let engine = opened(&wrong).unwrap();
    assert_eq!(engine.signature().outputs[0].shape, [-1, 4]);
    assert!(engine.signature().batched);
    let bare = ValueInfoProto { name: "y".to_owned(), ..ValueInfoProto::default() };
    let absent = opened(&model_of(graph_of(vec![add], inputs(), vec![bare]))).unwrap();
    assert_eq!(absent.signature().outputs[0].shape, [-1, -1]);
}

#[test]
fn integers_of_shapes_are_int64() {
    let shape =
        model_of(graph_of(vec![node("Shape", &["x"], &["y"])], vec![port("x", FLOAT, &[-1, 4])], vec![port("y", INT64, &[2])]));
    let engine = opened(&shape).unwrap();
    assert!(!engine.signature().batched);
    let stop = modelyard_server::engine::Stop::at(std::time::Instant::now() + std::time::Duration::from_secs(9));
    let input = Tensor::from_f32(vec![3, 4], &[0.0; 12]).unwrap();
    assert_eq!(engine.run(&[input], &stop).unwrap(), [Tensor::from_i64(vec![2], &[3, 4]).unwrap()]);
}

#[test]
fn sizes_that_data_chooses_are_bounded() {
    let scalar = |name: &str, value: i64| TensorProto {
        name: name.to_owned(),
        data_type: INT64,
        raw_data: value.to_le_bytes().to_vec(),
        ..TensorProto::default()
    };
    let mut graph =
        graph_of(vec![node("Range", &["zero", "x", "one"], &["y"])], vec![port("x", INT64, &[])], vec![port("y", INT64, &[-1])]);
    graph.initializer = vec![scalar("zero", 0), scalar("one", 1)];
    let engine = opened(&model_of(graph)).unwrap();
    let run = |end: i64| {
        let stop = modelyard_server::engine::Stop::at(std::time::Instant::now() + std::time::Duration::from_secs(9));
        engine.run(&[Tensor::from_i64(vec![], &[end]).unwrap()], &stop)
    };
    for end in [3, 5, 2] {
        assert_eq!(run(end).unwrap(), [Tensor::from_i64(vec![end as usize], &(0..end).collect::<Vec<_>>()).unwrap()]);
        assert!(run(4_000_000_000).unwrap_err().to_string().contains("it asks for 4000000000 elements"));
    }
}

#[test]
fn long_chains_fit_a_small_stack() {
    let name = |at: usize| if at == 0 { "x".to_owned() } else { format!("v{at}") };
    let mut nodes: Vec<_> = (0..5000).map(|at| node("Relu", &[&name(at)], &[&name(at + 1)])).collect();
    nodes.push(node("Relu", &[&name(5000)], &["y"]));
    let model = model_of(graph_of(nodes, vec![port("x", FLOAT, &[-1, 4])], vec![port("y", FLOAT, &[-1, 4])]));
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || opened(&model).map(drop));
    assert_eq!(thread.unwrap().join().unwrap(), Ok(()));
}
