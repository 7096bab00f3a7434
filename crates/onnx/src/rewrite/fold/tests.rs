use super::super::Step;
use super::super::tests::{after, apply, attribute, floats, model, node, wired};
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, data_type,
    tensor_shape_proto, type_proto,
};

fn integers(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let raw = values.iter().flat_map(|one| one.to_le_bytes()).collect();
    TensorProto::of_bytes(name.into(), data_type::INT64, dims.to_vec(), raw)
}

fn truth(name: &str, value: u8) -> TensorProto {
    TensorProto::of_bytes(name.into(), 9, vec![], vec![value])
}

/// A model whose input has these dimensions, -1 for what each run finds.
fn shaped(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>, dims: &[i64]) -> ModelProto {
    let mut made = model(nodes, tensors);
    let dim = |size: &i64| tensor_shape_proto::Dimension {
        value: (*size >= 0).then_some(tensor_shape_proto::dimension::Value::DimValue(*size)),
        ..Default::default()
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let kind = type_proto::Value::TensorType(type_proto::Tensor { elem_type: Some(1), shape });
    made.graph.as_mut().unwrap().input[0].r#type = Some(TypeProto { value: Some(kind), ..TypeProto::default() });
    made
}

fn tensor<'a>(graph: &'a GraphProto, name: &str) -> &'a TensorProto {
    graph.initializer.iter().find(|one| one.name() == name).unwrap_or_else(|| panic!("no '{name}'"))
}

#[test]
fn sizes_that_the_file_fixes_are_constants() {
    // Reshape(x, [x.shape[1] * 2, -1]), as exporters write it.
    let nodes = vec![
        node("Shape", &["x"], "s"),
        node("Gather", &["s", "one"], "d"),
        node("Mul", &["d", "two"], "e"),
        node("Unsqueeze", &["e", "axes"], "f"),
        node("Concat", &["f", "rest"], "g"),
        node("Reshape", &["x", "g"], "y"),
    ];
    let mut nodes = nodes;
    nodes[4].attribute = vec![attribute("axis", 0)];
    let tensors = || {
        vec![integers("one", &[], &[1]), integers("two", &[], &[2]), integers("axes", &[1], &[0]), integers("rest", &[1], &[-1])]
    };
    let (graph, changed) = after(shaped(nodes.clone(), tensors(), &[-1, 3, 4]), Step::Fold);
    // The Shape that nobody reads any more is left to the step that removes those.
    assert_eq!((wired(&graph), changed), (vec!["Shape(x)->s".to_owned(), "Reshape(x,g)->y".to_owned()], 4));
    assert_eq!(tensor(&graph, "g").integers(), Some(vec![6, -1]));
    // What each run finds stays.
    let (graph, changed) = after(shaped(nodes, tensors(), &[3, -1, 4]), Step::Fold);
    assert_eq!((graph.node.len(), changed), (6, 0));
}

#[test]
fn an_initializer_that_is_an_input_is_no_constant() {
    let mut made = model(vec![node("Add", &["w", "w"], "z"), node("Add", &["x", "z"], "y")], vec![floats("w", &[1], &[1.0])]);
    made.graph.as_mut().unwrap().input.push(ValueInfoProto { name: Some("w".into()), ..ValueInfoProto::default() });
    assert_eq!(after(made, Step::Fold).1, 0);
}

#[test]
fn what_would_be_large_stays() {
    let expand = |size: i64| {
        let nodes = vec![node("Expand", &["w", "s"], "z"), node("Add", &["x", "z"], "y")];
        after(model(nodes, vec![floats("w", &[1], &[1.0]), integers("s", &[1], &[size])]), Step::Fold).1
    };
    assert_eq!((expand(1 << 16), expand((1 << 16) + 1), expand(i64::MAX), expand(-1)), (1, 0, 0, 0));
    // One's own weight may be as large as it was.
    let size = 300_i64;
    let weight = || floats("w", &[size, size], &vec![0.5; 90_000]);
    let turned = vec![node("Transpose", &["w"], "z"), node("MatMul", &["x", "z"], "y")];
    assert_eq!(after(model(turned.clone(), vec![weight()]), Step::Fold).1, 1);
    let shared = [vec![node("MatMul", &["x", "w"], "v"), turned[0].clone()], vec![node("MatMul", &["v", "z"], "y")]].concat();
    assert_eq!(after(model(shared, vec![weight()]), Step::Fold).1, 0, "it would be there twice");
}

