use std::collections::HashMap;

use proptest::prelude::*;

use super::Step;
use crate::check::check;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, data_type,
};

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.iter().map(|one| (*one).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto::of_floats(name.to_owned(), dims.to_vec(), values)
}

/// A graph from `x` to `y`.
fn model(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let value = |name: &str| vec![ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() }];
    let graph = GraphProto { node, initializer, input: value("x"), output: value("y"), ..GraphProto::default() };
    let opset = OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() };
    ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

/// The model after a step, sound, and what it says that it changed.
fn after(mut model: ModelProto, step: Step) -> (GraphProto, usize) {
    check(&model).unwrap();
    let changed = step.apply(&mut model).unwrap();
    check(&model).unwrap();
    assert_eq!(step.apply(&mut model.clone()), Ok(0), "a second time it finds nothing: {step:?}");
    (model.graph.unwrap(), changed)
}

fn wired(graph: &GraphProto) -> Vec<String> {
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
        prop_assert_eq!(Step::Prune(fraction).apply(&mut pruned), Ok(1));
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
    assert!(Step::Int8.apply(&mut old).unwrap_err().to_string().contains("operator set 11"));
}

#[test]
fn unsound_models_are_told() {
    for (nodes, tensors, words) in [
        (vec![node("Relu", &["z"], "y")], vec![], "input 'z' is made by nothing"),
        (vec![node("Relu", &["x"], "y"), node("Abs", &["x"], "y")], vec![], "defined before"),
        (vec![node("Relu", &["x"], "a")], vec![], "nothing makes it"),
        (vec![node("Add", &["x", "w"], "y")], vec![floats("w", &[3], &[1.0])], "has 4 bytes; its dimensions [3] need 12"),
        (vec![node("Add", &["x", "w"], "y")], vec![floats("w", &[-1], &[1.0])], "cannot be counted"),
    ] {
        let found = check(&model(nodes, tensors)).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    }
}
