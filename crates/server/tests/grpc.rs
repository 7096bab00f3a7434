//! gRPC without sockets: calls go in as bodies of frames, answers come out as frames and trailers.

// `allow-unwrap-in-tests` covers test functions, not the helpers of a test file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
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
use modelyard_server::store::{Limits, Store};
use modelyard_wire::proto::inference::infer_parameter::ParameterChoice;
use modelyard_wire::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use modelyard_wire::proto::inference::{self as oip, InferParameter, InferTensorContents, ModelInferRequest};
use modelyard_wire::proto::tensorflow::{DataType as Dtype, TensorProto, TensorShapeProto, tensor_shape_proto::Dim};
use modelyard_wire::proto::tensorflow_serving::model_spec::VersionChoice;
use modelyard_wire::proto::tensorflow_serving::{self as tfs, ModelSpec, PredictRequest};
use modelyard_wire::proto::{health, reflection};
use modelyard_wire::{DataType, Tensor};
use prost::Message;

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";

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

fn service_with(allow_control: bool) -> Arc<Service> {
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

fn service() -> Arc<Service> {
    service_with(false)
}

/// What a call came to.
#[derive(Debug)]
struct Outcome {
    status: i32,
    message: String,
    frames: Vec<(u8, Bytes)>,
    code: Code,
    headers: HeaderMap,
}

impl Outcome {
    fn only<M: Message + Default>(&self) -> M {
        assert_eq!((self.status, self.frames.len()), (0, 1), "{self:?}");
        M::decode(self.frames[0].1.clone()).unwrap()
    }

    fn all<M: Message + Default>(&self) -> Vec<M> {
        self.frames.iter().map(|(_, frame)| M::decode(frame.clone()).unwrap()).collect()
    }
}

fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(message.len() as u32);
    frame.extend_from_slice(message);
    frame.freeze()
}

fn request(path: &str, body: Bytes) -> Request<Inbound> {
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

async fn send(service: &Arc<Service>, request: Request<Inbound>) -> Outcome {
    let mut seen = Seen::now();
    let response = handle(service, request, &mut seen).await;
    seen.answered();
    outcome(response, &seen).await
}

async fn call(service: &Arc<Service>, path: &str, message: &impl Message) -> Outcome {
    send(service, request(path, framed(0, &message.encode_to_vec()))).await
}

async fn refused(service: &Arc<Service>, path: &str, message: &impl Message, expected: (i32, &str)) {
    let found = call(service, path, message).await;
    assert_eq!(found.status, expected.0, "{found:?}");
    assert!(found.message.contains(expected.1), "expected '{}' in '{}'", expected.1, found.message);
    assert_eq!(found.code.grpc(), expected.0);
}

fn floats(values: &[f32]) -> Bytes {
    values.iter().flat_map(|one| one.to_le_bytes()).collect::<Vec<_>>().into()
}

/// A raw request of one row.
fn raw() -> ModelInferRequest {
    let input = InferInputTensor { name: "x".into(), datatype: "FP32".into(), shape: vec![1, 3], ..Default::default() };
    ModelInferRequest {
        model_name: "m".into(),
        id: "seven".into(),
        inputs: vec![input],
        raw_input_contents: vec![floats(&[1.0, -2.0, 0.5])],
        ..Default::default()
    }
}

fn typed() -> ModelInferRequest {
    let mut request = ModelInferRequest { raw_input_contents: vec![], ..raw() };
    request.inputs[0].contents = Some(InferTensorContents { fp32_contents: vec![1.0, -2.0, 0.5], ..Default::default() });
    request
}

fn with(change: impl FnOnce(&mut ModelInferRequest)) -> ModelInferRequest {
    let mut request = raw();
    change(&mut request);
    request
}

fn int(value: i64) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(value)) }
}

