use std::collections::HashMap;

use proptest::prelude::*;

mod tables;

use super::{Change, Refused, Step};
use crate::check::check;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, data_type,
};
use crate::store::Store;

pub(super) fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.iter().map(|one| (*one).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto::of_floats(name.to_owned(), dims.to_vec(), values)
}

/// A graph from `x` to `y`.
pub(super) fn model(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let value = |name: &str| vec![ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() }];
    let graph = GraphProto { node, initializer, input: value("x"), output: value("y"), ..GraphProto::default() };
    let opset = OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() };
    ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

/// Takes a step.
pub(super) fn apply(step: &Step, model: &mut ModelProto) -> Result<usize, Refused> {
    let folder = tempfile::tempdir().unwrap();
    step.apply(model, &mut Store::within(folder.path())).map(|Change { count, .. }| count)
}

/// The model after a step, sound, and what it says that it changed.
pub(super) fn after(mut model: ModelProto, step: Step) -> (GraphProto, usize) {
    check(&model).unwrap();
    let changed = apply(&step, &mut model).unwrap();
    check(&model).unwrap();
    assert_eq!(apply(&step, &mut model.clone()), Ok(0), "a second time it finds nothing: {step:?}");
    (model.graph.unwrap(), changed)
}

pub(super) fn wired(graph: &GraphProto) -> Vec<String> {
    graph.node.iter().map(|node| format!("{}({})->{}", node.op_type(), node.input.join(","), node.output.join(","))).collect()
}

#[test]
fn idle_nodes_go_and_outputs_keep_their_names() {
    for (nodes, left) in [
        (vec![node("Identity", &["x"], "a"), node("Relu", &["a"], "y")], vec!["Relu(x)->y"]),
        (vec![node("Relu", &["x"], "a"), node("Identity", &["a"], "y")], vec!["Relu(x)->y"]),
        (vec![node("Relu", &["x"], "a"), node("Identity", &["a"], "b"), node("Identity", &["b"], "y")], vec!["Relu(x)->y"]),
        // An input that is an output stays as it is.
        (vec![node("Identity", &["x"], "y")], vec!["Identity(x)->y"]),
        (vec![node("Dropout", &["x"], "a"), node("Add", &["a", "x"], "y")], vec!["Add(x,x)->y"]),
        (
            vec![node("Relu", &["x"], "a"), node("Identity", &["a"], "y"), node("Abs", &["a"], "b")],
            vec!["Relu(x)->y", "Abs(y)->b"],
        ),
    ] {
        let before = nodes.len();
        let (graph, changed) = after(model(nodes, vec![]), Step::Identities);
        assert_eq!(wired(&graph), left);
        assert_eq!(changed, before - left.len());
    }
}

#[test]
fn a_dropout_that_trains_stays() {
    let trains = TensorProto::of_bytes("t".into(), 9, vec![], vec![1]);
    let (graph, changed) = after(model(vec![node("Dropout", &["x", "", "t"], "y")], vec![trains]), Step::Identities);
    assert_eq!((graph.node.len(), changed), (1, 0));
}

#[test]
fn what_no_output_needs_goes() {
    let nodes = vec![node("Relu", &["x"], "a"), node("Add", &["a", "w"], "b"), node("Abs", &["x"], "y")];
    let (graph, changed) = after(model(nodes, vec![floats("w", &[1], &[1.0]), floats("v", &[1], &[2.0])]), Step::Dead);
    assert_eq!((wired(&graph), graph.initializer.len(), changed), (vec!["Abs(x)->y".to_owned()], 0, 4));
}

