//! Files read and written, with contents that stay where they are.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;

use crate::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto};
use crate::rewrite::Step;
use crate::store::Store;
use crate::{external_files, read, size, write};

/// A product with a large weight of `rows` rows of 512, and a small one.
fn model(rows: i64) -> ModelProto {
    let value = |name: &str| vec![ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() }];
    let node = |inputs: [&str; 2], output: &str| NodeProto {
        op_type: Some("MatMul".to_owned()),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let count = rows * 512;
    let values: Vec<f32> = (0..count).map(|at| (at % 251) as f32 / 16.0 - 7.0).collect();
    let graph = GraphProto {
        node: vec![node(["x", "w"], "a"), node(["a", "v"], "y")],
        initializer: vec![
            TensorProto::of_floats("w".into(), vec![rows, 512], &values),
            TensorProto::of_floats("v".into(), vec![512, 2], &values[..1024]),
        ],
        input: value("x"),
        output: value("y"),
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() }];
    ModelProto { ir_version: Some(8), opset_import, graph: Some(graph), ..ModelProto::default() }
}

fn in_files(model: &ModelProto) -> usize {
    model.graph.iter().flat_map(|graph| &graph.initializer).filter(|tensor| tensor.raw_data.is_none()).count()
}

#[test]
fn large_contents_stay_in_the_file_and_come_out_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.onnx"), folder.path().join("other.onnx"));
    let plain = model(1024);
    std::fs::write(&one, plain.encode_to_vec()).unwrap();
    let read_back = read(&one).unwrap();
    assert_eq!(in_files(&read_back), 1, "the large one is left where it is");
    assert_eq!(size(&read_back), std::fs::metadata(&one).unwrap().len());
    assert!(external_files(&one).unwrap().is_empty(), "its own file is none beside it");
    write(&read_back, &other).unwrap();
    assert_eq!(ModelProto::decode(Bytes::from(std::fs::read(&other).unwrap())).unwrap(), plain);
    // In its own place too.
    write(&read_back, &one).unwrap();
    assert_eq!(ModelProto::decode(Bytes::from(std::fs::read(&one).unwrap())).unwrap(), plain);
}

/// The numbers of the large weight in a list, as some writers have them, and of FP64 too.
#[test]
fn large_lists_of_numbers_stay_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.onnx"), folder.path().join("other.onnx"));
    let plain = model(1024);
    let mut listed = plain.clone();
    let large = &mut listed.graph.as_mut().unwrap().initializer[0];
    large.float_data = large.floats().unwrap();
    large.raw_data = None;
    std::fs::write(&one, listed.encode_to_vec()).unwrap();
    let read_back = read(&one).unwrap();
    let kept = &read_back.graph.as_ref().unwrap().initializer[0];
    assert!(kept.float_data.is_empty() && kept.raw_data.is_none(), "it is left where it is");
    write(&read_back, &other).unwrap();
    assert_eq!(ModelProto::decode(Bytes::from(std::fs::read(&other).unwrap())).unwrap(), plain, "it is raw data now");
    // In two pieces, or with raw data beside it, it is for the reader of the message to say what it is.
    let mut pieces = listed.encode_to_vec();
    let within = GraphProto {
        initializer: vec![TensorProto {
            float_data: vec![1.0; 1 << 19],
            data_type: Some(1),
            dims: vec![1 << 20],
            name: Some("z".into()),
            ..TensorProto::default()
        }],
        ..GraphProto::default()
    };
    let mut second = within.initializer[0].encode_to_vec();
    second.extend(TensorProto { float_data: vec![2.0; 1 << 19], ..TensorProto::default() }.encode_to_vec());
    let mut graph = Vec::new();
    crate::scan::varint(5 << 3 | 2, &mut graph);
    crate::scan::varint(second.len() as u64, &mut graph);
    graph.extend(second);
    crate::scan::varint(7 << 3 | 2, &mut pieces);
    crate::scan::varint(graph.len() as u64, &mut pieces);
    pieces.extend(graph);
    std::fs::write(&one, &pieces).unwrap();
    let found = read(&one).unwrap();
    let whole = &found.graph.as_ref().unwrap().initializer[2];
    assert_eq!((whole.float_data.len(), whole.float_data[0], whole.float_data[1 << 19]), (1 << 20, 1.0, 2.0));
    let doubles = TensorProto {
        double_data: vec![0.5; 1 << 18],
        data_type: Some(11),
        dims: vec![1 << 18],
        name: Some("d".into()),
        ..TensorProto::default()
    };
    let mut wide = plain;
    wide.graph.as_mut().unwrap().initializer.push(doubles);
    std::fs::write(&one, wide.encode_to_vec()).unwrap();
    let found = read(&one).unwrap();
    assert!(found.graph.as_ref().unwrap().initializer[2].double_data.is_empty());
    write(&found, &other).unwrap();
    let back = ModelProto::decode(Bytes::from(std::fs::read(&other).unwrap())).unwrap();
    assert_eq!(back.graph.unwrap().initializer[2].doubles(), Some(vec![0.5; 1 << 18]));
}