#[tokio::test]
async fn raw_and_typed_requests_are_answered_raw() {
    let service = service();
    for request in [raw(), typed()] {
        let answer: oip::ModelInferResponse = call(&service, INFER, &request).await.only();
        assert_eq!((&*answer.model_name, &*answer.model_version, &*answer.id), ("m", "3", "seven"));
        let names: Vec<_> = answer.outputs.iter().map(|one| (&*one.name, &*one.datatype, &one.shape[..])).collect();
        assert_eq!(names, [("doubled", "FP32", &[1, 3][..]), ("same", "FP32", &[1, 3])]);
        assert!(answer.outputs.iter().all(|one| one.contents.is_none()));
        assert_eq!(answer.raw_output_contents, [floats(&[2.0, -4.0, 1.0]), floats(&[1.0, -2.0, 0.5])]);
    }
}

#[tokio::test]
async fn outputs_are_chosen_and_classified() {
    let service = service();
    let request = with(|request| {
        request.outputs = vec![
            InferRequestedOutputTensor { name: "same".into(), ..Default::default() },
            InferRequestedOutputTensor {
                name: "doubled".into(),
                parameters: BTreeMap::from([("classification".into(), int(2))]),
            },
        ];
    });
    let answer: oip::ModelInferResponse = call(&service, INFER, &request).await.only();
    let names: Vec<_> = answer.outputs.iter().map(|one| (&*one.name, &*one.datatype, &one.shape[..])).collect();
    assert_eq!(names, [("same", "FP32", &[1, 3][..]), ("doubled", "BYTES", &[1, 2])]);
    let best = Tensor::new(DataType::Bytes, vec![1, 2], answer.raw_output_contents[1].clone()).unwrap();
    let texts = [Bytes::from_static(b"2.000000:0:zero"), Bytes::from_static(b"1.000000:2")];
    assert_eq!(best, Tensor::strings(vec![1, 2], texts.to_vec()).unwrap());
}

#[tokio::test]
async fn faults_of_infer_name_what_was_found() {
    let service = service();
    let typed_list = InferTensorContents { fp32_contents: vec![1.0; 3], ..Default::default() };
    for (request, expected) in [
        (with(|request| request.model_name = "nobody".into()), (5, "unknown model 'nobody'; this server has m, late")),
        (with(|request| request.model_version = "9".into()), (5, "model 'm' has no version '9'; it has 3")),
        (with(|request| request.model_version = "x".into()), (5, "model 'm' has no version 'x'")),
        (with(|request| request.model_name = "late".into()), (14, "model 'late' is loading")),
        (with(|request| request.inputs.clear()), (3, "raw_input_contents: expected 0 entries, one per input, found 1")),
        (
            with(|request| request.inputs[0].contents = Some(typed_list)),
            (3, "input 'x': it has fp32_contents, and the request has raw"),
        ),
        (with(|request| request.raw_input_contents.push(Bytes::new())), (3, "expected 1 entries, one per input, found 2")),
        (with(|request| request.raw_input_contents[0].truncate(8)), (3, "needs 12 bytes, found 8")),
        (with(|request| request.raw_input_contents.clear()), (3, "input 'x': it has no data")),
        (with(|request| request.inputs[0].datatype = "INT64".into()), (3, "needs 24 bytes, found 12")),
        (with(|request| request.inputs[0].datatype = "FLOAT".into()), (3, "unknown datatype 'FLOAT'")),
        (with(|request| request.inputs[0].shape = vec![-1, 3]), (3, "dimension 0 of its shape is -1")),
        (with(|request| request.inputs[0].shape = vec![3, 1]), (3, "expected shape [-1, 3] (-1 is any size), found [3, 1]")),
        (with(|request| request.inputs[0].name = "z".into()), (3, "unknown input 'z'; the model has 'x'")),
        (
            with(|request| request.outputs = vec![InferRequestedOutputTensor { name: "y".into(), ..Default::default() }]),
            (3, "unknown output 'y'"),
        ),
        (
            with(|request| request.parameters = BTreeMap::from([("a".into(), InferParameter::default())])),
            (3, "parameter 'a' has no value"),
        ),
        (
            with(|request| request.parameters = BTreeMap::from([("timeout".into(), int(-1))])),
            (3, "parameter 'timeout': expected a whole number"),
        ),
        (
            with(|request| {
                request.outputs = vec![InferRequestedOutputTensor {
                    name: "same".into(),
                    parameters: BTreeMap::from([("classification".into(), int(0))]),
                }];
            }),
            (3, "output 'same': classification: expected 1 or more"),
        ),
        (
            with(|request| {
                request.inputs[0].parameters = BTreeMap::from([("shared_memory_region".into(), int(1))]);
            }),
            (12, "input 'x': this server has no shared memory"),
        ),
    ] {
        refused(&service, INFER, &request, expected).await;
    }
}

