//! A model's configuration in the words of Triton's `ModelConfig`, with what this server decided about its rows.

use modelyard_wire::DataType;
use serde_json::{Value, json};

use crate::infer::{Model, Rows};
use crate::signature::TensorSpec;

/// The configuration. With dynamic batching `max_batch_size` is its bound and `dims` leave the batch out; else it is 0, which says
/// that `dims` are the whole shape.
pub(super) fn model(model: &Model) -> Value {
    let batching = model.policy.batching.as_ref();
    let skip = usize::from(batching.is_some());
    let mut config = json!({
        "name": model.name,
        "platform": model.facts.platform,
        "backend": model.facts.engine.to_ascii_lowercase(),
        "version_policy": { "specific": { "versions": [model.version] } },
        "max_batch_size": batching.map_or(0, |batching| batching.max_size),
        "input": tensors(&model.signature.inputs, skip),
        "output": tensors(&model.signature.outputs, skip),
        "parameters": {
            "rows": { "string_value": rows(model.policy.rows) },
            "rows_reason": { "string_value": model.policy.reason },
        },
    });
    if !model.facts.engine_reason.is_empty() {
        config["parameters"]["engine_reason"] = json!({ "string_value": model.facts.engine_reason });
    }
    if let Some(batching) = batching {
        let delay = u64::try_from(batching.max_delay.as_micros()).unwrap_or(u64::MAX);
        config["dynamic_batching"] = json!({ "preferred_batch_size": [], "max_queue_delay_microseconds": delay });
    }
    config
}

/// What becomes of the rows of a request, in a word.
const fn rows(rows: Rows) -> &'static str {
    match rows {
        Rows::Stack => "stack",
        Rows::FanOut => "fan_out",
    }
}

fn tensors(specs: &[TensorSpec], skip: usize) -> Vec<Value> {
    let one = |spec: &TensorSpec| json!({ "name": spec.name, "data_type": data_type(spec.datatype), "dims": spec.shape.get(skip..).unwrap_or_default() });
    specs.iter().map(one).collect()
}

/// Triton's name of a datatype.
fn data_type(datatype: DataType) -> String {
    match datatype {
        DataType::Bytes => "TYPE_STRING".to_owned(),
        other => format!("TYPE_{other}"),
    }
}
