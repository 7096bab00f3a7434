use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::tests::{apply, attribute, floats, model, node};
use super::super::{Heads, Refused, Step, attentions, masked};
use super::least;
use crate::check::check;
use crate::lint;
use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, data_type};

const HEADS: usize = 4;
const PLACES: usize = 2;
const WIDTH: i64 = 8;

fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw = values.iter().flat_map(|one| one.to_le_bytes()).collect();
    TensorProto::of_bytes(name.into(), data_type::INT64, vec![i64::try_from(values.len()).unwrap()], raw)
}

fn order(axes: &[i64]) -> Vec<AttributeProto> {
    vec![AttributeProto { name: Some("perm".into()), r#type: Some(7), ints: axes.to_vec(), ..AttributeProto::default() }]
}

fn with(mut node: NodeProto, attribute: Vec<AttributeProto>) -> NodeProto {
    node.attribute = attribute;
    node
}

/// An attention whose weights are the number of their head, from 1 on; its shapes are shared by queries, keys and values.
fn attention() -> ModelProto {
    let mut nodes = Vec::new();
    for (name, axes) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
        let of = |end: &str| format!("{name}{end}");
        nodes.push(node("MatMul", &["x", &of("w")], &of("1")));
        nodes.push(node("Add", &[&of("1"), "b"], &of("2")));
        nodes.push(node("Reshape", &[&of("2"), "apart"], &of("3")));
        nodes.push(with(node("Transpose", &[&of("3")], &of("4")), order(&axes)));
    }
    nodes.push(node("MatMul", &["q4", "k4"], "s1"));
    nodes.push(node("Mul", &["s1", "scale"], "s2"));
    nodes.push(node("Softmax", &["s2"], "s3"));
    nodes.push(node("MatMul", &["s3", "v4"], "c1"));
    nodes.push(with(node("Transpose", &["c1"], "c2"), order(&[0, 2, 1, 3])));
    nodes.push(node("Reshape", &["c2", "together"], "c3"));
    nodes.push(node("MatMul", &["c3", "o"], "y"));
    let columns: Vec<f32> = (0..64_u8).map(|at| f32::from(at % 8 / 2 + 1)).collect();
    let rows: Vec<f32> = (0..64_u8).map(|at| f32::from(at / 16 + 1)).collect();
    let made = ["qw", "kw", "vw"].map(|name| floats(name, &[WIDTH, WIDTH], &columns));
    let others = [
        floats("b", &[WIDTH], &columns[..8]),
        floats("o", &[WIDTH, WIDTH], &rows),
        floats("scale", &[], &[0.5]),
        integers("apart", &[0, 0, 4, 2]),
        integers("together", &[0, 0, WIDTH]),
    ];
    model(nodes, made.into_iter().chain(others).collect())
}

fn pruned(share: f64, losses: BTreeMap<String, Vec<f64>>) -> Result<(ModelProto, usize), Refused> {
    let mut whole = attention();
    let gone = apply(&Step::Heads(Heads { share, losses }), &mut whole)?;
    check(&whole).unwrap();
    Ok((whole, gone))
}

fn initializer<'a>(model: &'a ModelProto, name: &str) -> &'a TensorProto {
    model.graph.as_ref().unwrap().initializer.iter().find(|one| one.name() == name).unwrap()
}

/// The head that each column of a weight is of.
fn of_columns(model: &ModelProto, name: &str) -> Vec<f32> {
    let tensor = initializer(model, name);
    let columns = tensor.shape()[tensor.dims.len() - 1];
    tensor.floats().unwrap()[..columns].to_vec()
}

#[test]
fn the_smallest_heads_go_with_all_that_is_theirs() {
    let (after, gone) = pruned(0.5, BTreeMap::new()).unwrap();
    assert_eq!(gone, 2);
    for name in ["qw", "kw", "vw"] {
        assert_eq!(initializer(&after, name).dims, [8, 4]);
        assert_eq!(of_columns(&after, name), [3.0, 3.0, 4.0, 4.0]);
    }
    let read = initializer(&after, "o");
    assert_eq!((&*read.dims, read.floats().unwrap()[0], read.floats().unwrap()[31]), (&[4, 8][..], 3.0, 4.0));
    for node in &after.graph.as_ref().unwrap().node {
        match node.op_type() {
            "Reshape" if node.input[0] == "c2" => assert_eq!(initializer(&after, &node.input[1]).integers(), Some(vec![0, 0, 4])),
            "Reshape" => assert_eq!(initializer(&after, &node.input[1]).integers(), Some(vec![0, 0, 2, 2])),
            // One bias that three read is a bias of its own for each.
            "Add" => assert_eq!(of_columns(&after, &node.input[1]), [3.0, 3.0, 4.0, 4.0]),
            _ => {}
        }
    }
}