fn within(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>, inputs: &[&str], outputs: &[&str]) -> GraphProto {
    let value = |name: &&str| ValueInfoProto { name: Some((*name).to_owned()), ..ValueInfoProto::default() };
    let (input, output) = (inputs.iter().map(value).collect(), outputs.iter().map(value).collect());
    GraphProto { node: nodes, initializer: tensors, input, output, ..GraphProto::default() }
}

fn graph_of(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(5), g: Some(graph), ..AttributeProto::default() }
}

#[test]
fn a_branch_that_a_constant_decides_takes_its_node_s_place() {
    for (value, operator) in [(1, "Abs"), (0, "Neg")] {
        let mut choice = node("If", &["c"], "a");
        // Both branches call theirs the same, and the outer graph too.
        choice.attribute = vec![
            graph_of(
                "then_branch",
                within(
                    vec![node("Abs", &["x"], "z"), node("Add", &["z", "w"], "b")],
                    vec![floats("w", &[1], &[2.0])],
                    &[],
                    &["b"],
                ),
            ),
            graph_of("else_branch", within(vec![node("Neg", &["x"], "z")], vec![], &[], &["z"])),
        ];
        let (graph, changed) = after(model(vec![choice, node("Relu", &["a"], "y")], vec![truth("c", value)]), Step::Fold);
        assert_eq!((graph.node[0].op_type(), changed), (operator, 1), "{:?}", wired(&graph));
        assert!(graph.node.iter().all(|node| !node.is("If")));
    }
}

#[test]
fn few_rounds_of_a_loop_are_written_out() {
    let looped = |rounds: i64, condition: &str| {
        let body = within(
            vec![node("Add", &["v", "x"], "w"), node("Identity", &[condition], "o"), node("Mul", &["w", "w"], "r")],
            vec![],
            &["i", "c", "v"],
            &["o", "w", "r"],
        );
        let mut all = node("Loop", &["m", "", "x"], "a");
        all.output.push("s".into());
        all.attribute = vec![graph_of("body", body)];
        let tensors = vec![integers("m", &[], &[rounds])];
        after(model(vec![all, node("ReduceSum", &["s"], "t"), node("Add", &["a", "t"], "y")], tensors), Step::Fold)
    };
    let (graph, changed) = looped(3, "c");
    assert_eq!(changed, 4, "the loop, and what each round hands on as its condition");
    let count = |operator: &str| graph.node.iter().filter(|node| node.is(operator)).count();
    assert_eq!((count("Add"), count("Mul"), count("Unsqueeze"), count("Concat"), count("Loop")), (4, 3, 3, 1, 0));
    assert_eq!(looped(17, "c").1, 0, "too many rounds");
    assert_eq!(looped(0, "c").1, 0, "rows of no round have no shape");
}

/// A tensor without elements can say of its other dimensions what it likes.
#[test]
fn what_has_no_elements_but_large_dimensions_stays() {
    let empty = || integers("e", &[1 << 40, 0], &[]);
    let ends = || [integers("f", &[1], &[0]), integers("t", &[1], &[1]), integers("ax", &[1], &[1])];
    let mut concat = node("Concat", &["e", "e"], "z");
    concat.attribute = vec![attribute("axis", 1)];
    for (last, tensors) in [
        (concat, vec![]),
        (node("Slice", &["e", "f", "t", "ax"], "z"), ends().to_vec()),
        (node("Reshape", &["none", "to"], "z"), vec![integers("none", &[0], &[]), integers("to", &[2], &[0, 1 << 40])]),
    ] {
        let nodes = vec![last.clone(), node("Add", &["x", "z"], "y")];
        let tensors = tensors.into_iter().chain([empty()]).collect();
        assert_eq!(apply(&Step::Fold, &mut model(nodes, tensors)), Ok(0), "{}", last.op_type());
    }
}