#[test]
fn what_one_message_cannot_hold_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let plain = model(1024);
    crate::write::write_within(&plain, &path, 100_000).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
    assert_eq!(external_files(&path).unwrap().into_iter().collect::<Vec<_>>(), [Path::new("model.onnx.data")]);
    let read_back = read(&path).unwrap();
    assert_eq!(in_files(&read_back), 1);
    // Again in the same place: what the model there names is not written over.
    crate::write::write_within(&read_back, &path, 100_000).unwrap();
    assert_eq!(external_files(&path).unwrap().into_iter().collect::<Vec<_>>(), [Path::new("model.onnx.data-1")]);
    let whole = folder.path().join("whole.onnx");
    write(&read(&path).unwrap(), &whole).unwrap();
    assert_eq!(ModelProto::decode(Bytes::from(std::fs::read(&whole).unwrap())).unwrap(), plain);
    let told = crate::write::write_within(&plain, &path, 100).unwrap_err().to_string();
    assert!(told.contains("without the contents of its initializers"), "{told}");
}

#[test]
fn rewrites_of_what_lies_in_files_are_those_of_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.onnx"), folder.path().join("to.onnx"));
    for step in [Step::Half, Step::Int8, Step::Prune(0.3), Step::Dynamic, Step::Channels(0.25)] {
        let mut plain = model(1024);
        std::fs::write(&from, plain.encode_to_vec()).unwrap();
        let mut lazy = read(&from).unwrap();
        let mut store = Store::within(folder.path());
        let changes = (step.apply(&mut plain, &mut store).unwrap(), step.apply(&mut lazy, &mut store).unwrap());
        assert_eq!(changes.0, changes.1, "{step:?}");
        write(&lazy, &to).unwrap();
        let found = ModelProto::decode(Bytes::from(std::fs::read(&to).unwrap())).unwrap();
        write(&plain, &to).unwrap();
        assert_eq!(found, ModelProto::decode(Bytes::from(std::fs::read(&to).unwrap())).unwrap(), "{step:?}");
    }
}

#[test]
fn equal_contents_in_a_file_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut plain = model(1024);
    let graph = plain.graph.as_mut().unwrap();
    graph.initializer[1] = TensorProto { name: Some("v".into()), ..graph.initializer[0].clone() };
    std::fs::write(&path, plain.encode_to_vec()).unwrap();
    let mut lazy = read(&path).unwrap();
    assert_eq!(in_files(&lazy), 2);
    assert_eq!(Step::Duplicates.apply(&mut lazy, &mut Store::within(folder.path())).unwrap().count, 1);
}

#[test]
fn places_outside_the_folder_and_the_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(folder.path().join("data"), [0; 64]).unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    for (location, length, words) in [
        ("../data", "64", "leaves the model's folder"),
        (outside.path().to_str().unwrap(), "64", "leaves the model's folder"),
        ("data", "65", "it wants 65 bytes at 0 of 'data', which has 64"),
        ("data", "many", "expected a number of bytes"),
        ("absent", "64", "'absent' cannot be read"),
    ] {
        let mut plain = model(1024);
        let tensor = &mut plain.graph.as_mut().unwrap().initializer[1];
        let entry = |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
        (tensor.raw_data, tensor.data_location) = (None, Some(1));
        tensor.dims = vec![length.parse().unwrap_or(64) / 4, 1];
        tensor.external_data = vec![entry("location", location), entry("length", length)];
        std::fs::write(&path, plain.encode_to_vec()).unwrap();
        let told = read(&path).unwrap_err().to_string();
        assert!(told.contains(words), "{location}: {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes come: an answer, and the same as prost's where both understand them.
    #[test]
    fn cut_and_changed_files_are_read_or_refused(at in 0_usize..4000, byte: u8, cut: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let mut plain = model(4);
        plain.graph.as_mut().unwrap().initializer.truncate(1);
        let mut content = plain.encode_to_vec();
        let at = at % content.len();
        if cut { content.truncate(at) } else { content[at] = byte }
        std::fs::write(&path, &content).unwrap();
        match read(&path) {
            Ok(found) => prop_assert_eq!(Ok(found), ModelProto::decode(Bytes::from(content))),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
