//! A model's configuration, in the part of Triton's words that has a meaning here.

use std::collections::BTreeMap;

use modelyard_wire::DataType;
use modelyard_wire::proto::inference as pb;
use modelyard_wire::proto::inference::model_config::SchedulingChoice;
use modelyard_wire::proto::inference::model_version_policy::{PolicyChoice, Specific};

use crate::infer::{Model, Rows};
use crate::signature::TensorSpec;

/// How a model is configured. `max_batch_size` is above 0 where rows of several requests run together; then dimensions leave
/// the batch out, as Triton's do.
pub(super) fn of(model: &Model) -> pb::ModelConfig {
    let batching = model.policy.batching.as_ref();
    let max_batch_size = batching.map_or(0, |batching| i32::try_from(batching.max_size).unwrap_or(i32::MAX));
    let dims = |spec: &TensorSpec| spec.shape[usize::from(max_batch_size > 0).min(spec.shape.len())..].to_vec();
    let input = |spec: &TensorSpec| pb::ModelInput {
        name: spec.name.clone(),
        data_type: data_type(spec.datatype).into(),
        dims: dims(spec),
    };
    let output = |spec: &TensorSpec| pb::ModelOutput {
        name: spec.name.clone(),
        data_type: data_type(spec.datatype).into(),
        dims: dims(spec),
    };
    pb::ModelConfig {
        name: model.name.clone(),
        platform: model.facts.platform.to_owned(),
        backend: model.facts.engine.to_ascii_lowercase(),
        version_policy: Some(pb::ModelVersionPolicy {
            policy_choice: Some(PolicyChoice::Specific(Specific { versions: vec![model.version] })),
        }),
        max_batch_size,
        input: model.signature.inputs.iter().map(input).collect(),
        output: model.signature.outputs.iter().map(output).collect(),
        instance_group: Vec::new(),
        default_model_filename: String::new(),
        parameters: parameters(model),
        scheduling_choice: batching.map(|batching| {
            SchedulingChoice::DynamicBatching(pb::ModelDynamicBatching {
                preferred_batch_size: Vec::new(),
                max_queue_delay_microseconds: u64::try_from(batching.max_delay.as_micros()).unwrap_or(u64::MAX),
            })
        }),
    }
}

/// How rows are run, and why: what was decided when the model was loaded.
fn parameters(model: &Model) -> BTreeMap<String, pb::ModelParameter> {
    let rows = match model.policy.rows {
        Rows::Stack => "stack",
        Rows::FanOut => "fan_out",
    };
    let value = |text: &str| pb::ModelParameter { string_value: text.to_owned() };
    BTreeMap::from([("rows".to_owned(), value(rows)), ("rows_reason".to_owned(), value(&model.policy.reason))])
}

/// Triton's number of a datatype.
const fn data_type(datatype: DataType) -> pb::DataType {
    match datatype {
        DataType::Bool => pb::DataType::TypeBool,
        DataType::Uint8 => pb::DataType::TypeUint8,
        DataType::Uint16 => pb::DataType::TypeUint16,
        DataType::Uint32 => pb::DataType::TypeUint32,
        DataType::Uint64 => pb::DataType::TypeUint64,
        DataType::Int8 => pb::DataType::TypeInt8,
        DataType::Int16 => pb::DataType::TypeInt16,
        DataType::Int32 => pb::DataType::TypeInt32,
        DataType::Int64 => pb::DataType::TypeInt64,
        DataType::Fp16 => pb::DataType::TypeFp16,
        DataType::Bf16 => pb::DataType::TypeBf16,
        DataType::Fp32 => pb::DataType::TypeFp32,
        DataType::Fp64 => pb::DataType::TypeFp64,
        DataType::Bytes => pb::DataType::TypeString,
    }
}
