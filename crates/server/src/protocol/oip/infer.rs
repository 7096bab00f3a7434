//! The inference call: decode, bind to the signature, run, encode.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Response};
use modelyard_wire::json::Number;
use modelyard_wire::json::oip::{Parameter, Request};

use super::reply::{self, Wanted};
use super::{json_length, raw, sequence};
use crate::fault::Fault;
use crate::infer::{Call, Model};
use crate::protocol::{Inbound, Reply, Seen, Service, encoding};

/// A request on its way in.
pub(super) struct Incoming<'a> {
    pub(super) headers: &'a HeaderMap,
    /// `Inference-Header-Content-Length`.
    pub(super) json_length: Option<&'a HeaderValue>,
    pub(super) body: Inbound,
}

/// What a request's parameters ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Outputs are binary unless they say otherwise themselves.
    binary: bool,
    timeout: Option<Duration>,
    priority: u64,
}

/// Answers an inference request.
///
/// # Errors
/// `INVALID_ARGUMENT` for what the request gets wrong, and whatever the model says.
pub(super) async fn infer(
    service: &Service,
    model: &Arc<Model>,
    incoming: Incoming<'_>,
    seen: &mut Seen,
) -> Result<Response<Reply>, Fault> {
    let length = json_length(incoming.json_length)?;
    let mut reading = pin!(encoding::read(incoming.headers, incoming.body, service.max_request_bytes));
    // A small body comes with its head, and the clock need not be read for it.
    let (body, read) = match reading.as_mut().now_or_never() {
        Some(body) => (body?, seen.received),
        None => (reading.await?, Instant::now()),
    };
    let (request, options) = match length {
        // The whole body is the one input's bytes.
        Some(0) => (raw::request(&model.signature, &body)?, Options { binary: true, ..Options::default() }),
        _ => decode(&body, length)?,
    };
    let Request { id, inputs, outputs, .. } = request;
    let wanted = Wanted::of(model, &outputs, options.binary)?;
    let inputs = model.signature.bind(inputs.into_iter().map(|input| (input.name, input.tensor)))?;
    let call = Call { inputs, timeout: options.timeout, priority: options.priority, received: seen.received, read };
    let answer = model.infer(call).await?;
    seen.computed = Some(answer.at);
    let response = reply::write(model, id.as_deref(), (&wanted, answer.outputs))?;
    Ok(response)
}

fn decode(body: &Bytes, length: Option<usize>) -> Result<(Request<'_>, Options), Fault> {
    let request = Request::read(body, length)?;
    let options = Options::of(&request.parameters)?;
    Ok((request, options))
}

impl Options {
    /// Checks the parameters that the protocol and its extensions name; others are the client's own affair.
    fn of<'a>(parameters: &[(impl AsRef<str>, Parameter<'a>)]) -> Result<Self, Fault> {
        let mut options = Self::default();
        for (name, value) in parameters {
            match name.as_ref() {
                name @ "binary_data_output" => options.binary = value.as_bool(name)?,
                name @ "timeout" => {
                    let microseconds = value.as_u64(name)?;
                    options.timeout = (microseconds > 0).then(|| Duration::from_micros(microseconds));
                }
                name @ "priority" => options.priority = value.as_u64(name)?,
                name => sequence::refuse(name, is_zero(value))?,
            }
        }
        Ok(options)
    }
}

/// Whether a parameter says nothing: 0, the empty string, false.
fn is_zero(value: &Parameter<'_>) -> bool {
    match value {
        Parameter::Bool(value) => !value,
        Parameter::Number(number, _) => matches!(number, Number::Int(0)),
        Parameter::Text(text) => text.is_empty() || text == "0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(parameters: &str) -> Result<Options, String> {
        let inputs = r#""inputs":[{"name":"x","shape":[],"datatype":"BOOL","data":true}]"#;
        let body = Bytes::from(format!(r#"{{"parameters":{parameters},{inputs}}}"#));
        decode(&body, None).map(|(_, options)| options).map_err(|fault| fault.message)
    }

    #[test]
    fn parameters_are_honoured_or_refused() {
        let asked = Options { binary: true, timeout: Some(Duration::from_micros(1500)), priority: 2 };
        assert_eq!(options(r#"{"binary_data_output":true,"timeout":1500,"priority":2,"own":"x","triton_a":1}"#), Ok(asked));
        assert_eq!(options(r#"{"timeout":0,"sequence_id":0,"sequence_start":false,"priority":0}"#), Ok(Options::default()));
        assert_eq!(options(r#"{"sequence_id":"","sequence_end":false}"#), Ok(Options::default()));
        for (parameters, message) in [
            (r#"{"timeout":-1}"#, "parameter 'timeout': expected an integer of 0 or more, found -1"),
            (r#"{"timeout":"5"}"#, "parameter 'timeout': expected an integer of 0 or more, found the string '5'"),
            (
                r#"{"priority":18446744073709551616}"#,
                "parameter 'priority': expected an integer of 0 or more, at most 18446744073709551615, found 18446744073709551616",
            ),
            (r#"{"timeout":1e400}"#, "byte 25: expected a number that a double holds, found 1e400"),
            (r#"{"priority":1.5}"#, "parameter 'priority': expected an integer of 0 or more, found 1.5"),
            (r#"{"sequence_id":7}"#, "parameter 'sequence_id': this model keeps no sequence state"),
            (r#"{"sequence_start":true}"#, "parameter 'sequence_start': this model keeps no sequence state"),
            (r#"{"binary_data_output":1}"#, "parameter 'binary_data_output': expected true or false, found 1"),
            (r#"{"a":null}"#, "byte 19: expected a string, a number, true or false as a parameter, found 'n'"),
        ] {
            let found = options(parameters).unwrap_err();
            assert!(found.starts_with(message), "{found}");
        }
    }
}
