//! Several nodes made one, before tract sees the graph: what scikit-learn's files compute by many small operators, each of which costs a
//! plan's step and a pass over memory, one operator of ours does in one pass. It answers the same; where a node's value is read
//! elsewhere too, that node stays.
//!
//! Each file here knows one pattern: given a node at which it may end, it returns the node that stands for all of it.

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use super::ops;
use crate::engine::onnx::view::{View, in_place_of, sweep};

mod affine;
mod columns;
mod distances;
mod layer;

/// Where a pattern ends; in the order in which they are looked for, as some are made of others.
const PATTERNS: [fn(&Ground<'_>, &NodeProto) -> Option<NodeProto>; 6] =
    [distances::between_rows, distances::scaled, distances::nearest, columns::encoded, affine::chain, layer::product];

/// What patterns are looked for in.
struct Ground<'a> {
    view: View<'a>,
    graph: &'a GraphProto,
}

impl Ground<'_> {
    /// Whether `value` is an input of the model, FP32 of two dimensions.
    fn is_table(&self, value: &str) -> bool {
        use tract_onnx::pb::{tensor_proto::DataType, type_proto::Value::TensorType};
        let input = self.graph.input.iter().find(|input| input.name == value);
        let kind = input.and_then(|input| input.r#type.as_ref()?.value.as_ref());
        let Some(TensorType(tensor)) = kind else { return false };
        tensor.elem_type == DataType::Float as i32 && tensor.shape.as_ref().is_some_and(|shape| shape.dim.len() == 2)
    }
}

/// Puts one node for several wherever a pattern is found.
pub(super) fn fuse(graph: &mut GraphProto) {
    for pattern in PATTERNS {
        let ground = Ground { view: View::of(graph), graph };
        let ends = graph.node.iter().enumerate();
        let found: Vec<(usize, NodeProto)> = ends.filter_map(|(at, end)| Some((at, pattern(&ground, end)?))).collect();
        if !found.is_empty() {
            found.into_iter().for_each(|(at, node)| graph.node[at] = node);
            sweep(graph);
        }
    }
}

/// A node of ours with one input, if its operator takes these attributes; it gives what `end` gave.
fn own(name: &str, input: &str, end: &NodeProto, attribute: Vec<AttributeProto>) -> Option<NodeProto> {
    let node = in_place_of(end, (ops::DOMAIN, name), input, attribute);
    ops::find(ops::DOMAIN, name).filter(|own| own.fault(&node).is_none()).map(|_| node)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use base64::Engine as _;
    use prost::Message;
    use tract_onnx::pb::{ModelProto, ValueInfoProto};

    use super::*;
    use crate::engine::onnx::file::File;
    use crate::engine::onnx::view::floats;

    /// The model of a case of tests/ml/reference.json, whose answers are compared there.
    fn case(name: &str) -> ModelProto {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ml/reference.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let found = cases.iter().find(|case| case["name"] == name).unwrap();
        let model = base64::prelude::BASE64_STANDARD.decode(found["model"].as_str().unwrap()).unwrap();
        ModelProto::decode(model.as_slice()).unwrap()
    }

    /// The operators that are left.
    fn fused(model: &ModelProto) -> BTreeSet<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        let mut file = File::read(&path).unwrap();
        file.rewrite(fuse);
        file.graph().node.iter().map(|node| node.op_type.clone()).collect()
    }

    #[test]
    fn each_pattern_is_found_in_what_skl2onnx_writes() {
        for (name, made, gone) in [
            ("GaussianNB, float32", &["SquaredDistances"][..], &["Pow", "ReduceSum"][..]),
            ("GaussianNB, float64", &["SquaredDistances"], &["Pow", "ReduceSum"]),
            ("KNeighborsClassifier, float32", &["Nearest"], &["Scan", "TopK", "Sqrt"]),
            ("KNeighborsRegressor, float64", &["Nearest"], &["Scan", "TopK", "Sqrt"]),
            ("RadiusNeighborsRegressor", &["SquaredDistances"], &["Scan"]),
            ("scalers, PCA", &["Affine", "Layer"], &["Mul", "Add", "Scaler", "Sub", "MatMul"]),
            ("OneHotEncoder", &["EncodedColumns"], &["OneHotEncoder", "Concat"]),
            ("OrdinalEncoder", &["EncodedColumns"], &["LabelEncoder", "Concat"]),
            ("KNNImputer", &["KnnImputer"], &["If", "NonZero", "Compress"]),
        ] {
            let left = fused(&case(&format!("whole, {name}")));
            assert!(made.iter().all(|made| left.contains(*made)), "{name}: {left:?}");
            assert!(!gone.iter().any(|gone| left.contains(*gone)), "{name}: {left:?}");
        }
    }

    #[test]
    fn a_value_that_is_read_elsewhere_is_still_made() {
        let mut model = case("whole, KNeighborsClassifier, float32");
        let graph = model.graph.as_mut().unwrap();
        let root = graph.node.iter().find(|node| node.op_type == "Sqrt").unwrap().output[0].clone();
        graph.output.push(ValueInfoProto { name: root, ..ValueInfoProto::default() });
        let left = fused(&model);
        let expected = ["Nearest", "Sqrt", "SquaredDistances"];
        assert!(expected.iter().all(|operator| left.contains(*operator)) && !left.contains("Scan"), "{left:?}");
    }

    /// A function that is called as skl2onnx's but computes something else is written out as any other.
    #[test]
    fn functions_are_known_by_what_they_compute() {
        let mut model = case("whole, KNNImputer");
        let weights = model.functions.iter_mut().find(|function| function.name() == "calc_impute_weights").unwrap();
        let constant = weights.node[0].attribute[0].t.as_mut().unwrap();
        constant.raw_data = 0.5_f32.to_le_bytes().to_vec();
        constant.float_data.clear();
        let left = fused(&model);
        assert!(left.contains("NonZero") && !left.contains("KnnImputer"), "{left:?}");
    }

    /// Files are not sorted when they are fused, and nothing has counted inputs.
    #[test]
    fn a_cycle_and_nodes_without_inputs_are_survived() {
        for name in ["GaussianNB, float32", "KNeighborsClassifier, float32", "scalers, PCA", "OneHotEncoder", "OrdinalEncoder"] {
            let whole = case(&format!("whole, {name}")).graph.unwrap();
            for at in 0..whole.node.len() {
                let mut graph = whole.clone();
                graph.node[at].input.clear();
                fuse(&mut graph);
            }
        }
        let scaler = |input: &str, output: &str| NodeProto {
            domain: "ai.onnx.ml".to_owned(),
            op_type: "Scaler".to_owned(),
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            attribute: vec![floats("offset", vec![1.0, 2.0])],
            ..NodeProto::default()
        };
        let output = vec![ValueInfoProto { name: "y".to_owned(), ..ValueInfoProto::default() }];
        let node = vec![scaler("a", "b"), scaler("b", "a"), scaler("a", "y")];
        let mut graph = GraphProto { node, output, ..GraphProto::default() };
        fuse(&mut graph);
        assert_eq!(graph.node.len(), 3);
    }
}
