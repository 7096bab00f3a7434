//! Serialised `PredictRequest`s over HTTP.

use http::Request;
use modelyard_wire::proto::tensorflow::tensor_shape_proto::Dim;
use modelyard_wire::proto::tensorflow::{DataType, TensorProto, TensorShapeProto};
use modelyard_wire::proto::tensorflow_serving::model_spec::VersionChoice;
use modelyard_wire::proto::tensorflow_serving::{ModelSpec, PredictRequest, PredictResponse};
use prost::Message;

use crate::house::{Got, house, send};

fn halves(spec: Option<ModelSpec>) -> PredictRequest {
    let dim = [1, 2].map(|size| Dim { size, ..Dim::default() }).to_vec();
    let tensor = TensorProto {
        dtype: DataType::DtFloat.into(),
        tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
        float_val: vec![1.0, 2.0],
        ..TensorProto::default()
    };
    PredictRequest { model_spec: spec, inputs: [("x".to_owned(), tensor)].into(), ..PredictRequest::default() }
}

async fn ask(path: &str, kind: &str, body: Vec<u8>) -> Got {
    send(&house(), Request::post(path).header("content-type", kind).body(body).unwrap()).await
}

fn named(name: &str, version: Option<i64>) -> Option<ModelSpec> {
    let version_choice = version.map(VersionChoice::Version);
    Some(ModelSpec { name: name.to_owned(), version_choice, ..ModelSpec::default() })
}

#[tokio::test]
async fn a_saved_request_is_answered_in_kind() {
    for (path, kind, spec) in [
        ("/v1/models/half:predict", "application/x-protobuf", None),
        ("/v1/models/half:predict", "application/protobuf", named("", None)),
        ("/v1/models/half/versions/3:predict", "application/vnd.google.protobuf", named("half", None)),
        ("/v1/models/half:predict", "Application/X-Protobuf; messageType=x", named("half", Some(3))),
    ] {
        let got = ask(path, kind, halves(spec).encode_to_vec()).await;
        assert_eq!(got.status.as_u16(), 200, "{kind}: {}", String::from_utf8_lossy(&got.body));
        let plain = kind.split(';').next().unwrap().to_ascii_lowercase();
        assert_eq!(got.header("content-type"), plain);
        let answer = PredictResponse::decode(&got.body[..]).unwrap();
        let spec = answer.model_spec.unwrap();
        assert_eq!((spec.name.as_str(), spec.version_choice), ("half", Some(VersionChoice::Version(3))));
        assert_eq!(answer.outputs["y"].float_val, [0.5, 1.0]);
        assert_eq!(got.model.as_deref(), Some("half"));
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let mut other_signature = halves(None);
    other_signature.model_spec = Some(ModelSpec { signature_name: "other".to_owned(), ..ModelSpec::default() });
    for (body, words) in [
        (halves(named("pair", None)).encode_to_vec(), "model_spec.name: expected 'half' as in the URL, or nothing, found 'pair'"),
        (halves(named("half", Some(9))).encode_to_vec(), "model_spec.version: expected 3"),
        (other_signature.encode_to_vec(), "signature"),
        (PredictRequest::default().encode_to_vec(), "input 'x' is missing"),
        (b"\x0a\xff\xff\xff".to_vec(), ""),
    ] {
        let got = ask("/v1/models/half:predict", "application/x-protobuf", body).await;
        assert_eq!(got.status.as_u16(), 400);
        assert!(got.error().contains(words), "{}", got.error());
        assert_eq!(got.header("content-type"), "application/json");
    }
    let got = ask("/v1/models/nix:predict", "application/x-protobuf", halves(None).encode_to_vec()).await;
    assert_eq!(got.status.as_u16(), 404);
}
