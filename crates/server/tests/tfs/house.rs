//! A server without a network: models that compute what a test can check by eye.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use modelyard_core::server_config::{ModelConfig, ServerConfig, ServingConfig};
use modelyard_server::engine::{Engine, Facts, RunError, Stop};
use modelyard_server::fault::Code;
use modelyard_server::infer::{Measured, Model, Scheduling};
use modelyard_server::load::Loader;
use modelyard_server::protocol::{Inbound, Protocol, Seen, Service, handle};
use modelyard_server::registry::{Failure, State};
use modelyard_server::signature::{Signature, TensorSpec};
use modelyard_store::{Limits, Store};
use modelyard_wire::{DataType, Tensor};
use serde_json::Value;

type Run = fn(&[Tensor]) -> Result<Vec<Tensor>, RunError>;

struct Fake {
    signature: Signature,
    facts: Facts,
    run: Run,
}

impl Engine for Fake {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], _: &Stop) -> Result<Vec<Tensor>, RunError> {
        (self.run)(inputs)
    }
}

type Spec = (&'static str, DataType, &'static [i64]);

fn specs(all: &[Spec]) -> Vec<TensorSpec> {
    all.iter()
        .map(|(name, datatype, shape)| TensorSpec { name: (*name).to_owned(), datatype: *datatype, shape: shape.to_vec() })
        .collect()
}

fn config(name: &str, version: i64) -> ModelConfig {
    let (name, uri) = (name.to_owned(), "file:x.onnx".to_owned());
    ModelConfig { version, ..ModelConfig::of(name, uri) }
}

fn same(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    Ok(inputs.to_vec())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_f64().unwrap().into_iter().map(|value| value as f32).collect()
}

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), values).unwrap()
}

/// Row sums of `a`, and `b` as it came.
fn sums(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let sums: Vec<_> = values(&inputs[0]).chunks(2).map(|row| row.iter().sum()).collect();
    Ok(vec![f32s(&[sums.len()], &sums), inputs[1].clone()])
}

/// Half of each value.
fn halves(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let halves: Vec<_> = values(&inputs[0]).into_iter().map(|value| value / 2.0).collect();
    Ok(vec![f32s(inputs[0].shape(), &halves)])
}

/// Ten scores of each picture: its sum, then zeros.
fn scores(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let mut scores = Vec::new();
    for picture in values(&inputs[0]).chunks(784) {
        scores.push(picture.iter().sum());
        scores.extend([0.0; 9]);
    }
    Ok(vec![f32s(&[scores.len() / 10, 10], &scores)])
}

/// The input, and two values whatever the number of rows.
fn uneven(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    Ok(vec![inputs[0].clone(), f32s(&[2], &[1.0, 2.0])])
}

/// The words, twice.
fn twice(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    Ok(vec![inputs[0].clone(), inputs[0].clone()])
}

/// What no JSON number is.
fn odd(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let rows = inputs[0].shape()[0];
    let row = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.1, 1e20];
    Ok(vec![f32s(&[rows, 6], &row.repeat(rows))])
}

/// Bytes that are not UTF-8.
fn binary(inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let rows = inputs[0].shape()[0];
    Ok(vec![Tensor::strings(vec![rows], vec![Bytes::from_static(b"\xff\x00"); rows]).unwrap()])
}

/// The model does not like its data.
fn fails(_: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    Err(RunError::InvalidData("index 9 is out of range".to_owned()))
}

/// Identity models `is_bool` to `is_fp64`, of shape `[-1]`.
const KINDS: [(&str, DataType); 14] = [
    ("is_bool", DataType::Bool),
    ("is_uint8", DataType::Uint8),
    ("is_uint16", DataType::Uint16),
    ("is_uint32", DataType::Uint32),
    ("is_uint64", DataType::Uint64),
    ("is_int8", DataType::Int8),
    ("is_int16", DataType::Int16),
    ("is_int32", DataType::Int32),
    ("is_int64", DataType::Int64),
    ("is_fp16", DataType::Fp16),
    ("is_bf16", DataType::Bf16),
    ("is_fp32", DataType::Fp32),
    ("is_fp64", DataType::Fp64),
    ("is_bytes", DataType::Bytes),
];

struct Made {
    name: &'static str,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    batched: bool,
    run: Run,
}

