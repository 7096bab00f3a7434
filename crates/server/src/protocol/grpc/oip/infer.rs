//! `ModelInfer`: one request to a model, one answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use modelyard_wire::Tensor;
use modelyard_wire::proto::inference::infer_parameter::ParameterChoice;
use modelyard_wire::proto::inference::model_infer_request::InferRequestedOutputTensor;
use modelyard_wire::proto::inference::model_infer_response::InferOutputTensor;
use modelyard_wire::proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};

use super::super::super::oip::{classify, sequence};
use super::super::super::{Seen, Service};
use super::super::shown;
use super::contents;
use crate::fault::{Code, Fault};
use crate::infer::{Call, Model};

type Parameters = BTreeMap<String, InferParameter>;

/// Answers a request. `timeout` is the call's own; the request's parameter of that name can only shorten it.
///
/// The answer's tensors are raw, whatever the request's were, as Triton's are: clients of both kinds read them.
///
/// # Errors
/// Those of [`Model::infer`]; `NOT_FOUND` for an unknown model or version, `INVALID_ARGUMENT` for what does not fit the model.
pub(super) async fn infer(
    service: &Service,
    mut request: ModelInferRequest,
    timeout: Option<Duration>,
    seen: &mut Seen,
) -> Result<ModelInferResponse, Fault> {
    let read = Instant::now();
    let timeout = shorter(timeout, parameter_timeout(&request.parameters)?);
    let asked = (seen.received, timeout);
    let model = service.model(&request.model_name, Some(&request.model_version), asked).await?;
    seen.model = Some(model.clone());
    let wanted = wanted(&model, &request.outputs)?;
    for (name, value) in &request.parameters {
        sequence::refuse(name, is_zero(value))?;
    }
    let priority = whole_number(&request.parameters, "priority")?.unwrap_or(0);
    let inputs = model.signature.bind(contents::tensors(&mut request)?)?;
    let answer = model.infer(Call { inputs, timeout, priority, received: seen.received, read }).await?;
    seen.computed = Some(answer.at);
    let mut response = ModelInferResponse {
        model_name: request.model_name,
        model_version: model.version.to_string(),
        id: request.id,
        ..ModelInferResponse::default()
    };
    response.outputs.reserve_exact(wanted.len());
    response.raw_output_contents.reserve_exact(wanted.len());
    for Wanted { index, classes } in wanted {
        let (name, tensor) = (&model.signature.outputs[index].name, &answer.outputs[index]);
        match classes {
            None => push(&mut response, name, tensor),
            Some(count) => push(&mut response, name, &classify::best(&model, tensor, count)?),
        }
    }
    Ok(response)
}

fn push(response: &mut ModelInferResponse, name: &str, tensor: &Tensor) {
    response.outputs.push(InferOutputTensor {
        name: name.to_owned(),
        datatype: tensor.datatype().as_str().to_owned(),
        shape: tensor.shape().iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect(),
        ..InferOutputTensor::default()
    });
    response.raw_output_contents.push(tensor.to_raw());
}

/// One output of the answer.
struct Wanted {
    /// Which one, in the signature's order.
    index: usize,
    /// The classification extension: so many best classes in place of the scores.
    classes: Option<u64>,
}

/// The outputs that the request asks for, or all of them.
fn wanted(model: &Model, requested: &[InferRequestedOutputTensor]) -> Result<Vec<Wanted>, Fault> {
    if requested.is_empty() {
        return Ok((0..model.signature.outputs.len()).map(|index| Wanted { index, classes: None }).collect());
    }
    let mut all: Vec<Wanted> = Vec::with_capacity(requested.len().min(model.signature.outputs.len()));
    for output in requested {
        let index = model.signature.output(&output.name)?;
        if all.iter().any(|earlier| earlier.index == index) {
            return Err(Fault::invalid(format!("output '{}' is requested twice", output.name)));
        }
        if output.parameters.keys().any(|key| key.starts_with("shared_memory_")) {
            let message = format!("output '{}': this server has no shared memory", output.name);
            return Err(Fault::new(Code::Unimplemented, message));
        }
        let classes = whole_number(&output.parameters, "classification").map_err(|fault| of_output(&output.name, fault))?;
        if let Some(count) = classes {
            classify::check(&output.name, model.signature.outputs[index].datatype, count)?;
        }
        all.push(Wanted { index, classes });
    }
    Ok(all)
}

/// A fault of one output, named.
fn of_output(name: &str, mut fault: Fault) -> Fault {
    fault.message = format!("output '{name}': {}", fault.message);
    fault
}

/// The request's own deadline: microseconds, 0 for none. Source: Triton's schedule policy extension.
fn parameter_timeout(parameters: &Parameters) -> Result<Option<Duration>, Fault> {
    if let Some((name, _)) = parameters.iter().find(|(_, value)| value.parameter_choice.is_none()) {
        return Err(Fault::invalid(format!("parameter '{}' has no value", shown(name))));
    }
    Ok(whole_number(parameters, "timeout")?.filter(|micros| *micros > 0).map(Duration::from_micros))
}

/// Whether a parameter says nothing: 0, the empty string, false. One without a value is refused elsewhere.
fn is_zero(parameter: &InferParameter) -> bool {
    match &parameter.parameter_choice {
        Some(ParameterChoice::BoolParam(value)) => !value,
        Some(ParameterChoice::Uint64Param(value)) => *value == 0,
        Some(ParameterChoice::Int64Param(value)) => *value == 0,
        Some(ParameterChoice::DoubleParam(value)) => *value == 0.0,
        Some(ParameterChoice::StringParam(text)) => text.is_empty() || text == "0",
        None => true,
    }
}

fn whole_number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Fault> {
    let Some(parameter) = parameters.get(name) else { return Ok(None) };
    let found = match &parameter.parameter_choice {
        Some(ParameterChoice::Uint64Param(value)) => return Ok(Some(*value)),
        Some(ParameterChoice::Int64Param(value)) => match u64::try_from(*value) {
            Ok(value) => return Ok(Some(value)),
            Err(_) => value.to_string(),
        },
        Some(ParameterChoice::BoolParam(value)) => value.to_string(),
        Some(ParameterChoice::DoubleParam(value)) => value.to_string(),
        Some(ParameterChoice::StringParam(value)) => format!("'{}'", shown(value)),
        None => "no value".to_owned(),
    };
    Err(Fault::invalid(format!("parameter '{name}': expected a whole number of 0 or more, found {found}")))
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
