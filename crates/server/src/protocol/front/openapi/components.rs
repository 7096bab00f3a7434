//! The schemas and the error responses that operations refer to.

use serde_json::{Map, Value, json};

/// A reference to one of [`schemas`].
pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// `components.schemas`.
pub(super) fn schemas() -> Value {
    let mut all = json!({
        "Error": object(&["error"], json!({ "error": { "type": "string", "description": "What was found, and what was expected." } })),
        "Base64": json!({
            "type": "object",
            "required": ["b64"],
            "properties": { "b64": { "type": "string", "contentEncoding": "base64" } },
            "additionalProperties": false,
        }),
        "Parameters": json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        }),
    });
    for (name, schema) in oip().into_iter().chain(tfs()).chain(front()) {
        all[name] = schema;
    }
    all
}

fn oip() -> Vec<(&'static str, Value)> {
    let text = json!({ "type": "string" });
    let shape = list(json!({ "type": "integer", "minimum": 0 }));
    let datatype = json!({ "type": "string", "enum": modelyard_wire::DataType::ALL.map(modelyard_wire::DataType::as_str) });
    let spec = object(
        &["name", "datatype", "shape"],
        json!({ "name": text, "datatype": datatype, "shape": list(json!({ "type": "integer", "minimum": -1 })) }),
    );
    let input = object(
        &["name", "shape", "datatype"],
        json!({
            "name": text, "shape": shape, "datatype": datatype, "parameters": schema("Parameters"),
            "data": { "type": "array", "description": "Row-major, flat or nested; absent where the tensor follows in binary." },
        }),
    );
    let output = object(
        &["name", "shape", "datatype"],
        json!({ "name": text, "shape": shape, "datatype": datatype, "parameters": schema("Parameters"), "data": { "type": "array" } }),
    );
    let asked = object(&["name"], json!({ "name": text, "parameters": schema("Parameters") }));
    let some_inputs = json!({ "type": "array", "minItems": 1, "items": schema("InferInput") });
    vec![
        ("Live", object(&["live"], json!({ "live": { "type": "boolean" } }))),
        ("Ready", object(&["ready"], json!({ "ready": { "type": "boolean" } }))),
        (
            "ServerMetadata",
            object(
                &["name", "version", "extensions"],
                json!({ "name": text, "version": text, "extensions": list(text.clone()) }),
            ),
        ),
        ("TensorMetadata", spec),
        (
            "ModelMetadata",
            object(
                &["name", "platform", "inputs", "outputs"],
                json!({
                    "name": text, "versions": list(text.clone()), "platform": text,
                    "inputs": list(schema("TensorMetadata")), "outputs": list(schema("TensorMetadata")),
                }),
            ),
        ),
        ("InferInput", input),
        ("InferOutput", output),
        ("InferRequestedOutput", asked),
        (
            "InferRequest",
            object(
                &["inputs"],
                json!({
                    "id": text, "parameters": schema("Parameters"),
                    "inputs": some_inputs, "outputs": list(schema("InferRequestedOutput")),
                }),
            ),
        ),
        (
            "InferResponse",
            object(
                &["model_name", "outputs"],
                json!({
                    "model_name": text, "model_version": text, "id": text, "parameters": schema("Parameters"),
                    "outputs": list(schema("InferOutput")),
                }),
            ),
        ),
        ("Statistics", object(&["model_stats"], json!({ "model_stats": list(json!({ "type": "object" })) }))),
        ("ModelConfig", object(&["name"], json!({ "name": text }))),
        (
            "RepositoryIndex",
            list(object(&["name", "state"], json!({ "name": text, "version": text, "state": text, "reason": text }))),
        ),
        ("RepositoryIndexRequest", json!({ "type": "object", "properties": { "ready": { "type": "boolean" } } })),
    ]
}

fn tfs() -> Vec<(&'static str, Value)> {
    let text = json!({ "type": "string" });
    let predict = json!({
        "type": "object",
        "description": "Exactly one of `instances` (rows) and `inputs` (columns).",
        "properties": {
            "signature_name": { "type": "string", "description": "`serving_default`, or absent." },
            "instances": {
                "type": "array", "minItems": 1,
                "description": "Rows: for one input its values, for several objects of all inputs by name. Their stack along a new \
                first dimension is the input, whether the model takes batches or not.",
            },
            "inputs": { "description": "Columns: each whole input by name, or the bare input where there is only one." },
        },
        "oneOf": [{ "required": ["instances"] }, { "required": ["inputs"] }],
    });
    let answer = json!({
        "type": "object",
        "properties": {
            "predictions": { "type": "array", "description": "Of `instances`: a value, or an object of all outputs by name, for each row." },
            "outputs": { "description": "Of `inputs`: the only output, or all by name." },
        },
        "oneOf": [{ "required": ["predictions"] }, { "required": ["outputs"] }],
    });
    let version = object(
        &["version", "state", "status"],
        json!({
            "version": text,
            "state": { "type": "string", "enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"] },
            "status": object(&["error_code", "error_message"], json!({ "error_code": text, "error_message": text })),
        }),
    );
    vec![
        ("ModelNames", object(&["models"], json!({ "models": list(text.clone()) }))),
        (
            "ModelStatus",
            object(
                &["name", "ready", "model_version_status"],
                json!({ "name": text, "ready": { "type": "boolean" }, "model_version_status": list(version) }),
            ),
        ),
        (
            "SignatureMetadata",
            object(&["model_spec", "metadata"], json!({ "model_spec": { "type": "object" }, "metadata": { "type": "object" } })),
        ),
        ("PredictRequest", predict),
        ("PredictResponse", answer),
    ]
}

fn front() -> Vec<(&'static str, Value)> {
    let text = json!({ "type": "string" });
    let model = object(&["name", "version", "state"], json!({ "name": text, "version": text, "state": text }));
    vec![(
        "Front",
        object(
            &["status", "name", "version", "ready", "models", "see"],
            json!({
                "status": text, "name": text, "version": text, "ready": { "type": "boolean" },
                "models": list(model), "see": { "type": "object", "additionalProperties": text },
            }),
        ),
    )]
}

/// `components.responses`, by status.
pub(super) fn responses() -> Value {
    let mut all = Map::new();
    for (status, meaning) in [
        (400, "The request is wrong; the message says where."),
        (403, "Not allowed on this server."),
        (404, "No such model or version."),
        (408, "The request's body ended early."),
        (413, "The request's body is larger than `serving.maxRequestBytes`."),
        (415, "The request's body is in an encoding or media type that is not understood."),
        (500, "The server's fault."),
        (501, "This server does not do that."),
        (503, "Not now: loading, failed to load, full, or draining."),
        (504, "The deadline passed."),
    ] {
        let mut response = json!({
            "description": meaning,
            "content": { "application/json": { "schema": schema("Error") } },
        });
        if status == 503 {
            response["headers"] = json!({
                "Retry-After": { "description": "Seconds until another try.", "schema": { "type": "integer", "minimum": 0 } },
            });
        }
        all.insert(status.to_string(), response);
    }
    Value::Object(all)
}
