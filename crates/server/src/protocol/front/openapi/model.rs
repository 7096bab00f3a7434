//! One loaded model's own operations: the same as everyone's, with its shapes.

use serde_json::{Map, Value, json};

use super::components::schema;
use super::surface::{infer, infer_body, predict, predict_body, put};
use super::tensor::Way;
use super::{example, tensor};
use crate::infer::Model;
use crate::signature::{Signature, TensorSpec};

/// The group of a model's operations.
pub(super) fn tag(name: &str) -> String {
    format!("Model {name}")
}

/// Adds the model's operations to `paths`.
pub(super) fn add(paths: &mut Map<String, Value>, model: &Model) {
    let (name, signature) = (&model.name, &model.signature);
    let at = example::segment(name);
    let spelled = example::fits_document(signature);
    let body = predict_body(predict_request(signature), spelled.then(|| example::tfs(signature)));
    let operation = predict(format!("v1.predict:{name}"), tag(name), body, predict_response(signature));
    put(paths, ("post", &format!("/v1/models/{at}:predict")), operation);
    let body = infer_body(infer_request(signature), spelled.then(|| example::oip(signature)));
    let operation = infer(format!("infer:{name}"), tag(name), body, infer_response(signature));
    put(paths, ("post", &format!("/v2/models/{at}/infer")), operation);
}

/// An object with a property for each tensor, less its first `skip` dimensions.
fn by_name(way: Way, specs: &[TensorSpec], skip: usize) -> Value {
    let properties: Map<_, _> =
        specs.iter().map(|spec| (spec.name.clone(), tensor::nested(way, spec.datatype, &spec.shape[skip..]))).collect();
    let required: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn predict_request(signature: &Signature) -> Value {
    let inputs = &signature.inputs;
    let mut properties = json!({ "signature_name": { "type": "string", "enum": ["serving_default", ""] } });
    let mut one_of = vec![json!({ "required": ["inputs"] })];
    properties["inputs"] = match inputs.as_slice() {
        [only] => {
            json!({ "anyOf": [by_name(Way::Request, inputs, 0), tensor::nested(Way::Request, only.datatype, &only.shape)] })
        }
        several => by_name(Way::Request, several, 0),
    };
    if example::have_rows(inputs) && example::have_rows(&signature.outputs) && !inputs.is_empty() {
        properties["instances"] = match inputs.as_slice() {
            [only] => tensor::nested(Way::Request, only.datatype, &only.shape),
            several => json!({ "type": "array", "items": by_name(Way::Request, several, 1) }),
        };
        properties["instances"]["minItems"] = json!(inputs[0].shape[0].max(1));
        one_of.insert(0, json!({ "required": ["instances"] }));
    }
    json!({ "type": "object", "properties": properties, "oneOf": one_of })
}

fn predict_response(signature: &Signature) -> Value {
    let outputs = &signature.outputs;
    let columns = match outputs.as_slice() {
        [only] => tensor::nested(Way::Response, only.datatype, &only.shape),
        several => by_name(Way::Response, several, 0),
    };
    let mut properties = json!({ "outputs": columns });
    if example::have_rows(outputs) && !outputs.is_empty() {
        properties["predictions"] = match outputs.as_slice() {
            [only] => tensor::nested(Way::Response, only.datatype, &only.shape),
            several => json!({ "type": "array", "items": by_name(Way::Response, several, 1) }),
        };
    }
    json!({ "type": "object", "properties": properties, "oneOf": [{ "required": ["predictions"] }, { "required": ["outputs"] }] })
}

fn infer_request(signature: &Signature) -> Value {
    let count = signature.inputs.len();
    let input = |spec: &TensorSpec| {
        json!({
            "type": "object",
            "required": ["name", "shape", "datatype"],
            "properties": {
                "name": { "const": spec.name }, "datatype": { "const": spec.datatype.as_str() }, "shape": shape(spec),
                "parameters": schema("Parameters"), "data": { "type": "array" },
            },
        })
    };
    let inputs: Vec<_> = signature.inputs.iter().map(input).collect();
    let outputs: Vec<_> = signature.outputs.iter().map(|spec| spec.name.as_str()).collect();
    let asked = json!({
        "type": "object",
        "required": ["name"],
        "properties": { "name": { "type": "string", "enum": outputs }, "parameters": schema("Parameters") },
    });
    json!({
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": { "type": "string" },
            "parameters": schema("Parameters"),
            "inputs": { "type": "array", "minItems": count, "maxItems": count, "items": { "oneOf": inputs } },
            "outputs": { "type": "array", "items": asked },
        },
    })
}

/// The array that says a tensor's shape.
fn shape(spec: &TensorSpec) -> Value {
    let dims: Vec<_> = spec
        .shape
        .iter()
        .map(|dim| if *dim < 0 { json!({ "type": "integer", "minimum": 0 }) } else { json!({ "const": dim }) })
        .collect();
    let rank = dims.len();
    let mut array = json!({ "type": "array", "minItems": rank, "maxItems": rank });
    if rank > 0 {
        array["prefixItems"] = json!(dims);
    }
    array
}

fn infer_response(signature: &Signature) -> Value {
    let names: Vec<_> = signature.outputs.iter().map(|spec| spec.name.as_str()).collect();
    json!({
        "allOf": [
            schema("InferResponse"),
            { "properties": { "outputs": { "items": { "properties": { "name": { "enum": names } } } } } },
        ],
    })
}