#[test]
fn a_graph_within_needs_what_it_names() {
    let inner = GraphProto {
        node: vec![node("Add", &["a", "w"], "z")],
        output: vec![ValueInfoProto { name: Some("z".into()), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    let branch = |name: &str| AttributeProto { name: Some(name.into()), g: Some(inner.clone()), ..AttributeProto::default() };
    let mut choice = node("If", &["x"], "y");
    choice.attribute = vec![branch("then_branch"), branch("else_branch")];
    let nodes = vec![node("Identity", &["x"], "a"), choice];
    let (graph, changed) = after(model(nodes, vec![floats("w", &[1], &[1.0])]), Step::Identities);
    assert_eq!(changed, 1);
    assert_eq!(graph.node[0].attribute[0].g.as_ref().unwrap().node[0].input, ["x", "w"]);
    let (graph, changed) = after(ModelProto { graph: Some(graph), ..model(vec![], vec![]) }, Step::Dead);
    assert_eq!((graph.initializer.len(), changed), (1, 0));
}

#[test]
fn equal_weights_and_nodes_are_shared() {
    let nodes = vec![
        node("Mul", &["x", "w"], "a"),
        node("Mul", &["x", "v"], "b"),
        node("Relu", &["a"], "c"),
        node("Relu", &["b"], "d"),
        node("Add", &["c", "d"], "y"),
    ];
    let (graph, changed) = after(model(nodes, vec![floats("w", &[1], &[2.0]), floats("v", &[1], &[2.0])]), Step::Duplicates);
    assert_eq!((wired(&graph), changed), (vec!["Mul(x,w)->a".into(), "Relu(a)->c".into(), "Add(c,c)->y".to_owned()], 3));
    let nodes = vec![node("RandomUniform", &[], "a"), node("RandomUniform", &[], "b"), node("Sub", &["a", "b"], "y")];
    assert_eq!(after(model(nodes, vec![]), Step::Duplicates).1, 0, "two random numbers are two");
}

#[test]
fn constants_become_initializers() {
    let mut constant = node("Constant", &[], "w");
    constant.attribute =
        vec![AttributeProto { name: Some("value_floats".into()), floats: vec![1.0, 2.0], ..AttributeProto::default() }];
    let (graph, changed) = after(model(vec![constant, node("Add", &["x", "w"], "y")], vec![]), Step::Constants);
    assert_eq!((graph.node.len(), graph.initializer[0].floats(), changed), (1, Some(vec![1.0, 2.0]), 1));
}

/// A convolution of two channels to two with kernels of one, and its normalisation.
#[test]
fn a_normalisation_goes_into_the_convolution() {
    let rows = [
        ("w", vec![1.0, 2.0, 3.0, 4.0]),
        ("c", vec![0.5, -0.5]),
        ("s", vec![2.0, 4.0]),
        ("h", vec![1.0, 2.0]),
        ("m", vec![0.1, 0.2]),
        ("v", vec![4.0 - 1e-5, 16.0 - 1e-5]),
    ];
    let tensors =
        rows.iter().map(|(name, values)| floats(name, if *name == "w" { &[2, 2, 1, 1] } else { &[2] }, values)).collect();
    let nodes = vec![node("Conv", &["x", "w", "c"], "a"), node("BatchNormalization", &["a", "s", "h", "m", "v"], "y")];
    let (graph, changed) = after(model(nodes, tensors), Step::BatchNorm);
    assert_eq!((wired(&graph), changed), (vec!["Conv(x,w_normalized,w_shift)->y".to_owned()], 1));
    let found: HashMap<&str, Vec<f32>> = graph.initializer.iter().map(|one| (one.name(), one.floats().unwrap())).collect();
    assert_eq!(found["w_normalized"], [1.0, 2.0, 3.0, 4.0], "2 / 2 and 4 / 4");
    let shift: Vec<f32> = vec![(0.5 - 0.1) + 1.0, (-0.5 - 0.2) + 2.0];
    assert!(found["w_shift"].iter().zip(&shift).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{found:?}");
}

#[test]
fn a_convolution_that_others_use_keeps_its_weights() {
    let nodes = vec![
        node("Conv", &["x", "w"], "a"),
        node("BatchNormalization", &["a", "s", "s", "s", "s"], "b"),
        node("Add", &["a", "b"], "y"),
    ];
    let tensors = vec![floats("w", &[1, 1, 1, 1], &[1.0]), floats("s", &[1], &[1.0])];
    assert_eq!(after(model(nodes, tensors), Step::BatchNorm).1, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each value comes back to half a step of its own channel's scale, and half precision to a part in 2^11.
    #[test]
    fn stored_weights_come_back(values in prop::collection::vec(-100.0_f32..100.0, 16 * 20), transposed: bool) {
        let mut product = node("Gemm", &["x", "w"], "y");
        product.attribute = vec![AttributeProto { name: Some("transB".into()), i: Some(i64::from(transposed)), ..AttributeProto::default() }];
        let whole = model(vec![product], vec![floats("w", &[16, 20], &values)]);
        let (graph, changed) = after(whole.clone(), Step::Int8);
        prop_assert_eq!((changed, graph.node[0].op_type(), graph.initializer[0].data_type()), (1, "DequantizeLinear", data_type::INT8));
        let (codes, scales) = (graph.initializer[0].raw_data(), graph.initializer[1].floats().unwrap());
        for (at, value) in values.iter().enumerate() {
            let scale = scales[if transposed { at / 20 } else { at % 20 }];
            let back = f32::from(codes[at].cast_signed()) * scale;
            prop_assert!((back - value).abs() <= scale * 0.5001, "{back} {value} {scale}");
        }
        let (graph, changed) = after(whole, Step::Half);
        prop_assert_eq!((changed, graph.node[0].op_type()), (1, "Cast"));
        for (two, value) in graph.initializer[0].raw_data().as_chunks().0.iter().zip(&values) {
            prop_assert!((::half::f16::from_le_bytes(*two).to_f32() - value).abs() <= value.abs() / 2048.0 + 1e-7);
        }
    }

    #[test]
    fn the_smallest_are_pruned(values in prop::collection::vec(-1.0_f32..1.0, 320), fraction in 0.01_f64..0.99) {
        let whole = model(vec![node("MatMul", &["x", "w"], "y")], vec![floats("w", &[16, 20], &values)]);
        let mut pruned = whole;
        prop_assert_eq!(apply(&Step::Prune(fraction), &mut pruned), Ok(1));
        let left = pruned.graph.unwrap().initializer[0].floats().unwrap();
        let gone = (320.0 * fraction) as usize;
        let (zeroed, kept): (Vec<_>, Vec<_>) = values.iter().zip(&left).partition(|(_, left)| **left == 0.0);
        prop_assert!(zeroed.len() >= gone);
        prop_assert!(kept.iter().all(|(value, left)| value == left));
        let (most, least) = (zeroed.iter().map(|(v, _)| v.abs()).fold(0.0, f32::max), kept.iter().map(|(v, _)| v.abs()).fold(2.0, f32::min));
        prop_assert!(most <= least);
    }
}

#[test]
fn an_old_operator_set_is_refused_in_words() {
    let mut old = model(vec![node("MatMul", &["x", "w"], "y")], vec![floats("w", &[16, 20], &[1.0; 320])]);
    old.opset_import[0].version = Some(11);
    assert!(apply(&Step::Int8, &mut old).unwrap_err().to_string().contains("operator set 11"));
}

#[test]
fn unsound_models_are_told() {
    for (nodes, tensors, words) in [
        (vec![node("Relu", &["z"], "y")], vec![], "input 'z' is made by nothing"),
        (
            vec![node("Add", &["x", "y"], "a"), node("Relu", &["a"], "y")],
            vec![],
            "a cycle of 2 nodes: Add 'a' reads 'y' of Relu 'y'",
        ),
        (vec![node("Relu", &["x"], "y"), node("Abs", &["x"], "y")], vec![], "defined before"),
        (vec![node("Relu", &["x"], "a")], vec![], "nothing makes it"),
        (vec![node("Add", &["x", "w"], "y")], vec![floats("w", &[3], &[1.0])], "has 4 bytes; its dimensions [3] need 12"),
        (vec![node("Add", &["x", "w"], "y")], vec![floats("w", &[-1], &[1.0])], "cannot be counted"),
    ] {
        let found = check(&model(nodes, tensors)).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    }
}

pub(super) fn attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(2), i: Some(value), ..AttributeProto::default() }
}

/// Weights of which channel 1 of 3 is worth least, then channel 0.
fn layers(middle: Vec<NodeProto>, last: &str) -> ModelProto {
    let mut nodes = vec![node("MatMul", &["x", "w"], "a"), node("Add", &["b", "a"], "c")];
    nodes.extend(middle);
    nodes.push(node("MatMul", &[last, "v"], "y"));
    let weights = [2.0, 0.1, 3.0, 2.0, 0.1, 3.0];
    let tensors = vec![
        floats("w", &[2, 3], &weights),
        floats("b", &[3], &[10.0, 20.0, 30.0]),
        floats("v", &[3, 2], &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]),
        floats("k", &[1], &[0.5]),
    ];
    model(nodes, tensors)
}

#[test]
fn channels_of_least_worth_go_with_all_that_is_theirs() {
    let mut whole = layers(vec![node("Relu", &["c"], "d"), node("Mul", &["d", "k"], "e"), node("Add", &["d", "e"], "f")], "f");
    assert_eq!(apply(&Step::Channels(0.5), &mut whole), Ok(1));
    check(&whole).unwrap();
    let graph = whole.graph.unwrap();
    let found: HashMap<&str, (&[i64], Vec<f32>)> =
        graph.initializer.iter().map(|one| (one.name(), (&*one.dims, one.floats().unwrap()))).collect();
    assert_eq!(found["w"], (&[2, 2][..], vec![2.0, 3.0, 2.0, 3.0]));
    assert_eq!(found["b"], (&[2][..], vec![10.0, 30.0]));
    assert_eq!(found["v"], (&[2, 2][..], vec![1.0, 1.0, 3.0, 3.0]));
    assert_eq!(found["k"].1, [0.5], "a number for all stays");
}

#[test]
fn channels_that_something_else_looks_at_stay() {
    let relu = || node("Relu", &["c"], "d");
    let mut shared = layers(vec![relu()], "d");
    shared.graph.as_mut().unwrap().node.push(node("Mul", &["w", "w"], "z"));
    let mut shown = layers(vec![relu()], "d");
    shown.graph.as_mut().unwrap().output.push(ValueInfoProto { name: Some("d".into()), ..ValueInfoProto::default() });
    for (what, mut model) in [
        ("a softmax mixes them", layers(vec![node("Softmax", &["c"], "d")], "d")),
        ("another tensor is added", layers(vec![node("Mul", &["x", "x"], "z"), node("Add", &["c", "z"], "d")], "d")),
        ("their weight is used twice", shared),
        ("they are an output", shown),
    ] {
        let before = model.clone();
        assert_eq!(apply(&Step::Channels(0.5), &mut model), Ok(0), "{what}");
        assert_eq!(model, before, "{what}");
    }
}

#[test]
fn filters_go_through_depthwise_convolutions_and_into_dense_layers() {
    let mut depthwise = node("Conv", &["a", "d", "e"], "b");
    depthwise.attribute = vec![attribute("group", 3)];
    let nodes = vec![
        node("Conv", &["x", "w"], "a"),
        depthwise,
        node("BatchNormalization", &["b", "s", "s2", "s3", "s4"], "c"),
        node("MaxPool", &["c"], "p"),
        node("Flatten", &["p"], "f"),
        node("Gemm", &["f", "g"], "y"),
    ];
    let row = |name: &str| floats(name, &[3], &[1.0, 2.0, 3.0]);
    let tensors = vec![
        floats("w", &[3, 1, 1, 1], &[5.0, 0.1, 5.0]),
        floats("d", &[3, 1, 1, 1], &[1.0, 2.0, 3.0]),
        row("e"),
        row("s"),
        row("s2"),
        row("s3"),
        row("s4"),
        // Two places of each channel.
        floats("g", &[6, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ];
    let mut whole = model(nodes, tensors);
    assert_eq!(apply(&Step::Channels(0.34), &mut whole), Ok(1));
    let graph = whole.graph.unwrap();
    assert_eq!(graph.node[1].attribute[0].i, Some(2));
    for tensor in &graph.initializer {
        let (dims, values) = match tensor.name() {
            "w" => (vec![2, 1, 1, 1], vec![5.0, 5.0]),
            "d" => (vec![2, 1, 1, 1], vec![1.0, 3.0]),
            "g" => (vec![4, 1], vec![1.0, 2.0, 5.0, 6.0]),
            _ => (vec![2], vec![1.0, 3.0]),
        };
        assert_eq!((&tensor.dims, tensor.floats()), (&dims, Some(values)), "{}", tensor.name());
    }
}

#[test]
fn a_product_in_int8_stands_as_onnx_runtime_looks_for_it() {
    let mut product = node("Gemm", &["x", "w", "c"], "y");
    product.attribute = vec![attribute("transB", 1)];
    let values: Vec<f32> = (0..320_u16).map(|at| f32::from(at % 7) - 3.0).collect();
    let whole = model(vec![product], vec![floats("w", &[20, 16], &values), floats("c", &[20], &[1.0; 20])]);
    let (graph, changed) = after(whole, Step::Dynamic);
    let operators: Vec<_> = graph.node.iter().map(NodeProto::op_type).collect();
    assert_eq!((changed, operators), (1, vec!["DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul", "Add"]));
    let tensor = |name: &str| graph.initializer.iter().find(|one| one.name() == name).unwrap();
    let (codes, scales) = (tensor("w_int8"), tensor("w_scale").floats().unwrap());
    assert_eq!((&*codes.dims, scales.len()), (&[16, 20][..], 20));
    for (at, code) in codes.raw_data().iter().enumerate() {
        // [K, N] of what was [N, K].
        let (k, n) = (at / 20, at % 20);
        assert!((f32::from(code.cast_signed()) * scales[n] - values[n * 16 + k]).abs() <= scales[n] * 0.5001);
    }
    assert!(!graph.initializer.iter().any(|one| one.name() == "w"), "the old weight is gone");
}

#[test]
fn what_has_a_range_stands_between_quantizers() {
    let mut conv = node("Conv", &["x", "w", "c"], "a");
    conv.attribute = vec![attribute("group", 1)];
    let nodes = vec![conv, node("Relu", &["a"], "r"), node("MaxPool", &["r"], "p"), node("MatMul", &["p", "v"], "y")];
    let tensors =
        vec![floats("w", &[4, 16, 2, 2], &[0.5; 256]), floats("c", &[4], &[1.0; 4]), floats("v", &[16, 16], &[0.25; 256])];
    let mut whole = model(nodes, tensors);
    whole.opset_import[0].version = Some(17);
    assert_eq!(super::activations(&whole), ["x", "r", "p"]);
    let (shown, outputs) = super::watched(&whole, &super::activations(&whole));
    check(&shown).unwrap();
    assert_eq!(outputs[0], ("x_shown".to_owned(), "x".to_owned()), "an input is shown under another name");
    let ranges = [("x", (-1.0, 3.0)), ("r", (0.0, 2.0)), ("p", (0.0, 2.0))];
    let ranges = ranges.into_iter().map(|(name, range)| (name.to_owned(), range)).collect();
    assert_eq!(apply(&Step::Static(ranges), &mut whole), Ok(2));
    check(&whole).unwrap();
    let graph = whole.graph.unwrap();
    let operators: Vec<_> = graph.node.iter().map(NodeProto::op_type).collect();
    let dequantize = "DequantizeLinear";
    assert_eq!(
        operators,
        [
            dequantize,
            dequantize,
            dequantize,
            "QuantizeLinear",
            dequantize,
            "Conv",
            "Relu",
            "QuantizeLinear",
            dequantize,
            "MaxPool",
            "QuantizeLinear",
            dequantize,
            "MatMul"
        ]
    );
    let of = |operator: &str| graph.node.iter().find(|one| one.op_type() == operator).unwrap().input.clone();
    assert_eq!(of("Conv"), ["x_dequantized", "w_dequantized", "c_dequantized"]);
    assert_eq!(
        (of("Relu"), of("MaxPool"), of("MatMul")),
        (vec!["a".to_owned()], vec!["r_dequantized".to_owned()], vec!["p_dequantized".to_owned(), "v_dequantized".to_owned()])
    );
    let tensor = |name: &str| graph.initializer.iter().find(|one| one.name() == name).unwrap();
    assert_eq!((tensor("x_zero_point").raw_data(), tensor("r_zero_point").raw_data()), (&[64_u8][..], &[0_u8][..]));
    let bias = i32::from_le_bytes(tensor("c_int32").raw_data()[..4].try_into().unwrap());
    let scale = tensor("c_scale").floats().unwrap()[0];
    assert!((bias as f32 * scale - 1.0).abs() <= scale, "{bias} {scale}");
}
