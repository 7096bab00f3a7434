//! `Predict`: named tensors in, named tensors out. The REST side answers serialised requests with it, too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use modelyard_wire::proto::tensorflow_serving::{PredictRequest, PredictResponse};

use super::super::super::{Seen, Service};
use super::super::decode;
use super::super::numbers::of_input;
use super::{SIGNATURE, check_signature, find, named, spec_of, tensor};
use crate::fault::Fault;
use crate::infer::{Call, Model};

/// A serialised `PredictRequest`, bounded before it is decoded.
///
/// # Errors
/// `INVALID_ARGUMENT` for bytes that are none.
pub(crate) fn decode_predict(bytes: Bytes) -> Result<PredictRequest, Fault> {
    decode::message(bytes)
}

/// Answers a request that came without a deadline of its own.
///
/// # Errors
/// Those of [`Model::infer`]; `NOT_FOUND` for an unknown model or version, `INVALID_ARGUMENT` for what does not fit the model.
pub(crate) async fn tfs_predict(service: &Service, request: PredictRequest, seen: &mut Seen) -> Result<PredictResponse, Fault> {
    predict(service, request, None, seen).await
}

/// Answers a request. The answer's tensors are typed, as TensorFlow Serving's are by default: clients read `float_val`.
pub(super) async fn predict(
    service: &Service,
    request: PredictRequest,
    timeout: Option<Duration>,
    seen: &mut Seen,
) -> Result<PredictResponse, Fault> {
    let read = Instant::now();
    let spec = named(request.model_spec)?;
    let model = service.awake(&find(service, &spec)?, (seen.received, timeout)).await?;
    seen.model = Some(Arc::clone(&model));
    check_signature(&spec.signature_name)?;
    let wanted = wanted(&model, &request.output_filter)?;
    let mut inputs = Vec::with_capacity(request.inputs.len());
    for (name, proto) in request.inputs {
        let input = tensor::read(proto, service.max_request_bytes).map_err(|fault| of_input(&name, fault))?;
        inputs.push((name, input));
    }
    let inputs = model.signature.bind(inputs)?;
    let answer = model.infer(Call { timeout, ..Call::new(inputs, seen.received, read) }).await?;
    seen.computed = Some(answer.at);
    let mut response = PredictResponse { model_spec: Some(spec_of(&model, SIGNATURE)), ..PredictResponse::default() };
    for index in wanted {
        let name = model.signature.outputs[index].name.clone();
        response.outputs.insert(name, tensor::write(&answer.outputs[index]));
    }
    Ok(response)
}

/// The outputs that the request asks for, or all of them.
fn wanted(model: &Model, filter: &[String]) -> Result<Vec<usize>, Fault> {
    if filter.is_empty() {
        return Ok((0..model.signature.outputs.len()).collect());
    }
    let mut all = Vec::with_capacity(filter.len().min(model.signature.outputs.len()));
    for name in filter {
        let index = model.signature.output(name)?;
        if all.contains(&index) {
            return Err(Fault::invalid(format!("output_filter: output '{name}' is named twice")));
        }
        all.push(index);
    }
    Ok(all)
}
