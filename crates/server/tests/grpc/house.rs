//! A service without a socket, its model, and requests to change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::BodyExt;
use modelyard_core::server_config::ServerConfig;
use modelyard_server::engine::{Engine, Facts, RunError, Stop};
use modelyard_server::fault::Code;
use modelyard_server::infer::{Measured, Model, Scheduling};
use modelyard_server::load::Loader;
use modelyard_server::protocol::{Inbound, Reply, Seen, Service, handle};
use modelyard_server::registry::State;
use modelyard_server::signature::{Signature, TensorSpec};
use modelyard_store::{Limits, Store};
use modelyard_wire::proto::inference::infer_parameter::ParameterChoice;
use modelyard_wire::proto::inference::model_infer_request::InferInputTensor;
use modelyard_wire::proto::inference::{InferParameter, InferTensorContents, ModelInferRequest};
use modelyard_wire::proto::tensorflow::tensor_shape_proto::Dim;
use modelyard_wire::proto::tensorflow::{DataType as Dtype, TensorProto, TensorShapeProto};
use modelyard_wire::proto::tensorflow_serving::model_spec::VersionChoice;
use modelyard_wire::proto::tensorflow_serving::{ModelSpec, PredictRequest};
use modelyard_wire::{DataType, Tensor};
use prost::Message;

pub(crate) const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
pub(crate) const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";

/// Gives each number back twice as large (`doubled`), and as it was (`same`).
struct Doubler {
    signature: Signature,
    facts: Facts,
}

impl Doubler {
    fn new() -> Self {
        let spec = |name: &str| TensorSpec { name: name.to_owned(), datatype: DataType::Fp32, shape: vec![-1, 3] };
        let signature = Signature { inputs: vec![spec("x")], outputs: vec![spec("doubled"), spec("same")], batched: true };
        Self { signature, facts: Facts { platform: "onnx_onnxv1", engine: "Doubler", ..Facts::default() } }
    }
}

impl Engine for Doubler {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], _: &Stop) -> Result<Vec<Tensor>, RunError> {
        let doubled: Vec<f32> = inputs[0].to_f64().unwrap().iter().map(|one| (*one * 2.0) as f32).collect();
        Ok(vec![Tensor::from_f32(inputs[0].shape().to_vec(), &doubled).unwrap(), inputs[0].clone()])
    }
}

pub(crate) fn service_with(allow_control: bool) -> Arc<Service> {
    let config = ServerConfig::from_json(
        r#"{"models":[{"name":"m","uri":"file:/nowhere/m.onnx","version":3,"classes":["zero","one"]},
                      {"name":"late","uri":"file:/nowhere/late.onnx"}],
            "serving":{"maxRequestBytes":100000}}"#,
    )
    .unwrap();
    let scheduling = Scheduling { threads: 1, queue_length: 100, batching: None, request_timeout: Duration::from_secs(30) };
    let loader = Loader::new(Store::new(std::env::temp_dir().join("modelyard-grpc-test"), Limits::default()), scheduling.clone());
    let service = Service::new(&config, loader, allow_control);
    let model = Model::new(&config.models[0], Box::new(Doubler::new()), &scheduling, Measured::default()).unwrap();
    service.registry.entry("m").unwrap().enter(State::Ready(model));
    service.refresh();
    service
}

pub(crate) fn service() -> Arc<Service> {
    service_with(false)
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) message: String,
    pub(crate) frames: Vec<(u8, Bytes)>,
    pub(crate) code: Code,
    pub(crate) headers: HeaderMap,
}

impl Outcome {
    pub(crate) fn only<M: Message + Default>(&self) -> M {
        assert_eq!((self.status, self.frames.len()), (0, 1), "{self:?}");
        M::decode(self.frames[0].1.clone()).unwrap()
    }

    pub(crate) fn all<M: Message + Default>(&self) -> Vec<M> {
        self.frames.iter().map(|(_, frame)| M::decode(frame.clone()).unwrap()).collect()
    }
}

pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(message.len() as u32);
    frame.extend_from_slice(message);
    frame.freeze()
}

pub(crate) fn request(path: &str, body: Bytes) -> Request<Inbound> {
    let request =
        Request::post(path).version(Version::HTTP_2).header("content-type", "application/grpc").header("te", "trailers");
    request.body(Inbound::Whole(Some(body))).unwrap()
}

async fn outcome(response: Response<Reply>, seen: &Seen) -> Outcome {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc+proto");
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_else(|| headers.clone());
    let mut rest = body.to_bytes();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        frames.push((rest[0], rest.slice(5..5 + length)));
        let _ = rest.split_to(5 + length);
    }
    let message = trailers.get("grpc-message").map_or("", |value| value.to_str().unwrap());
    let message = percent_encoding::percent_decode_str(message).decode_utf8().unwrap().into_owned();
    let status = trailers["grpc-status"].to_str().unwrap().parse().unwrap();
    Outcome { status, message, frames, code: seen.code, headers }
}

pub(crate) async fn send(service: &Arc<Service>, request: Request<Inbound>) -> Outcome {
    let mut seen = Seen::now();
    let (head, body) = request.into_parts();
    let response = handle(service, (&head, body), &mut seen).await;
    seen.answered();
    outcome(response, &seen).await
}

pub(crate) async fn call(service: &Arc<Service>, path: &str, message: &impl Message) -> Outcome {
    send(service, request(path, framed(0, &message.encode_to_vec()))).await
}

pub(crate) async fn refused(service: &Arc<Service>, path: &str, message: &impl Message, expected: (i32, &str)) {
    let found = call(service, path, message).await;
    assert_eq!(found.status, expected.0, "{found:?}");
    assert!(found.message.contains(expected.1), "expected '{}' in '{}'", expected.1, found.message);
    assert_eq!(found.code.grpc(), expected.0);
}

pub(crate) fn floats(values: &[f32]) -> Bytes {
    values.iter().flat_map(|one| one.to_le_bytes()).collect::<Vec<_>>().into()
}

/// A raw request of one row.
pub(crate) fn raw() -> ModelInferRequest {
    let input = InferInputTensor { name: "x".into(), datatype: "FP32".into(), shape: vec![1, 3], ..Default::default() };
    ModelInferRequest {
        model_name: "m".into(),
        id: "seven".into(),
        inputs: vec![input],
        raw_input_contents: vec![floats(&[1.0, -2.0, 0.5])],
        ..Default::default()
    }
}

pub(crate) fn typed() -> ModelInferRequest {
    let mut request = ModelInferRequest { raw_input_contents: vec![], ..raw() };
    request.inputs[0].contents = Some(InferTensorContents { fp32_contents: vec![1.0, -2.0, 0.5], ..Default::default() });
    request
}

pub(crate) fn with(change: impl FnOnce(&mut ModelInferRequest)) -> ModelInferRequest {
    let mut request = raw();
    change(&mut request);
    request
}

pub(crate) fn int(value: i64) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(value)) }
}

pub(crate) fn predict() -> PredictRequest {
    let dim = [1, 3].map(|size| Dim { size, name: String::new() }).to_vec();
    let x = TensorProto {
        dtype: Dtype::DtFloat.into(),
        tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
        float_val: vec![1.0, -2.0, 0.5],
        ..Default::default()
    };
    PredictRequest {
        model_spec: Some(ModelSpec { name: "m".into(), ..Default::default() }),
        inputs: BTreeMap::from([("x".into(), x)]),
        output_filter: vec![],
    }
}

pub(crate) fn predict_with(change: impl FnOnce(&mut PredictRequest)) -> PredictRequest {
    let mut request = predict();
    change(&mut request);
    request
}

pub(crate) fn version(choice: VersionChoice) -> Option<ModelSpec> {
    Some(ModelSpec { name: "m".into(), version_choice: Some(choice), ..Default::default() })
}