#[tokio::test]
async fn unknown_parameters_pass_and_versions_match() {
    let service = service();
    let request = with(|request| {
        request.model_version = "3".into();
        request.parameters = BTreeMap::from([("anything".into(), int(1)), ("timeout".into(), int(5_000_000))]);
    });
    assert_eq!(call(&service, INFER, &request).await.status, 0);
}

#[tokio::test]
async fn a_stream_keeps_its_order_and_survives_faults() {
    let service = service();
    let mut body = BytesMut::new();
    for index in 0..40 {
        let request = with(|request| {
            request.id = index.to_string();
            if index % 3 == 1 {
                request.model_name = "nobody".into();
            }
        });
        body.extend_from_slice(&framed(0, &request.encode_to_vec()));
    }
    body.extend_from_slice(&framed(0, b"\xff"));
    let found = send(&service, request("/inference.GRPCInferenceService/ModelStreamInfer", body.freeze())).await;
    assert_eq!(found.status, 0);
    let answers: Vec<oip::ModelStreamInferResponse> = found.all();
    assert_eq!(answers.len(), 41);
    for (index, answer) in answers[..40].iter().enumerate() {
        let inner = answer.infer_response.as_ref().unwrap();
        assert_eq!(inner.id, index.to_string());
        assert_eq!(answer.error_message.contains("unknown model"), index % 3 == 1);
        assert_eq!(inner.raw_output_contents.len(), if index % 3 == 1 { 0 } else { 2 });
    }
    assert!(answers[40].error_message.contains("not a valid inference.ModelInferRequest"), "{}", answers[40].error_message);
}

#[tokio::test]
async fn a_stream_that_is_cut_short_answers_what_came() {
    let service = service();
    let mut body = BytesMut::from(&framed(0, &raw().encode_to_vec())[..]);
    body.extend_from_slice(&[0, 0, 0, 0, 9, 1]);
    let found = send(&service, request("/inference.GRPCInferenceService/ModelStreamInfer", body.freeze())).await;
    assert_eq!((found.status, found.frames.len()), (3, 1));
    assert!(found.message.contains("expected 14 bytes with its prefix, found 6"), "{}", found.message);
}

#[tokio::test]
async fn the_small_calls_of_the_protocol_answer() {
    let service = service();
    let path = |method: &str| format!("/inference.GRPCInferenceService/{method}");
    let live: oip::ServerLiveResponse = call(&service, &path("ServerLive"), &oip::ServerLiveRequest {}).await.only();
    assert!(live.live);
    // One model is still on its way.
    let ready: oip::ServerReadyResponse = call(&service, &path("ServerReady"), &oip::ServerReadyRequest {}).await.only();
    assert!(!ready.ready);
    for (name, version, expected) in
        [("m", "", true), ("m", "3", true), ("m", "4", false), ("late", "", false), ("nobody", "", false)]
    {
        let request = oip::ModelReadyRequest { name: name.into(), version: version.into() };
        let found: oip::ModelReadyResponse = call(&service, &path("ModelReady"), &request).await.only();
        assert_eq!(found.ready, expected, "{name} {version}");
    }
    let server: oip::ServerMetadataResponse =
        call(&service, &path("ServerMetadata"), &oip::ServerMetadataRequest {}).await.only();
    assert_eq!(server.name, "modelyard");
    assert!(server.extensions.contains(&"classification".to_owned()));
    let request = oip::ModelMetadataRequest { name: "m".into(), version: String::new() };
    let model: oip::ModelMetadataResponse = call(&service, &path("ModelMetadata"), &request).await.only();
    assert_eq!((&*model.platform, &model.versions[..]), ("onnx_onnxv1", &["3".to_owned()][..]));
    assert_eq!((&*model.inputs[0].name, &model.inputs[0].shape[..]), ("x", &[-1, 3][..]));
    let request = oip::ModelConfigRequest { name: "m".into(), version: String::new() };
    let config = call(&service, &path("ModelConfig"), &request).await.only::<oip::ModelConfigResponse>().config.unwrap();
    assert_eq!((config.max_batch_size, &config.input[0].dims[..]), (0, &[-1, 3][..]));
    assert_eq!(config.output[0].data_type(), oip::DataType::TypeFp32);
    let request = oip::ModelMetadataRequest { name: "m".into(), version: "4".into() };
    refused(&service, &path("ModelMetadata"), &request, (5, "has no version '4'")).await;
}