#[test]
fn what_answers_lose_decides_where_it_is_told_and_one_head_stays() {
    let losses = BTreeMap::from([("c1".to_owned(), vec![0.4, 0.3, 0.1, 0.2])]);
    assert_eq!(of_columns(&pruned(0.5, losses.clone()).unwrap().0, "vw"), [1.0, 1.0, 2.0, 2.0]);
    let (after, gone) = pruned(0.99, losses).unwrap();
    assert_eq!((gone, of_columns(&after, "vw")), (3, vec![1.0, 1.0]));
    let told = pruned(0.2, BTreeMap::new()).unwrap_err().to_string();
    assert!(told.contains("0.2 of 4 heads is less than one head"), "{told}");
    let told = pruned(0.5, BTreeMap::from([("c1".to_owned(), vec![0.1])])).unwrap_err().to_string();
    assert!(told.contains("c1: what its heads are worth is not told"), "{told}");
}

#[test]
fn the_least_of_all_attentions_go_first() {
    let worths = vec![vec![0.1, 0.2, 0.3], vec![0.15, 0.9, 0.8]];
    assert_eq!(least(&worths, 2), [vec![0], vec![0]]);
    assert_eq!(least(&worths, 5), [vec![0, 1], vec![0, 2]], "each keeps its best");
}

#[test]
fn heads_that_somebody_else_knows_of_stay() {
    let mut shown = attention();
    let output = crate::proto::ValueInfoProto { name: Some("k4".into()), ..Default::default() };
    shown.graph.as_mut().unwrap().output.push(output);
    let mut tied = attention();
    tied.graph.as_mut().unwrap().node.push(node("MatMul", &["x", "vw"], "z"));
    let mut masked = attention();
    masked.graph.as_mut().unwrap().node[13].input[1] = "b2".into();
    masked.graph.as_mut().unwrap().node.insert(0, node("Exp", &["x"], "b2"));
    for (mut model, words) in [
        (shown, "c1: 'k4', which has the heads, is an output of the model"),
        (tied, "c1: weight 'vw' is used elsewhere too"),
        (masked, "c1: 'x', which has the heads, is made by no node"),
    ] {
        let before = model.clone();
        let told = apply(&Step::Heads(Heads { share: 0.5, ..Heads::default() }), &mut model).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
        assert_eq!(model, before);
        assert_eq!(attentions(&model).0, []);
    }
}

