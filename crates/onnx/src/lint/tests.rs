use proptest::prelude::*;

use super::findings;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};

fn node(operator: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let texts = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect();
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: texts(inputs),
        output: texts(outputs),
        attribute,
        ..NodeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(2), i: Some(value), ..AttributeProto::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(7), ints: values.to_vec(), ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(1), f: Some(value), ..AttributeProto::default() }
}

/// FP32 of that shape; 0 is a free dimension.
fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |size: &i64| tensor_shape_proto::Dimension {
        value: (*size > 0).then_some(tensor_shape_proto::dimension::Value::DimValue(*size)),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(elem_type), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}

fn zeros(name: &str, dims: &[i64]) -> TensorProto {
    let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
    TensorProto::of_floats(name.to_owned(), dims.to_vec(), &vec![0.0; count])
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) }
}

/// From `x` to `y`, both FP32.
fn model(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>, (x, y): (&[i64], &[i64])) -> ModelProto {
    let graph = GraphProto {
        name: Some("made".to_owned()),
        node: nodes,
        initializer: tensors,
        input: vec![value("x", 1, x)],
        output: vec![value("y", 1, y)],
        ..GraphProto::default()
    };
    ModelProto { ir_version: Some(8), opset_import: vec![import("", 17)], graph: Some(graph), ..ModelProto::default() }
}

fn told(model: &ModelProto) -> Vec<String> {
    findings(model).iter().map(|one| format!("{}{one}", if one.warning { "(warning) " } else { "" })).collect()
}

#[test]
fn a_sound_model_has_no_findings() {
    let nodes = vec![
        node("Conv", &["x", "w"], &["a"], vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])]),
        node("MaxPool", &["a"], &["b"], vec![ints("kernel_shape", &[2, 2])]),
        node("Flatten", &["b"], &["c"], vec![]),
        node("Gemm", &["c", "g", "h"], &["y"], vec![int("transB", 1), float("alpha", 2.0)]),
    ];
    let tensors = vec![zeros("w", &[4, 3, 3, 3]), zeros("g", &[5, 36]), zeros("h", &[5])];
    assert_eq!(told(&model(nodes, tensors, (&[0, 3, 8, 8], &[0, 5]))), [""; 0]);
}

#[test]
fn each_finding_names_the_node_and_the_field() {
    let gemm = |inputs: &[&str], attributes| node("Gemm", inputs, &["y"], attributes);
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output], vec![]);
    let small: (&[i64], &[i64]) = (&[0, 4], &[0, 4]);
    for (nodes, tensors, words) in [
        (
            vec![relu("a", "y"), relu("x", "a")],
            vec![],
            "Relu 'y': input[0] 'a': Relu 'a' makes it, which comes later: nodes are not in topological order",
        ),
        (vec![relu("q", "y")], vec![], "Relu 'y': input[0] 'q': nothing makes it"),
        (
            vec![node("Add", &["x", "b"], &["a"], vec![]), relu("a", "b"), relu("b", "y")],
            vec![],
            "graph 'made': a cycle of 2 nodes: Add 'a' reads 'b' of Relu 'b', which reads 'a' of Add 'a'; expected nodes that wait",
        ),
        (vec![node("Add", &["x", "y"], &["y"], vec![])], vec![], "graph 'made': a cycle of 1 node: Add 'y' reads 'y' of Add 'y'"),
        (vec![relu("x", "y"), relu("x", "y")], vec![], "Relu 'y': output[0] 'y': the name is defined before"),
        (vec![relu("x", "z")], vec![], "output 'y': nothing makes it"),
        (vec![node("Relux", &["x"], &["y"], vec![])], vec![], "Relux 'y': op_type: ai.onnx 17 has no such operator"),
        (
            vec![node("Gelu", &["x"], &["y"], vec![])],
            vec![],
            "Gelu 'y': op_type: ai.onnx 17 has no such operator; it is there since 20",
        ),
        (vec![node("Relu", &["x", "x"], &["y"], vec![])], vec![], "Relu 'y': input: it has 2; ai.onnx 17 has 1"),
        (vec![node("Concat", &["x"], &["y"], vec![])], vec![], "Concat 'y': attribute 'axis': it is missing; a INT is required"),
        (
            vec![node("Relu", &["x"], &["y"], vec![int("alpha", 1)])],
            vec![],
            "Relu 'y': attribute 'alpha': ai.onnx 17 has no such attribute",
        ),
        (
            vec![node("LeakyRelu", &["x"], &["y"], vec![int("alpha", 1)])],
            vec![],
            "LeakyRelu 'y': attribute 'alpha': type INT; expected FLOAT",
        ),
        (
            vec![gemm(&["x", "w"], vec![])],
            vec![zeros("w", &[5, 4])],
            "Gemm 'y': input[0] of shape [?, 4] gives 4 numbers to input[1] of shape [5, 4], which takes 5",
        ),
        (
            vec![gemm(&["x", "w", "b"], vec![])],
            vec![zeros("w", &[4, 4]), zeros("b", &[3])],
            "Gemm 'y': input[2]: shapes [?, 4] and [3] do not broadcast",
        ),
        (
            vec![gemm(&["x", "w"], vec![])],
            vec![zeros("w", &[4, 6])],
            "output 'y': shape: [?, 4] is declared; it is [?, 6], as Gemm 'y' makes it",
        ),
        (vec![node("Cast", &["x"], &["y"], vec![int("to", 7)])], vec![], "output 'y': elem_type: FLOAT is declared; it is INT64"),
        (
            vec![gemm(&["x", "w"], vec![])],
            vec![TensorProto { dims: vec![4, 4], ..zeros("w", &[2, 2]) }],
            "tensor 'w': it has 16 bytes; its dimensions [4, 4] need 64",
        ),
        (
            vec![node("Transpose", &["x"], &["y"], vec![ints("perm", &[0, 0])])],
            vec![],
            "Transpose 'y': attribute 'perm': [0, 0] is no order",
        ),
    ] {
        let found = told(&model(nodes, tensors, small));
        assert!(found.iter().any(|one| one.starts_with(words)), "expected {words}\nfound {found:#?}");
    }
}

