//! A server of four small models that speaks every protocol of the client, written apart from it: JSON by serde_json, gRPC by hand.
//!
//! `tiny` takes `x` FP32 [-1, 4] and gives `y` FP32 [-1, 3], the softmax of (x0 + x1, x2, x3), of the classes cat, dog and ox;
//! `pixels` takes [-1, 784] and gives [mean, 1 - mean]; `full` is `tiny` that always refuses; `stalls` is `tiny` whose twentieth
//! request keeps every other waiting for 400 ms.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use modelyard_wire::proto::{inference, tensorflow, tensorflow_serving as serving};
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Body = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::convert::Infallible>>>>;

/// A running server; it ends with the value.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) infers: AtomicU64,
    stall: tokio::sync::Mutex<()>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, std::convert::Infallible>(answer(&state, request).await) }
                    });
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self { address, requests: state, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.path().to_owned();
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if text("content-type").is_some_and(|kind| kind == "application/grpc") {
        return grpc(state, &path, body).await;
    }
    match path.split('/').skip(1).collect::<Vec<_>>().as_slice() {
        ["v2", "repository", "index"] => {
            reply(200, &json!([{"name": "tiny"}, {"name": "pixels"}, {"name": "full"}, {"name": "stalls"}]))
        }
        ["v2", "models", model] => match columns(model) {
            Some((inputs, outputs)) => reply(200, &metadata(model, inputs, outputs)),
            None => reply(404, &json!({"error": format!("no model '{model}'")})),
        },
        ["v2", "models", model, "config"] if *model == "tiny" => reply(200, &json!({"backend": "fake", "max_batch_size": 0})),
        ["v2", "models", model, "infer"] => match admit(state, model).await {
            Ok(()) => infer(model, &body, text("inference-header-content-length").map(|length| length.parse().unwrap())),
            Err(refusal) => reply(503, &json!({"error": refusal})),
        },
        ["v1", "models", call] => match call.strip_suffix(":predict") {
            Some(model) if text("content-type").is_some_and(|kind| kind == "application/x-protobuf") => serialised(model, body),
            Some(model) => match admit(state, model).await {
                Ok(()) => predict(model, &body),
                Err(refusal) => reply(503, &json!({"error": refusal})),
            },
            None => reply(404, &json!({"error": "not found"})),
        },
        _ => reply(404, &json!({"error": format!("nothing at {path}")})),
    }
}

async fn admit(state: &State, model: &str) -> Result<(), &'static str> {
    let number = state.infers.fetch_add(1, Ordering::Relaxed);
    if model == "stalls" {
        let _held = state.stall.lock().await;
        if number == 20 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    if model == "full" && number > 0 { Err("the queue is full") } else { Ok(()) }
}

fn columns(model: &str) -> Option<(usize, usize)> {
    match model {
        "tiny" | "full" | "stalls" => Some((4, 3)),
        "pixels" => Some((784, 2)),
        _ => None,
    }
}

/// The model.
fn run(model: &str, inputs: &[f32]) -> Vec<f32> {
    let (wide, _) = columns(model).unwrap();
    inputs
        .chunks(wide)
        .flat_map(|row| {
            if wide == 784 {
                let mean = row.iter().sum::<f32>() / 784.0;
                return vec![mean, 1.0 - mean];
            }
            let scores = [row[0] + row[1], row[2], row[3]].map(f32::exp);
            scores.iter().map(|score| score / scores.iter().sum::<f32>()).collect()
        })
        .collect()
}