#[test]
fn a_model_for_trials_leaves_heads_out_by_an_input() {
    let (asked, masks) = masked(&attention());
    check(&asked).unwrap();
    let [mask] = &*masks else { panic!("{masks:?}") };
    assert_eq!((mask.attention.name.as_str(), mask.attention.heads, mask.shape(3)), ("c1", HEADS, vec![3, HEADS, 1, 1]));
    assert_eq!(mask.values(2, Some(1)), [1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    let graph = asked.graph.unwrap();
    assert!(graph.input.iter().any(|one| one.name() == mask.input));
    let product = graph.node.iter().find(|node| node.input.contains(&mask.input)).unwrap();
    assert_eq!((product.op_type(), &*product.output), ("Mul", &["c1".to_owned()][..]));
    assert_eq!(WIDTH, i64::try_from(HEADS * PLACES).unwrap());
}

/// One thing of a model that is not as it was.
#[derive(Clone, Debug)]
enum Change {
    Input(usize, usize, usize),
    Operator(usize, usize),
    Axes(usize, Vec<i64>),
    Shape(usize, Vec<i64>),
    Attribute(usize, usize, i64),
}

fn change() -> impl Strategy<Value = Change> {
    let size = prop_oneof![-3..10_i64, Just(i64::MAX), Just(i64::MIN), Just(1 << 40)];
    prop_oneof![
        (0..20_usize, 0..3_usize, 0..40_usize).prop_map(|(node, slot, name)| Change::Input(node, slot, name)),
        (0..20_usize, 0..16_usize).prop_map(|(node, operator)| Change::Operator(node, operator)),
        (0..20_usize, prop::collection::vec(-2..6_i64, 0..6)).prop_map(|(node, axes)| Change::Axes(node, axes)),
        (0..8_usize, prop::collection::vec(size.clone(), 0..6)).prop_map(|(at, sizes)| Change::Shape(at, sizes)),
        (0..20_usize, 0..6_usize, size).prop_map(|(node, which, value)| Change::Attribute(node, which, value)),
    ]
}

const OPERATORS: [&str; 16] = [
    "Split",
    "Gather",
    "Squeeze",
    "Slice",
    "Concat",
    "Shape",
    "Softmax",
    "Where",
    "Attention",
    "Gemm",
    "Expand",
    "Range",
    "Reshape",
    "Unsqueeze",
    "ConstantOfShape",
    "If",
];
const ATTRIBUTES: [&str; 6] = ["axis", "q_num_heads", "kv_num_heads", "transB", "to", "allowzero"];

fn changed(model: &mut ModelProto, change: &Change) {
    let graph = model.graph.as_mut().unwrap();
    let nodes = graph.node.len();
    match change {
        Change::Input(node, slot, name) => {
            let names: Vec<String> = graph
                .initializer
                .iter()
                .map(|one| one.name().to_owned())
                .chain(graph.node.iter().flat_map(|node| node.output.clone()))
                .collect();
            let inputs = &mut graph.node[node % nodes].input;
            inputs.resize((*slot + 1).max(inputs.len()), String::new());
            inputs[*slot].clone_from(&names[name % names.len()]);
        }
        Change::Operator(node, operator) => graph.node[node % nodes].op_type = Some(OPERATORS[*operator].to_owned()),
        Change::Axes(node, axes) => graph.node[node % nodes].attribute = order(axes),
        Change::Shape(at, sizes) => {
            let name = graph.initializer[at % graph.initializer.len()].name().to_owned();
            let at = at % graph.initializer.len();
            graph.initializer[at] = integers(&name, sizes);
        }
        Change::Attribute(node, which, value) => graph.node[node % nodes].attribute.push(attribute(ATTRIBUTES[*which], *value)),
    }
}

/// Before a model is checked a node may lack anything.
#[test]
fn nodes_without_inputs_or_outputs_and_empty_weights_are_survived() {
    let left = |change: &dyn Fn(&mut ModelProto)| {
        let mut model = attention();
        change(&mut model);
        attentions(&model)
    };
    let graph = |model: &mut ModelProto, change: &dyn Fn(&mut GraphProto)| change(model.graph.as_mut().unwrap());
    let (found, why) = left(&|model| graph(model, &|graph| graph.node.push(node("MatMul", &[], "z"))));
    assert_eq!((found.len(), why.len()), (1, 0));
    for operator in ["Split", "Reshape"] {
        let blind = || NodeProto { output: vec![], ..node(operator, &["c2", "together"], "") };
        let (found, why) = left(&|model| graph(model, &|graph| graph.node.push(blind())));
        assert!(found.is_empty() && why.len() == 1, "{operator}: {why:?}");
    }
    let empty = |graph: &mut GraphProto| {
        graph.initializer.iter_mut().filter(|one| one.name() == "o").for_each(|one| *one = floats("o", &[WIDTH, 0], &[]))
    };
    let (found, why) = left(&|model| graph(model, &empty));
    assert!(found.is_empty() && why[0].contains("is no FP32 weight"), "{why:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is changed of an attention: it is refused, or what comes of it is as sound as it was.
    #[test]
    fn changed_models_are_rewritten_or_refused(changes in prop::collection::vec(change(), 1..5), share in 0.1_f64..0.99) {
        let mut whole = attention();
        changes.iter().for_each(|change| changed(&mut whole, change));
        let findings = lint::findings(&whole);
        if check(&whole).is_err() {
            prop_assert!(!findings.is_empty(), "what cannot be read is found");
            return Ok(());
        }
        let (asked, _) = masked(&whole);
        prop_assert!(check(&asked).is_ok());
        let heads = Step::Heads(Heads { share, ..Heads::default() });
        for step in [Step::Fold, heads.clone(), Step::Identities, Step::Duplicates, Step::Dead, heads, Step::Int8, Step::Dynamic] {
            if let Err(refused) = apply(&step, &mut whole) {
                prop_assert!(!refused.to_string().is_empty());
            }
            prop_assert_eq!(check(&whole), Ok(()), "{:?}", step);
        }
        prop_assert!(lint::findings(&whole).iter().all(|finding| !finding.what.is_empty()));
    }
}