#[test]
fn a_condition_that_goes_in_circles_decides_no_loop() {
    let circle = vec![node("Identity", &["p"], "o"), node("Identity", &["o"], "p")];
    let mut all = node("Loop", &["m", "", "x"], "y");
    all.attribute = vec![graph_of("body", within(circle, vec![], &["i", "c", "v"], &["o", "v"]))];
    assert_eq!(apply(&Step::Fold, &mut model(vec![all], vec![integers("m", &[], &[2])])), Ok(0));
}

/// Values that are told in any form give what NumPy gives.
#[test]
fn operators_compute_as_they_are_defined() {
    let numbers = |values: &[i64]| integers("a", &[i64::try_from(values.len()).unwrap()], values);
    let fold = |mut last: NodeProto, tensors: Vec<TensorProto>, attributes: Vec<AttributeProto>| {
        last.attribute = attributes;
        let (graph, _) = after(model(vec![last, node("Add", &["x", "z"], "y")], tensors), Step::Fold);
        graph.initializer.iter().find(|one| one.name() == "z").map(|one| (one.dims.clone(), one.integers(), one.floats()))
    };
    let whole = |dims: &[i64], values: &[i64]| Some((dims.to_vec(), Some(values.to_vec()), None));
    let range = node("Range", &["f", "t", "s"], "z");
    let three = |from, to, step| vec![integers("f", &[], &[from]), integers("t", &[], &[to]), integers("s", &[], &[step])];
    assert_eq!(fold(range.clone(), three(10, 3, -3), vec![]), whole(&[3], &[10, 7, 4]));
    assert_eq!(fold(range.clone(), three(0, 5, -1), vec![]), whole(&[0], &[]));
    assert_eq!(fold(range.clone(), three(0, 5, 0), vec![]), None);
    assert_eq!(fold(range, three(i64::MIN, i64::MAX, 1), vec![]), None);
    let pair = |operator| node(operator, &["a", "b"], "z");
    let two = |a: i64, b: i64| vec![integers("a", &[], &[a]), integers("b", &[], &[b])];
    for (operator, a, b, wanted) in [
        ("Div", -7, 2, Some(-3)),
        ("Mod", -7, 2, Some(1)),
        ("Div", 1, 0, None),
        ("Div", i64::MIN, -1, Some(i64::MIN)),
        ("Pow", 2, 10, Some(1024)),
    ] {
        assert_eq!(fold(pair(operator), two(a, b), vec![]), wanted.and_then(|wanted| whole(&[], &[wanted])), "{operator}");
    }
    let slice = |from: i64, to: i64, step: i64| {
        let list = |name: &str, value| integers(name, &[1], &[value]);
        fold(
            node("Slice", &["a", "f", "t", "ax", "s"], "z"),
            vec![numbers(&[0, 1, 2, 3, 4]), list("f", from), list("t", to), list("ax", 0), list("s", step)],
            vec![],
        )
    };
    assert_eq!(slice(-2, i64::MAX, 1), whole(&[2], &[3, 4]));
    assert_eq!(slice(-1, i64::MIN, -2), whole(&[3], &[4, 2, 0]));
    assert_eq!(slice(3, 1, 1), whole(&[0], &[]));
    assert_eq!(slice(0, 5, 0), None);
    let cast =
        |value: f32, to: i64| fold(node("Cast", &["w"], "z"), vec![floats("w", &[1], &[value])], vec![attribute("to", to)]);
    assert_eq!(cast(-2.9, 7), whole(&[1], &[-2]));
    assert_eq!((cast(f32::NAN, 7), cast(1e20, 7), cast(300.0, 2)), (None, None, None), "what is not defined stays");
    let gather = fold(node("Gather", &["a", "b"], "z"), vec![numbers(&[5, 6, 7]), integers("b", &[2], &[-1, 0])], vec![]);
    assert_eq!(gather, whole(&[2], &[7, 5]));
    assert_eq!(fold(node("Gather", &["a", "b"], "z"), vec![numbers(&[5]), integers("b", &[1], &[1])], vec![]), None);
}
