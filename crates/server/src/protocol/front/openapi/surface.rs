//! The operations that every server has, whatever its models.

use serde_json::{Map, Value, json};

use super::components::schema;
use super::operation::{Faults, Operation, Success};

const FRONT: &str = "Front";
const OIP: &str = "Open Inference Protocol v2";
const TFS: &str = "TensorFlow Serving and KServe v1";

/// The header that says how long the JSON before binary tensors is.
pub(super) const JSON_LENGTH: &str = "Inference-Header-Content-Length";

/// `tags`.
pub(super) fn tags() -> Vec<Value> {
    [FRONT, OIP, TFS].map(|name| json!({ "name": name })).to_vec()
}

/// Adds every operation to `paths`.
pub(super) fn add(paths: &mut Map<String, Value>) {
    front(paths);
    oip(paths);
    tfs(paths);
}

/// Adds `operation` under `path` and `method`.
pub(super) fn put(paths: &mut Map<String, Value>, (method, path): (&str, &str), operation: Operation) {
    let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
    item[method] = operation.at(path);
}

fn front(paths: &mut Map<String, Value>) {
    let mut page = Operation::read("front", FRONT, "What this is, and where to look.", schema("Front"));
    page.success = Success::JsonOrPage(schema("Front"));
    put(paths, ("get", "/"), page);
    put(paths, ("get", "/openapi.json"), Operation::read("openapi", FRONT, "This document.", json!({ "type": "object" })));
    let mut docs = Operation::read("docs", FRONT, "This document, rendered.", Value::Null);
    docs.success = Success::Page;
    put(paths, ("get", "/docs"), docs);
}

fn oip(paths: &mut Map<String, Value>) {
    let read = |id: &str, summary, name| Operation::read(id, OIP, summary, schema(name));
    put(paths, ("get", "/v2/health/live"), read("serverLive", "Whether the server lives.", "Live"));
    put(
        paths,
        ("get", "/v2/health/ready"),
        read("serverReady", "Whether requests can be sent.", "Ready").failing(Faults::NotReady),
    );
    put(paths, ("get", "/v2"), read("serverMetadata", "The server's name, version and extensions.", "ServerMetadata"));
    put(paths, ("get", "/v2/models"), read("modelNames", "The models' names.", "ModelNames"));
    put(paths, ("get", "/v2/models/stats"), read("statistics", "Statistics of all models.", "Statistics"));
    for (at, of) in [("/v2/models/{model}", "model"), ("/v2/models/{model}/versions/{version}", "version")] {
        let id = |name: &str| format!("{name}.{of}");
        let read = |name: &str, summary, answer| Operation::read(id(name), OIP, summary, schema(answer)).failing(Faults::Ready);
        put(paths, ("get", at), read("metadata", "The model's inputs and outputs.", "ModelMetadata"));
        put(paths, ("get", &format!("{at}/ready")), read("ready", "Whether the model answers.", "Ready"));
        put(paths, ("get", &format!("{at}/config")), read("config", "The model's configuration.", "ModelConfig"));
        put(paths, ("get", &format!("{at}/stats")), read("stats", "The model's statistics.", "Statistics"));
        let infer = infer(id("infer"), OIP.to_owned(), infer_body(schema("InferRequest"), None), schema("InferResponse"));
        put(paths, ("post", &format!("{at}/infer")), infer);
    }
    let index = read("repositoryIndex", "Every model and its state.", "RepositoryIndex").failing(Faults::Body);
    let body = json!({ "required": false, "content": { "application/json": { "schema": schema("RepositoryIndexRequest") } } });
    put(paths, ("post", "/v2/repository/index"), index.taking(body));
    for (verb, summary) in [("load", "Loads a model."), ("unload", "Unloads a model.")] {
        let control = Operation::read(verb, OIP, summary, json!({})).failing(Faults::Control);
        let body = json!({ "required": false, "content": { "application/json": { "schema": { "type": "object" } } } });
        put(paths, ("post", &format!("/v2/repository/models/{{model}}/{verb}")), control.taking(body));
    }
}

/// An `infer` operation.
pub(super) fn infer(id: String, tag: String, body: Value, answer: Value) -> Operation {
    let mut infer = Operation::read(id, tag, "A prediction.", Value::Null).failing(Faults::Run).taking(body);
    infer.success = Success::JsonOr(answer, "application/octet-stream");
    let length = json!({ "type": "integer", "minimum": 0 });
    infer.headers.push((JSON_LENGTH, length, "Bytes of JSON before the binary tensors; 0: the body is one tensor's bytes."));
    infer
}

/// The `requestBody` of an `infer` operation.
pub(super) fn infer_body(request: Value, example: Option<Value>) -> Value {
    let mut json_body = json!({ "schema": request });
    if let Some(example) = example {
        json_body["example"] = example;
    }
    json!({ "required": true, "content": { "application/json": json_body, "application/octet-stream": {} } })
}

fn tfs(paths: &mut Map<String, Value>) {
    put(paths, ("get", "/v1/models"), Operation::read("models", TFS, "The models' names.", schema("ModelNames")));
    for (at, of) in [("/v1/models/{model}", "model"), ("/v1/models/{model}/versions/{version}", "version")] {
        let read = |name: &str, summary, answer| {
            Operation::read(format!("v1.{name}.{of}"), TFS, summary, schema(answer)).failing(Faults::Ready)
        };
        put(paths, ("get", at), read("status", "Whether the model answers.", "ModelStatus"));
        put(paths, ("get", &format!("{at}/metadata")), read("metadata", "The model's signature.", "SignatureMetadata"));
        let body = predict_body(schema("PredictRequest"), None);
        let predict = predict(format!("v1.predict.{of}"), TFS.to_owned(), body.clone(), schema("PredictResponse"));
        put(paths, ("post", &format!("{at}:predict")), predict);
        for (verb, summary, never) in [
            ("classify", "Needs a signature of tf.Example, which no model here has: use `:predict`.", 400),
            ("regress", "Needs a signature of tf.Example, which no model here has: use `:predict`.", 400),
            ("explain", "Needs an explainer, which no model here has: use `:predict`.", 501),
        ] {
            let mut refused = Operation::read(format!("v1.{verb}.{of}"), TFS, summary, Value::Null);
            refused.success = Success::None;
            put(paths, ("post", &format!("{at}:{verb}")), refused.failing(Faults::Never(never)));
        }
    }
}

/// A `predict` operation.
pub(super) fn predict(id: String, tag: String, body: Value, answer: Value) -> Operation {
    let mut predict = Operation::read(id, tag, "A prediction.", Value::Null).failing(Faults::Run).taking(body);
    predict.success = Success::JsonOr(answer, "application/x-protobuf");
    predict
}

/// The `requestBody` of a `predict` operation.
pub(super) fn predict_body(request: Value, example: Option<Value>) -> Value {
    let mut json_body = json!({ "schema": request });
    if let Some(example) = example {
        json_body["example"] = example;
    }
    let protobuf = json!({ "schema": { "description": "A serialised tensorflow.serving.PredictRequest." } });
    json!({ "required": true, "content": { "application/json": json_body, "application/x-protobuf": protobuf } })
}