fn made() -> Vec<Made> {
    use DataType::{Bytes, Fp32, Int64};
    let one = |name, inputs: &[Spec], outputs: &[Spec], run| {
        let batched = inputs.iter().chain(outputs).all(|(_, _, shape)| shape.first() == Some(&-1));
        Made { name, inputs: specs(inputs), outputs: specs(outputs), batched, run }
    };
    let mut all = vec![
        one("mnist", &[("image", Fp32, &[-1, 784])], &[("scores", Fp32, &[-1, 10])], scores),
        one("half", &[("x", Fp32, &[-1, 2])], &[("y", Fp32, &[-1, 2])], halves),
        one("pair", &[("a", Fp32, &[-1, 2]), ("b", Int64, &[-1])], &[("sum", Fp32, &[-1]), ("same", Int64, &[-1])], sums),
        one(
            "person",
            &[("age", Fp32, &[-1, 1]), ("city", Bytes, &[-1, 1])],
            &[("age", Fp32, &[-1, 1]), ("city", Bytes, &[-1, 1])],
            same,
        ),
        one("text", &[("word", Bytes, &[-1])], &[("said", Bytes, &[-1]), ("said_bytes", Bytes, &[-1])], twice),
        one("fixed", &[("x", Fp32, &[3])], &[("y", Fp32, &[3])], halves),
        one("scalar", &[("x", Fp32, &[])], &[("y", Fp32, &[])], halves),
        one("flatten", &[("x", Fp32, &[-1])], &[("y", Fp32, &[])], |inputs| {
            Ok(vec![f32s(&[], &[values(&inputs[0]).iter().sum()])])
        }),
        one("uneven", &[("x", Fp32, &[-1])], &[("y", Fp32, &[-1]), ("z", Fp32, &[2])], uneven),
        one("odd", &[("x", Fp32, &[-1])], &[("y", Fp32, &[-1, 6])], odd),
        one("binary", &[("x", Fp32, &[-1])], &[("y", Bytes, &[-1])], binary),
        one("fails", &[("x", Fp32, &[-1])], &[("y", Fp32, &[-1])], fails),
        one("free", &[("x", Fp32, &[-1, -1, -1])], &[("x", Fp32, &[-1, -1, -1])], same),
        one("b64", &[("b64", Bytes, &[-1])], &[("y", Bytes, &[-1])], same),
        one("a model/x:y", &[("x", Fp32, &[-1])], &[("y", Fp32, &[-1])], same),
    ];
    all.extend(KINDS.map(|(name, datatype)| one(name, &[("x", datatype, &[-1])], &[("y", datatype, &[-1])], same)));
    all
}

/// A server with every model of [`made`] at version 3, and one in each state that does not answer.
pub(crate) fn house() -> Arc<Service> {
    let made = made();
    let waiting = ["downloading", "loading", "warming", "failed", "unloading", "unloaded"];
    let configs: Vec<_> = made.iter().map(|model| model.name).chain(waiting).map(|name| config(name, 3)).collect();
    let scheduling = Scheduling { threads: 1, queue_length: 8, batching: None, request_timeout: Duration::from_secs(30) };
    let serving = ServingConfig { max_request_bytes: 1 << 20, ..ServingConfig::default() };
    let loader = Loader::new(Store::new("", Limits::default()), scheduling.clone());
    let service = Service::new(&ServerConfig { models: configs, serving }, loader, false);
    let enter = |name: &str, state| service.registry.entry(name).unwrap().enter(state);
    // So short that every run stays on the thread that asked: tests need no pool.
    let measured = Measured { one: Some(Duration::from_nanos(1)), eight: Some(Duration::from_nanos(8)) };
    for Made { name, inputs, outputs, batched, run } in made {
        let signature = Signature { inputs, outputs, batched };
        let engine = Fake { signature, facts: Facts { platform: "onnx_onnxv1", engine: "Fake", ..Facts::default() }, run };
        enter(name, State::Ready(Model::new(&config(name, 3), Box::new(engine), &scheduling, measured).unwrap()));
    }
    enter("loading", State::Loading);
    enter("warming", State::Warming);
    enter("failed", State::Failed(Failure { reason: "ChecksumMismatch", message: "expected another".to_owned() }));
    enter("unloading", State::Unloading);
    enter("unloaded", State::Unloaded);
    service
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) protocol: Protocol,
    pub(crate) code: Code,
    pub(crate) model: Option<String>,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The message of an error.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error in {}", self.text())).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request.
pub(crate) async fn send(house: &Arc<Service>, request: Request<Vec<u8>>) -> Got {
    let mut seen = Seen::now();
    let request = request.map(|body| Inbound::Whole((!body.is_empty()).then(|| body.into())));
    let (head, body) = request.into_parts();
    let response = handle(house, (&head, body), &mut seen).await;
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let model = seen.model.map(|model| model.name.clone());
    Got { status: parts.status, headers: parts.headers, body: body.to_bytes(), protocol: seen.protocol, code: seen.code, model }
}

/// Sends `method path` with a body.
pub(crate) async fn call(house: &Arc<Service>, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Got {
    send(house, Request::builder().method(method).uri(path).body(body.into()).unwrap()).await
}

pub(crate) async fn get(house: &Arc<Service>, path: &str) -> Got {
    call(house, Method::GET, path, "").await
}

pub(crate) async fn post(house: &Arc<Service>, path: &str, body: impl Into<Vec<u8>>) -> Got {
    call(house, Method::POST, path, body).await
}

/// Posts to a model's `:predict`.
pub(crate) async fn predict(house: &Arc<Service>, model: &str, body: &str) -> Got {
    post(house, &format!("/v1/models/{model}:predict"), body).await
}
