//! A service without a socket: models that answer with their inputs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use modelyard_core::server_config::{BatchingConfig, ServerConfig};
use modelyard_server::engine::{Engine, Facts, RunError, Stop};
use modelyard_server::infer::{Measured, Model, Scheduling};
use modelyard_server::load::Loader;
use modelyard_server::protocol::{Inbound, Seen, Service, handle};
use modelyard_server::registry::{Failure, State};
use modelyard_server::signature::{Signature, TensorSpec};
use modelyard_store::{Limits, Store};
use modelyard_wire::json::oip::Response;
use modelyard_wire::{DataType, Tensor};
use serde_json::{Value, json};

/// Answers with its inputs.
struct Echo {
    signature: Signature,
    facts: Facts,
}

impl Echo {
    fn boxed(datatype: DataType, names: &[(&str, &str)], shape: &[i64]) -> Box<dyn Engine> {
        let spec = |name: &str| TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() };
        let inputs = names.iter().map(|(input, _)| spec(input)).collect();
        let outputs = names.iter().map(|(_, output)| spec(output)).collect();
        let facts = Facts { platform: "onnx_onnxv1", engine: "Echo", ..Facts::default() };
        Box::new(Self { signature: Signature { inputs, outputs, batched: shape[0] < 0 }, facts })
    }
}

impl Engine for Echo {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], _stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs.to_vec())
    }
}

fn scheduling(batching: Option<BatchingConfig>) -> Scheduling {
    Scheduling { threads: 1, queue_length: 100, batching, request_timeout: Duration::from_secs(10) }
}

/// A server of `scores` (x -> y, FP32 [-1, 3], classes zero and one), `pair` (a, b -> c, d), one echo per datatype, `batched`
/// with dynamic batching and two classes of one name, and `coming` and `failed`, which do not answer.
pub(crate) fn service(allow_control: bool) -> Arc<Service> {
    let names = ["scores", "pair", "batched", "coming", "failed"].map(str::to_owned).into_iter();
    let names: Vec<_> = names.chain(DataType::ALL.map(|one| one.as_str().to_lowercase())).collect();
    let models: Vec<_> = names.iter().map(|name| json!({ "name": name, "uri": "file:none.onnx", "version": 3 })).collect();
    let mut config = json!({ "models": models, "serving": { "maxRequestBytes": 100_000 } });
    config["models"][0]["classes"] = json!(["zero", "one"]);
    config["models"][2]["classes"] = json!(["cat", "dog", "cat"]);
    let config = ServerConfig::from_json(&config.to_string()).unwrap();
    let loader = Loader::new(Store::new("none", Limits::default()), scheduling(None));
    let service = Service::new(&config, loader, allow_control);
    let ready = |name: &str, engine, batching| {
        let entry = service.registry.entry(name).unwrap();
        entry.enter(State::Ready(Model::new(&entry.config, engine, &scheduling(batching), Measured::default()).unwrap()));
    };
    ready("scores", Echo::boxed(DataType::Fp32, &[("x", "y")], &[-1, 3]), None);
    ready("pair", Echo::boxed(DataType::Fp32, &[("a", "c"), ("b", "d")], &[-1]), None);
    let batching = BatchingConfig { max_size: 8, max_delay: Duration::from_micros(500) };
    ready("batched", Echo::boxed(DataType::Fp32, &[("x", "y")], &[-1, 3]), Some(batching));
    for one in DataType::ALL {
        ready(&one.as_str().to_lowercase(), Echo::boxed(one, &[("x", "y")], &[-1, 2]), None);
    }
    let failure = Failure { reason: "ChecksumMismatch", message: "expected sha256 1, found 2".to_owned() };
    service.registry.entry("failed").unwrap().enter(State::Failed(failure));
    service
}

/// What came back.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) seen: Seen,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The `error` of an error body.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("{:?}", self.body)).to_owned()
    }

    pub(crate) fn decoded(&self) -> Response<'_> {
        let length = self.header("inference-header-content-length").map(|text| text.parse().unwrap());
        Response::read(&self.body, length).unwrap()
    }
}

pub(crate) async fn send(
    service: &Arc<Service>,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body: Bytes = body.into();
    let request = request.body(Inbound::Whole(Some(body).filter(|body| !body.is_empty()))).unwrap();
    let mut seen = Seen::now();
    let (head, body) = request.into_parts();
    let response = handle(service, (&head, body), &mut seen).await;
    seen.answered();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(seen.code.http(), head.status, "what is logged is what is answered");
    Got { status: head.status, headers: head.headers, body, seen }
}

pub(crate) async fn get(service: &Arc<Service>, path: &str) -> Got {
    send(service, ("GET", path), &[], "").await
}

pub(crate) async fn infer(service: &Arc<Service>, model: &str, body: &str) -> Got {
    send(service, ("POST", &format!("/v2/models/{model}/infer")), &[], body.to_owned()).await
}

pub(crate) fn x(shape: &str, data: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"FP32","data":{data}}}]}}"#)
}