#[test]
fn numbers_of_windows_are_ones_that_can_be_run() {
    for (operator, attribute, words) in [
        ("Conv", ints("strides", &[0, 1]), "attribute 'strides': [0, 1]; expected 1 or more each"),
        ("Conv", ints("strides", &[1]), "attribute 'strides': [1]; expected 2 entries, one for each dimension of the window"),
        ("Conv", ints("dilations", &[1, 0]), "attribute 'dilations': [1, 0]; expected 1 or more each"),
        ("Conv", ints("kernel_shape", &[0, 3]), "attribute 'kernel_shape': [0, 3]; expected 1 or more each"),
        ("Conv", ints("pads", &[-1, 0, 0, 0]), "attribute 'pads': [-1, 0, 0, 0]; expected 0 or more each"),
        ("Conv", ints("pads", &[1, 1]), "attribute 'pads': [1, 1]; expected 4 entries, a begin and an end for each dimension"),
        ("Conv", int("group", 0), "attribute 'group': 0; expected 1 or more"),
        ("ConvTranspose", ints("strides", &[0, 1]), "attribute 'strides': [0, 1]; expected 1 or more each"),
        ("ConvTranspose", ints("output_padding", &[0]), "attribute 'output_padding': [0]; expected 2 entries"),
        ("MaxPool", ints("strides", &[0, 1]), "attribute 'strides': [0, 1]; expected 1 or more each"),
        ("AveragePool", ints("pads", &[1, 1, 1]), "attribute 'pads': [1, 1, 1]; expected 4 entries"),
        ("LpPool", ints("dilations", &[0, 0]), "attribute 'dilations': [0, 0]; expected 1 or more each"),
        (
            "Pad",
            ints("pads", &[1, 1, 1]),
            "attribute 'pads': [1, 1, 1]; expected 8 entries, a begin and an end for each dimension",
        ),
    ] {
        let weighted = operator.starts_with("Conv");
        let mut attributes = vec![attribute];
        if !weighted && operator != "Pad" {
            attributes.push(ints("kernel_shape", &[3, 3]));
        }
        let inputs: &[&str] = if weighted { &["x", "w"] } else { &["x"] };
        let nodes = vec![node(operator, inputs, &["y"], attributes)];
        let mut one = model(nodes, vec![zeros("w", &[3, 3, 3, 3])], (&[0, 3, 8, 8], &[0, 3, 0, 0]));
        one.opset_import = vec![import("", if operator == "Pad" { 10 } else { 18 })];
        let found = told(&one);
        let words = format!("{operator} 'y': {words}");
        assert!(found.iter().any(|one| one.starts_with(&words)), "expected {words}\nfound {found:#?}");
    }
    // As an input of newer operator sets, which may take away too.
    let padded = |pads: &[i64]| {
        let raw = pads.iter().flat_map(|one| one.to_le_bytes()).collect();
        let pads = TensorProto::of_bytes("p".into(), 7, vec![pads.len() as i64], raw);
        told(&model(vec![node("Pad", &["x", "p"], &["y"], vec![])], vec![pads], (&[0, 4], &[0, 0])))
    };
    assert_eq!(
        padded(&[0, 1, 1]),
        ["Pad 'y': input[1] 'p': [0, 1, 1]; expected 4 entries, a begin and an end for each dimension of the input"]
    );
    assert_eq!(padded(&[0, -1, 0, 1]), [""; 0]);
}