fn metadata(model: &str, inputs: usize, outputs: usize) -> Value {
    let mut metadata = json!({"name": model, "versions": ["1"], "platform": "onnx_onnxv1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, inputs]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, outputs]}]});
    if outputs == 3 {
        metadata["properties"] = json!({"classes": "[\"cat\",\"dog\",\"ox\"]"});
    }
    metadata
}

fn infer(model: &str, body: &Bytes, json_length: Option<usize>) -> Response<Body> {
    let head: Value = serde_json::from_slice(&body[..json_length.unwrap_or(body.len())]).unwrap();
    let input = &head["inputs"][0];
    assert_eq!((&input["name"], &input["datatype"]), (&json!("x"), &json!("FP32")));
    let (wide, out) = columns(model).unwrap();
    if input["shape"][1] != json!(wide) {
        return reply(400, &json!({"error": format!("input 'x': expected shape [-1, {wide}], found {}", input["shape"])}));
    }
    let values: Vec<f32> = match json_length {
        Some(length) => floats(&body[length..]),
        None => input["data"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect(),
    };
    assert_eq!(json!(values.len() / wide), input["shape"][0]);
    let outputs = run(model, &values);
    let mut output = json!({"name": "y", "datatype": "FP32", "shape": [outputs.len() / out, out]});
    if head["parameters"]["binary_data_output"] != json!(true) {
        output["data"] = json!(outputs);
        return reply(200, &json!({"model_name": model, "model_version": "1", "outputs": [output]}));
    }
    output["parameters"] = json!({"binary_data_size": outputs.len() * 4});
    let head = json!({"model_name": model, "model_version": "1", "outputs": [output]}).to_string();
    let mut body = BytesMut::from(head.as_bytes());
    body.extend_from_slice(&raw(&outputs));
    let mut response = whole(200, body.freeze());
    response.headers_mut().insert("inference-header-content-length", HeaderValue::from(head.len()));
    response
}

fn predict(model: &str, body: &Bytes) -> Response<Body> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let rows = body["instances"].as_array().unwrap();
    let values: Vec<f32> =
        rows.iter().flat_map(|row| row.as_array().unwrap()).map(|value| value.as_f64().unwrap() as f32).collect();
    let (_, out) = columns(model).unwrap();
    let predictions: Vec<Vec<f32>> = run(model, &values).chunks(out).map(<[f32]>::to_vec).collect();
    reply(200, &json!({"predictions": predictions}))
}

/// A serialised PredictRequest, as saved for curl.
fn serialised(model: &str, body: Bytes) -> Response<Body> {
    let request = serving::PredictRequest::decode(body).unwrap();
    assert_eq!(request.model_spec.unwrap().name, model);
    let input = &request.inputs["x"];
    assert_eq!(input.dtype, i32::from(tensorflow::DataType::DtFloat));
    let outputs = run(model, &floats(&input.tensor_content));
    let tensor = tensorflow::TensorProto { tensor_content: raw(&outputs), ..Default::default() };
    let response = serving::PredictResponse { outputs: [("y".to_owned(), tensor)].into(), ..Default::default() };
    whole(200, response.encode_to_vec().into())
}

async fn grpc(state: &State, path: &str, mut body: Bytes) -> Response<Body> {
    assert_eq!((body.get_u8(), body.get_u32() as usize), (0, body.len()));
    match path.strip_prefix("/inference.GRPCInferenceService/") {
        Some("ModelMetadata") => {
            let request = inference::ModelMetadataRequest::decode(body).unwrap();
            let Some((inputs, outputs)) = columns(&request.name) else { return status(5, "no%20such model") };
            let tensor = |name: &str, wide: usize| inference::model_metadata_response::TensorMetadata {
                name: name.to_owned(),
                datatype: "FP32".to_owned(),
                shape: vec![-1, i64::try_from(wide).unwrap()],
            };
            message(&inference::ModelMetadataResponse {
                name: request.name,
                versions: vec!["1".to_owned()],
                inputs: vec![tensor("x", inputs)],
                outputs: vec![tensor("y", outputs)],
                ..Default::default()
            })
        }
        Some("ModelInfer") => {
            let request = inference::ModelInferRequest::decode(body).unwrap();
            if let Err(refusal) = admit(state, &request.model_name).await {
                return status(14, refusal);
            }
            let outputs = run(&request.model_name, &floats(&request.raw_input_contents[0]));
            let (_, out) = columns(&request.model_name).unwrap();
            let output = inference::model_infer_response::InferOutputTensor {
                name: "y".to_owned(),
                datatype: "FP32".to_owned(),
                shape: vec![(outputs.len() / out) as i64, out as i64],
                ..Default::default()
            };
            message(&inference::ModelInferResponse {
                model_name: request.model_name,
                model_version: "1".to_owned(),
                outputs: vec![output],
                raw_output_contents: vec![raw(&outputs)],
                ..Default::default()
            })
        }
        _ => status(12, "unimplemented"),
    }
}

fn floats(raw: &[u8]) -> Vec<f32> {
    raw.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn raw(values: &[f32]) -> Bytes {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn body(frames: Vec<Frame<Bytes>>) -> Body {
    StreamBody::new(futures_util::stream::iter(frames.into_iter().map(Ok).collect::<Vec<_>>()))
}

fn whole(status: u16, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(body(vec![Frame::data(bytes)]));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn reply(status: u16, document: &Value) -> Response<Body> {
    whole(status, document.to_string().into())
}

fn message(message: &impl Message) -> Response<Body> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut bytes).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(body(vec![Frame::data(bytes.freeze()), Frame::trailers(trailers)]));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// A call that fails before its first message.
fn status(code: u16, words: &str) -> Response<Body> {
    let mut response = Response::new(body(Vec::new()));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert("grpc-status", HeaderValue::from(code));
    response.headers_mut().insert("grpc-message", HeaderValue::from_str(words).unwrap());
    response
}
