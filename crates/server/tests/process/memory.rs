//! Unloading a model returns its memory.

use prost::Message;
use serde_json::json;
use tract_onnx::pb;

use crate::http::post;
use crate::server::{Server, eventually, mnist};

/// A square matrix of as many FP32 is 100 MB.
const WIDTH: i64 = 5000;

/// x [-1, width] times a square matrix, every element of which differs, so that no page is shared or left out.
pub(crate) fn product(width: i64) -> Vec<u8> {
    let float = pb::tensor_proto::DataType::Float as i32;
    let port = |name: &str| {
        let dimension = |value| pb::tensor_shape_proto::Dimension { value: Some(value), ..Default::default() };
        let rows = pb::tensor_shape_proto::dimension::Value::DimParam("rows".to_owned());
        let columns = pb::tensor_shape_proto::dimension::Value::DimValue(width);
        let shape = pb::TensorShapeProto { dim: vec![dimension(rows), dimension(columns)] };
        let tensor = pb::type_proto::Tensor { elem_type: float, shape: Some(shape) };
        let value = Some(pb::type_proto::Value::TensorType(tensor));
        pb::ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(pb::TypeProto { value, ..Default::default() }),
            ..Default::default()
        }
    };
    let weights = (0..width * width).flat_map(|index| (index as f32 * 1e-9).to_le_bytes()).collect();
    let matrix = pb::TensorProto {
        name: "w".to_owned(),
        dims: vec![width, width],
        data_type: float,
        raw_data: weights,
        ..Default::default()
    };
    let node = pb::NodeProto {
        op_type: "MatMul".to_owned(),
        input: vec!["x".to_owned(), "w".to_owned()],
        output: vec!["y".to_owned()],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        name: "large".to_owned(),
        node: vec![node],
        initializer: vec![matrix],
        input: vec![port("x")],
        output: vec![port("y")],
        ..Default::default()
    };
    let opset = pb::OperatorSetIdProto { version: 13, ..Default::default() };
    pb::ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..Default::default() }.encode_to_vec()
}

#[test]
fn ten_loads_and_unloads_of_100_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.onnx");
    std::fs::write(&file, product(WIDTH)).unwrap();
    let large = json!({ "name": "large", "uri": format!("file:{}", file.display()) });
    let server = Server::start_with(&[mnist(), large], &json!({ "threads": 2, "requestTimeout": "1m" }), |command| {
        command.arg("--allow-control");
    });
    let control = |what: &str| {
        let answer = post(server.address(), &format!("/v2/repository/models/large/{what}"), "{}").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let body = json!({ "instances": vec![vec![0.5; WIDTH as usize]; 3] }).to_string();
    let mut after_first = None;
    for round in 1..=10 {
        let answer = post(server.address(), "/v1/models/large:predict", &body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let loaded = server.resident();
        assert!(loaded > 100_000_000, "the model is in memory: {loaded}");
        control("unload");
        // The first time: less than the model alone.
        let limit = after_first.map_or(100_000_000, |first| first + first / 10);
        let began = std::time::Instant::now();
        let resident = eventually("the memory comes back", || Some(server.resident()).filter(|resident| *resident <= limit));
        let waited = began.elapsed();
        after_first.get_or_insert(resident);
        let began = std::time::Instant::now();
        control("load");
        let (loaded, resident, load) = (loaded / 1_000_000, resident / 1_000_000, began.elapsed());
        println!("round {round}: {loaded} MB loaded, {resident} MB {waited:?} after the unload; loaded again in {load:?}");
    }
}
