//! `GET /v1/models/{name}/metadata`: the signature in TensorFlow's words.

use http::Response;
use modelyard_wire::DataType;
use serde_json::{Map, Value, json};

use super::SIGNATURE;
use crate::infer::Model;
use crate::protocol::{Reply, json_response};
use crate::signature::TensorSpec;

/// The metadata of a model.
pub(super) fn of(model: &Model) -> Response<Reply> {
    let signature = json!({
        "inputs": tensors(&model.signature.inputs),
        "outputs": tensors(&model.signature.outputs),
        "method_name": "tensorflow/serving/predict",
    });
    let body = json!({
        "model_spec": { "name": model.name, "signature_name": "", "version": model.version.to_string() },
        "metadata": { "signature_def": { "signature_def": { SIGNATURE: signature } } },
    });
    json_response(body.to_string().into_bytes())
}

/// Sizes are strings, since protobuf's JSON writes an int64 so.
fn tensors(specs: &[TensorSpec]) -> Value {
    let one = |spec: &TensorSpec| {
        let dims: Vec<_> = spec.shape.iter().map(|size| json!({ "size": size.to_string(), "name": "" })).collect();
        json!({
            "dtype": dtype(spec.datatype),
            "tensor_shape": { "dim": dims, "unknown_rank": false },
            "name": spec.name,
        })
    };
    Value::Object(specs.iter().map(|spec| (spec.name.clone(), one(spec))).collect::<Map<_, _>>())
}

/// TensorFlow's name of a datatype. Source: tensorflow, `core/framework/types.proto`.
const fn dtype(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Bool => "DT_BOOL",
        DataType::Uint8 => "DT_UINT8",
        DataType::Uint16 => "DT_UINT16",
        DataType::Uint32 => "DT_UINT32",
        DataType::Uint64 => "DT_UINT64",
        DataType::Int8 => "DT_INT8",
        DataType::Int16 => "DT_INT16",
        DataType::Int32 => "DT_INT32",
        DataType::Int64 => "DT_INT64",
        DataType::Fp16 => "DT_HALF",
        DataType::Bf16 => "DT_BFLOAT16",
        DataType::Fp32 => "DT_FLOAT",
        DataType::Fp64 => "DT_DOUBLE",
        DataType::Bytes => "DT_STRING",
    }
}