#[tokio::test]
async fn statistics_count_what_was_answered() {
    let service = service();
    let path = "/inference.GRPCInferenceService/ModelStatistics";
    for _ in 0..3 {
        assert_eq!(call(&service, INFER, &raw()).await.status, 0);
    }
    let found: oip::ModelStatisticsResponse = call(&service, path, &oip::ModelStatisticsRequest::default()).await.only();
    assert_eq!(found.model_stats.len(), 1);
    let model = &found.model_stats[0];
    assert_eq!((&*model.name, &*model.version, model.inference_count, model.execution_count), ("m", "3", 3, 3));
    let stats = model.inference_stats.as_ref().unwrap();
    for duration in [stats.success, stats.compute_input, stats.compute_infer, stats.compute_output] {
        assert_eq!(duration.unwrap().count, 3);
    }
    assert_eq!((model.batch_stats.len(), model.batch_stats[0].compute_infer.unwrap().count), (1, 3));
    assert_eq!(model.memory_usage[0].r#type, "CPU");
    let request = oip::ModelStatisticsRequest { name: "nobody".into(), version: String::new() };
    refused(&service, path, &request, (5, "unknown model")).await;
}

#[tokio::test]
async fn the_repository_is_listed_and_controlled_where_allowed() {
    let path = |method: &str| format!("/inference.GRPCInferenceService/Repository{method}");
    let closed = service();
    let index: oip::RepositoryIndexResponse = call(&closed, &path("Index"), &oip::RepositoryIndexRequest::default()).await.only();
    let states: Vec<_> = index.models.iter().map(|one| (&*one.name, &*one.version, &*one.state)).collect();
    assert_eq!(states, [("m", "3", "READY"), ("late", "1", "LOADING")]);
    let ready = oip::RepositoryIndexRequest { ready: true, ..Default::default() };
    assert_eq!(call(&closed, &path("Index"), &ready).await.only::<oip::RepositoryIndexResponse>().models.len(), 1);
    let unload = |name: &str| oip::RepositoryModelUnloadRequest { model_name: name.into(), ..Default::default() };
    let load = |name: &str| oip::RepositoryModelLoadRequest { model_name: name.into(), ..Default::default() };
    refused(&closed, &path("ModelUnload"), &unload("m"), (7, "--allow-control")).await;
    refused(&closed, &path("ModelLoad"), &load("m"), (7, "--allow-control")).await;

    let open = service_with(true);
    refused(&open, &path("ModelUnload"), &unload("nobody"), (5, "unknown model")).await;
    refused(&open, &path("ModelLoad"), &load("nobody"), (5, "unknown model")).await;
    assert_eq!(call(&open, &path("ModelUnload"), &unload("m")).await.status, 0);
    refused(&open, INFER, &raw(), (5, "model 'm' is unloaded")).await;
    let mut changed = load("m");
    changed.parameters.insert("config".into(), oip::ModelRepositoryParameter::default());
    assert_ne!(call(&open, &path("ModelLoad"), &changed).await.status, 0);
    // Its file is nowhere.
    assert!(matches!(call(&open, &path("ModelLoad"), &load("m")).await.status, 9 | 14));
}

#[tokio::test]
async fn what_is_declined_says_why() {
    let service = service();
    for (path, reason) in [
        ("/inference.GRPCInferenceService/SystemSharedMemoryRegister", "no shared memory"),
        ("/inference.GRPCInferenceService/CudaSharedMemoryStatus", "no shared memory"),
        ("/inference.GRPCInferenceService/TraceSetting", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("/inference.GRPCInferenceService/LogSettings", "--log-level"),
        ("/inference.GRPCInferenceService/Nothing", "has no method 'Nothing'"),
        ("/tensorflow.serving.PredictionService/Classify", "tf.Example"),
        ("/tensorflow.serving.PredictionService/Regress", "tf.Example"),
        ("/tensorflow.serving.PredictionService/MultiInference", "tf.Example"),
        ("/tensorflow.serving.PredictionService/X", "has no method 'X'"),
        ("/nobody.Service/Method", "unknown service 'nobody.Service'; this server has "),
        ("/", "unknown service"),
    ] {
        refused(&service, path, &oip::ServerLiveRequest {}, (12, reason)).await;
    }
    let path = "/tensorflow.serving.ModelService/HandleReloadConfigRequest";
    refused(&service, path, &tfs::ReloadConfigRequest {}, (7, "spec.models")).await;
}

#[tokio::test]
async fn compressed_requests_get_compressed_answers() {
    let service = service();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&raw().encode_to_vec()).unwrap();
    let packed = packed.finish().unwrap();
    let gzip = |flag: u8, accept: &str| {
        let mut request = request(INFER, framed(flag, &packed));
        request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        request.headers_mut().insert("grpc-accept-encoding", accept.parse().unwrap());
        request
    };
    let found = send(&service, gzip(1, "identity, gzip")).await;
    assert_eq!((found.status, found.frames[0].0, &found.headers["grpc-encoding"]), (0, 1, &"gzip".parse().unwrap()));
    let mut plain = Vec::new();
    GzDecoder::new(&found.frames[0].1[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(oip::ModelInferResponse::decode(&plain[..]).unwrap().id, "seven");
    assert_eq!(send(&service, gzip(1, "identity")).await.frames[0].0, 0);
    assert_eq!(send(&service, gzip(0, "gzip")).await.status, 3);

    let mut unknown = request(INFER, framed(0, &raw().encode_to_vec()));
    unknown.headers_mut().insert("grpc-encoding", "br".parse().unwrap());
    let found = send(&service, unknown).await;
    assert_eq!((found.status, &found.headers["grpc-accept-encoding"]), (12, &"identity,gzip,deflate".parse().unwrap()));
    assert_eq!(send(&service, request(INFER, framed(1, &packed))).await.status, 3);

    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 10 << 20]).unwrap();
    let mut bomb = request(INFER, framed(1, &bomb.finish().unwrap()));
    bomb.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    assert_eq!(send(&service, bomb).await.status, 8);
}

#[tokio::test]
async fn bodies_that_are_no_message_are_refused() {
    let service = service();
    let one = framed(0, &raw().encode_to_vec());
    let two: Bytes = [&one[..], &one[..]].concat().into();
    for (body, status, message) in [
        (Bytes::new(), 3, "the call has no message; expected one"),
        (two, 3, "more than one message"),
        (one.slice(..4), 3, "the body ends within a message: expected 5 bytes with its prefix, found 4"),
        (one.slice(..20), 3, "the body ends within a message"),
        (framed(7, b""), 3, "flag 7"),
        (framed(0, b"\x0a\x05a"), 3, "not a valid inference.ModelInferRequest"),
        (Bytes::from_static(&[0, 0, 1, 0x86, 0xa1]), 8, "100001 bytes; the limit is 100000"),
    ] {
        let found = send(&service, request(INFER, body)).await;
        assert_eq!(found.status, status, "{found:?}");
        assert!(found.message.contains(message), "{found:?}");
    }
}

#[tokio::test]
async fn deadlines_come_from_the_call_and_from_the_parameter() {
    let service = service();
    let timed = |timeout: &str| {
        let mut request = request(INFER, framed(0, &raw().encode_to_vec()));
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        request
    };
    assert_eq!(send(&service, timed("10S")).await.status, 0);
    assert_eq!(send(&service, timed("0n")).await.status, 4);
    assert_eq!(send(&service, timed("99999999H")).await.status, 0);
    let found = send(&service, timed("soon")).await;
    assert_eq!((found.status, found.message.contains("grpc-timeout 'soon'")), (3, true));
    let short = with(|request| request.parameters = BTreeMap::from([("timeout".into(), int(i64::MAX))]));
    assert_eq!(call(&service, INFER, &short).await.status, 0);
}

#[tokio::test]
async fn what_is_no_grpc_gets_an_answer_in_http() {
    let service = service();
    let mut seen = Seen::now();
    for (version, kind, method, status) in [
        (Version::HTTP_11, "application/grpc", "POST", 415),
        (Version::HTTP_2, "application/grpc-web", "POST", 415),
        (Version::HTTP_2, "application/grpc+json", "POST", 415),
        (Version::HTTP_2, "application/grpc", "GET", 405),
    ] {
        let request = Request::builder().method(method).uri(INFER).version(version).header("content-type", kind);
        let response = handle(&service, request.body(Inbound::Whole(None)).unwrap(), &mut seen).await;
        assert_eq!(response.status(), status, "{version:?} {kind} {method}");
        assert_eq!(response.headers()["content-type"], "application/json");
    }
    let mut spelt = request(INFER, framed(0, &raw().encode_to_vec()));
    spelt.headers_mut().insert("content-type", "application/grpc+proto; charset=utf-8".parse().unwrap());
    assert_eq!(send(&service, spelt).await.status, 0);
}

fn predict() -> PredictRequest {
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

fn predict_with(change: impl FnOnce(&mut PredictRequest)) -> PredictRequest {
    let mut request = predict();
    change(&mut request);
    request
}

fn version(choice: VersionChoice) -> Option<ModelSpec> {
    Some(ModelSpec { name: "m".into(), version_choice: Some(choice), ..Default::default() })
}

#[tokio::test]
async fn tensorflow_clients_predict() {
    let service = service();
    let content = predict_with(|request| {
        let x = request.inputs.get_mut("x").unwrap();
        x.tensor_content = floats(&std::mem::take(&mut x.float_val));
    });
    for request in [predict(), content, predict_with(|request| request.model_spec = version(VersionChoice::Version(3)))] {
        let answer: tfs::PredictResponse = call(&service, PREDICT, &request).await.only();
        assert_eq!(answer.outputs["doubled"].float_val, [2.0, -4.0, 1.0]);
        assert_eq!(answer.outputs.len(), 2);
        let spec = answer.model_spec.unwrap();
        assert_eq!((&*spec.name, &*spec.signature_name), ("m", "serving_default"));
        assert_eq!(spec.version_choice, Some(VersionChoice::Version(3)));
    }
    let filled = predict_with(|request| {
        request.inputs.get_mut("x").unwrap().float_val = vec![4.0];
        request.output_filter = vec!["same".into()];
    });
    let answer: tfs::PredictResponse = call(&service, PREDICT, &filled).await.only();
    assert_eq!((answer.outputs.len(), &answer.outputs["same"].float_val[..]), (1, &[4.0; 3][..]));
}

#[tokio::test]
async fn faults_of_predict_name_what_was_found() {
    let service = service();
    let x = |request: &mut PredictRequest, change: fn(&mut TensorProto)| change(request.inputs.get_mut("x").unwrap());
    for (request, expected) in [
        (predict_with(|request| request.model_spec = None), (3, "model_spec.name is missing")),
        (predict_with(|request| request.model_spec.as_mut().unwrap().name = "nobody".into()), (5, "unknown model")),
        (predict_with(|request| request.model_spec = version(VersionChoice::Version(9))), (5, "no version '9'")),
        (
            predict_with(|request| request.model_spec = version(VersionChoice::VersionLabel("blue".into()))),
            (3, "version label: blue"),
        ),
        (predict_with(|request| request.model_spec.as_mut().unwrap().signature_name = "other".into()), (3, "signature_name")),
        (predict_with(|request| request.inputs.clear()), (3, "input 'x' is missing")),
        (predict_with(|request| request.output_filter = vec!["y".into()]), (3, "unknown output 'y'")),
        (predict_with(|request| request.output_filter = vec!["same".into(), "same".into()]), (3, "named twice")),
        (
            predict_with(|request| x(request, |x| x.dtype = Dtype::DtInt32.into())),
            (3, "input 'x': DT_INT32 takes int_val, found float_val"),
        ),
        (
            predict_with(|request| x(request, |x| x.float_val.push(1.0))),
            (3, "input 'x': shape [1, 3] of FP32 needs 12 bytes, found 16"),
        ),
        (
            predict_with(|request| {
                x(request, |x| {
                    x.float_val.truncate(1);
                    x.tensor_shape.as_mut().unwrap().dim[0].size = 1 << 30;
                });
            }),
            (8, "one value for"),
        ),
    ] {
        refused(&service, PREDICT, &request, expected).await;
    }
}

#[tokio::test]
async fn tensorflow_clients_ask_for_metadata_and_status() {
    let service = service();
    let path = "/tensorflow.serving.PredictionService/GetModelMetadata";
    let asked = |fields: &[&str]| tfs::GetModelMetadataRequest {
        model_spec: predict().model_spec,
        metadata_field: fields.iter().map(|&one| one.to_owned()).collect(),
    };
    let found: tfs::GetModelMetadataResponse = call(&service, path, &asked(&["signature_def"])).await.only();
    let packed = &found.metadata["signature_def"];
    assert_eq!(packed.type_url, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
    let map = tfs::SignatureDefMap::decode(&packed.value[..]).unwrap();
    let info = &map.signature_def["serving_default"].inputs["x"];
    let sizes: Vec<_> = info.tensor_shape.as_ref().unwrap().dim.iter().map(|dim| dim.size).collect();
    assert_eq!((info.dtype(), &sizes[..]), (Dtype::DtFloat, &[-1, 3][..]));
    refused(&service, path, &asked(&[]), (3, "metadata_field is empty")).await;
    refused(&service, path, &asked(&["graph"]), (3, "expected 'signature_def', found 'graph'")).await;

    let path = "/tensorflow.serving.ModelService/GetModelStatus";
    for (name, state) in [("m", tfs::model_version_status::State::Available), ("late", tfs::model_version_status::State::Start)] {
        let request = tfs::GetModelStatusRequest { model_spec: Some(ModelSpec { name: name.into(), ..Default::default() }) };
        let found: tfs::GetModelStatusResponse = call(&service, path, &request).await.only();
        assert_eq!(found.model_version_status[0].state(), state);
    }
    let request = tfs::GetModelStatusRequest { model_spec: version(VersionChoice::Version(8)) };
    refused(&service, path, &request, (5, "no version '8'")).await;
}

#[tokio::test]
async fn health_is_checked_listed_and_watched() {
    use health::health_check_response::ServingStatus;
    let service = service();
    let asked = |service: &str| health::HealthCheckRequest { service: service.into() };
    let path = |method: &str| format!("/grpc.health.v1.Health/{method}");
    for name in ["", "inference.GRPCInferenceService", "tensorflow.serving.PredictionService"] {
        let found: health::HealthCheckResponse = call(&service, &path("Check"), &asked(name)).await.only();
        assert_eq!(found.status(), ServingStatus::NotServing, "a model is on its way");
    }
    refused(&service, &path("Check"), &asked("nobody"), (5, "unknown service 'nobody'")).await;
    let list: health::HealthListResponse = call(&service, &path("List"), &health::HealthListRequest {}).await.only();
    assert_eq!(list.statuses.len(), 4);

    for (name, first) in [("", ServingStatus::NotServing), ("nobody", ServingStatus::ServiceUnknown)] {
        let mut seen = Seen::now();
        let watch = request(&path("Watch"), framed(0, &asked(name).encode_to_vec()));
        let mut body = handle(&service, watch, &mut seen).await.into_body();
        assert_eq!(status_of(body.frame().await).status(), first);
        if first == ServingStatus::NotServing {
            service.registry.entry("late").unwrap().enter(State::Unloaded);
            service.refresh();
            assert_eq!(status_of(body.frame().await).status(), ServingStatus::Serving);
            service.drain();
            assert_eq!(status_of(body.frame().await).status(), ServingStatus::NotServing);
        }
    }
}

fn status_of(frame: Option<Result<http_body::Frame<Bytes>, std::convert::Infallible>>) -> health::HealthCheckResponse {
    let data = frame.unwrap().unwrap().into_data().unwrap();
    health::HealthCheckResponse::decode(data.slice(5..)).unwrap()
}

#[tokio::test]
async fn reflection_lists_and_finds_in_both_versions() {
    use reflection::server_reflection_request::MessageRequest as Ask;
    use reflection::server_reflection_response::MessageResponse as Answer;
    let service = service();
    for version in ["v1", "v1alpha"] {
        let mut body = BytesMut::new();
        for ask in [
            Some(Ask::ListServices(String::new())),
            Some(Ask::FileByFilename("inference/service.proto".into())),
            Some(Ask::FileContainingSymbol("tensorflow.serving.PredictionService.Predict".into())),
            Some(Ask::FileContainingSymbol("nobody.Nothing".into())),
            Some(Ask::AllExtensionNumbersOfType("inference.ModelInferRequest".into())),
            None,
        ] {
            let asked = reflection::ServerReflectionRequest { host: "h".into(), message_request: ask };
            body.extend_from_slice(&framed(0, &asked.encode_to_vec()));
        }
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let found = send(&service, request(&path, body.freeze())).await;
        let answers: Vec<reflection::ServerReflectionResponse> = found.all();
        assert_eq!((found.status, answers.len()), (0, 6));
        assert!(answers.iter().all(|one| one.valid_host == "h" && one.original_request.is_some()));
        let Some(Answer::ListServicesResponse(list)) = &answers[0].message_response else { panic!("{answers:?}") };
        assert_eq!(list.service.len(), 6);
        for (index, files) in [(1, 2), (2, 6)] {
            let Some(Answer::FileDescriptorResponse(found)) = &answers[index].message_response else { panic!("{answers:?}") };
            assert_eq!(found.file_descriptor_proto.len(), files);
        }
        for (index, code) in [(3, 5), (5, 3)] {
            let Some(Answer::ErrorResponse(error)) = &answers[index].message_response else { panic!("{answers:?}") };
            assert_eq!(error.error_code, code);
        }
    }
}

/// Bytes changed at random never make the server's own fault of a client's.
#[tokio::test]
async fn mutated_requests_are_the_clients_fault() {
    let service = service();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |bound: usize| {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound.max(1) as u64) as usize
    };
    let words = ModelInferRequest { parameters: BTreeMap::from([("timeout".into(), int(9))]), ..typed() };
    let seeds = [
        (INFER, framed(0, &raw().encode_to_vec())),
        (INFER, framed(0, &words.encode_to_vec())),
        (PREDICT, framed(0, &predict().encode_to_vec())),
        ("/inference.GRPCInferenceService/ModelStreamInfer", framed(0, &raw().encode_to_vec())),
        ("/inference.GRPCInferenceService/RepositoryModelLoad", framed(0, b"\x12\x01m\x1a\x07\x0a\x01a\x12\x02\x08\x01")),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", framed(0, b"\x22\x10inference.Server\x3a\x00")),
    ];
    for round in 0..6000 {
        let (path, seed) = &seeds[round % seeds.len()];
        let mut body = seed.to_vec();
        for _ in 0..=next(4) {
            match next(4) {
                0 => body.truncate(next(body.len() + 1)),
                1 => body.insert(next(body.len() + 1), next(256) as u8),
                _ if body.is_empty() => body.push(0),
                _ => {
                    let at = next(body.len());
                    body[at] = next(256) as u8;
                }
            }
        }
        // Half of the mutants keep a true prefix, so that they reach the decoder.
        if next(2) == 0 && body.len() > 5 {
            body = framed(0, &body[5..]).to_vec();
        }
        let found = send(&service, request(path, body.clone().into())).await;
        assert!(matches!(found.status, 0 | 3 | 4 | 5 | 7 | 8 | 12), "{path} {body:?} {found:?}");
    }
}