#[test]
fn a_cycle_is_told_once_and_in_a_bounded_number_of_words() {
    let ring = |count: usize| {
        let name = |at: usize| format!("n{}", at % count);
        let mut nodes: Vec<_> = (0..count).map(|at| node("Add", &["x", &name(at + 1)], &[&name(at)], vec![])).collect();
        nodes.push(node("Relu", &["n0"], &["y"], vec![]));
        told(&model(nodes, vec![], (&[0, 4], &[0, 4])))
    };
    let found = ring(9);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("a cycle of 9 nodes: Add 'n0' reads 'n1' of Add 'n1', which reads 'n2'"), "{found:#?}");
    assert!(found[0].contains("'n6' of Add 'n6', and so on over 3 more; expected"), "{found:#?}");
    // As many as a file may have are walked through too.
    assert!(ring(50_000)[0].contains("and so on over 49994 more"));
    // A branch that reads what comes of its own node.
    let mut choice = node("If", &["c"], &["a"], vec![]);
    let inner = GraphProto {
        name: Some("inner".to_owned()),
        node: vec![node("Relu", &["y"], &["z"], vec![])],
        output: vec![value("z", 1, &[0, 4])],
        ..GraphProto::default()
    };
    choice.attribute.push(AttributeProto {
        name: Some("then_branch".to_owned()),
        r#type: Some(5),
        g: Some(inner),
        ..AttributeProto::default()
    });
    let found = told(&model(vec![choice, node("Relu", &["a"], &["y"], vec![])], vec![], (&[0, 4], &[0, 4])));
    assert!(found[0].contains("a cycle of 2 nodes: If 'a' reads 'y' of Relu 'y', which reads 'a' of If 'a'"), "{found:#?}");
}

#[test]
fn versions_and_domains_are_known_ones() {
    let plain = || model(vec![node("Relu", &["x"], &["y"], vec![])], vec![], (&[0, 4], &[0, 4]));
    for (change, words) in [
        (
            Box::new(|one: &mut ModelProto| one.ir_version = Some(99)) as Box<dyn Fn(&mut ModelProto)>,
            "model: ir_version: 99; expected 1 to 14",
        ),
        (Box::new(|one| one.opset_import[0].version = Some(99)), "opset_import[0]: version 99 of 'ai.onnx'; known are 1 to 28"),
        (
            Box::new(|one| one.opset_import.push(import("ai.onnx", 9))),
            "opset_import[1]: domain 'ai.onnx' has version 9, and 17 before",
        ),
        (Box::new(|one| one.opset_import.push(import("", 17))), "(warning) opset_import[1]: domain 'ai.onnx' is listed twice"),
        (Box::new(|one| one.opset_import.clear()), "model: opset_import: it is empty"),
        (Box::new(|one| one.graph = None), "model: graph: it has none"),
    ] {
        let mut one = plain();
        change(&mut one);
        let found = told(&one);
        assert!(found.iter().any(|one| one.starts_with(words)), "expected {words}\nfound {found:#?}");
    }
    let mut other = plain();
    other.graph.as_mut().unwrap().node[0].domain = Some("com.example".to_owned());
    assert_eq!(told(&other), ["Relu 'y': domain: 'com.example' is not among the model's opset_import"]);
    other.opset_import.push(import("com.example", 1));
    assert_eq!(told(&other), [""; 0], "of a domain of others nothing is known");
}

#[test]
fn declared_shapes_on_the_way_are_compared_too() {
    let nodes = vec![node("MatMul", &["x", "w"], &["a"], vec![]), node("Relu", &["a"], &["y"], vec![])];
    let mut one = model(nodes, vec![zeros("w", &[4, 6])], (&[0, 4], &[0, 6]));
    one.graph.as_mut().unwrap().value_info = vec![value("a", 1, &[0, 5]), value("gone", 1, &[1])];
    let found = told(&one);
    assert_eq!(
        found,
        [
            "(warning) value_info 'gone': nothing has that name",
            "value_info 'a': shape: [?, 5] is declared; it is [?, 6], as MatMul 'a' makes it"
        ]
    );
}

/// Numbers that arithmetic could fall over.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), Just(0), Just(1), Just(2), Just(1 << 40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_numbers_a_file_has_there_is_an_answer(
        a in prop::collection::vec(number(), 0..5),
        b in prop::collection::vec(number(), 0..5),
        list in prop::collection::vec(number(), 0..5),
        one in number(),
    ) {
        let attributes = || {
            let lists = ["kernel_shape", "strides", "dilations", "pads", "perm"].map(|name| ints(name, &list));
            lists.into_iter().chain(["axis", "group", "to", "transA", "transB", "ceil_mode", "allowzero"].map(|name| int(name, one))).collect::<Vec<_>>()
        };
        let operators = ["Conv", "MaxPool", "Gemm", "MatMul", "Add", "Flatten", "Reshape", "Transpose", "Concat", "Cast", "Shape", "QuantizeLinear"];
        let nodes = operators.iter().map(|operator| node(operator, &["x", "w"], &[operator], attributes())).collect();
        let mut whole = model(nodes, vec![], (&[], &[]));
        let graph = whole.graph.as_mut().unwrap();
        graph.input = vec![value("x", 1, &a)];
        let raw: Vec<u8> = list.iter().flat_map(|one| one.to_le_bytes()).collect();
        graph.initializer = vec![TensorProto::of_bytes("w".into(), 7, b, raw)];
        prop_assert!(!findings(&whole).is_empty());
    }
}
