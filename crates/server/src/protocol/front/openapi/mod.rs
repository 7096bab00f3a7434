//! `/openapi.json`: the REST surface as OpenAPI 3.1, each loaded model's real shapes included. Tools that make clients, forms
//! or tests read it; `/docs` renders it.

use serde_json::{Map, Value, json};

use super::{SERVER_VERSION, example};
use crate::protocol::Service;
use crate::registry::State;

mod components;
mod model;
mod operation;
mod surface;
mod tensor;

const ABOUT: &str = "An inference server. The same models answer in the Open Inference Protocol v2 (`/v2`), in TensorFlow Serving's \
REST API and in KServe v1 (`/v1`), and over gRPC on the same port. Paths with a model's name in place of `{model}` carry that \
model's own shapes; they exist for models that are loaded.\n\nEvery error is `{\"error\": message}`. Request bodies may be \
compressed (`Content-Encoding: gzip` or `deflate`). Under `/v1` the fixed parts of a path are read without regard to case; \
`/v1/models/NAME/labels/LABEL...` is understood and answers 400, since no label is ever assigned. JSON numbers keep all their \
digits; `NaN`, `Infinity` and `-Infinity` stand as bare words, as TensorFlow Serving writes them. Anything after the JSON value \
of a body is refused. Predictions also travel as CloudEvents 1.0, in binary mode (`ce-` headers) and in structured mode \
(`application/cloudevents+json`): the answer comes in the mode of the request.";

/// The document for the models as they stand now.
pub(super) fn document(service: &Service) -> Value {
    let mut paths = Map::new();
    surface::add(&mut paths);
    let mut tags = surface::tags();
    for entry in service.registry.entries() {
        if let State::Ready(model) = &*entry.state() {
            tags.push(json!({ "name": model::tag(&model.name), "description": "This model, with its own shapes." }));
            model::add(&mut paths, model);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Modelyard inference server",
            "version": SERVER_VERSION,
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": components::schemas(), "responses": components::responses() },
    })
}
