//! The response of an inference call: which outputs, in which form, and the body by hand into one buffer.

use std::collections::VecDeque;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use modelyard_wire::Tensor;
use modelyard_wire::json::oip::{Form, Head, Requested, write_tensor};

use super::{JSON_LENGTH, classify};
use crate::fault::Fault;
use crate::infer::Model;
use crate::protocol::{Reply, json_response};

/// An output that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its index in the signature.
    index: usize,
    form: Form,
    /// The best so many classes in place of the scores.
    classes: Option<u64>,
}

/// Binary tensors up to this many bytes are copied behind the JSON, which costs less than a buffer of their own does.
const COPIED: usize = 16 << 10;

impl Wanted {
    /// The outputs that a request asks for, all of them where it names none.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unknown or repeated output, and for classes of what is no list of scores.
    pub(super) fn of(model: &Model, requested: &[Requested<'_>], binary: bool) -> Result<Vec<Self>, Fault> {
        let form = |binary: bool| if binary { Form::Binary } else { Form::Json };
        let specs = &model.signature.outputs;
        if requested.is_empty() {
            return Ok((0..specs.len()).map(|index| Self { index, form: form(binary), classes: None }).collect());
        }
        let mut all: Vec<Self> = Vec::with_capacity(requested.len().min(specs.len()));
        for one in requested {
            let index = model.signature.output(&one.name)?;
            if all.iter().any(|earlier| earlier.index == index) {
                return Err(Fault::invalid(format!("output '{}' is asked for twice", one.name)));
            }
            if let Some(best) = one.classification {
                classify::check(&one.name, specs[index].datatype, best)?;
            }
            all.push(Self { index, form: form(one.binary.unwrap_or(binary)), classes: one.classification });
        }
        Ok(all)
    }
}

/// Writes the response.
///
/// # Errors
/// `INVALID_ARGUMENT` for strings that JSON cannot carry.
pub(super) fn write(
    model: &Model,
    id: Option<&str>,
    (wanted, mut outputs): (&[Wanted], Vec<Tensor>),
) -> Result<Response<Reply>, Fault> {
    for one in wanted {
        if let Some(best) = one.classes {
            outputs[one.index] = classify::best(model, &outputs[one.index], best)?;
        }
    }
    let elements: usize = wanted.iter().filter(|one| one.form == Form::Json).map(|one| outputs[one.index].len()).sum();
    let mut body = Vec::with_capacity(160 + 96 * wanted.len() + 12 * elements);
    Head { model_name: &model.name, model_version: model.version, id }.open(&mut body);
    let mut binary = VecDeque::new();
    for (place, one) in wanted.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        let (name, tensor) = (&model.signature.outputs[one.index].name, &outputs[one.index]);
        write_tensor(&mut body, name, tensor, one.form).map_err(|error| Fault::invalid(format!("output '{name}': {error}")))?;
        if one.form == Form::Binary {
            binary.push_back(tensor.to_raw());
        }
    }
    body.extend_from_slice(b"]}");
    Ok(if binary.is_empty() { json_response(body) } else { with_binary(body, binary) })
}

fn with_binary(mut json: Vec<u8>, mut binary: VecDeque<Bytes>) -> Response<Reply> {
    let length = json.len();
    let reply = if binary.iter().map(Bytes::len).sum::<usize>() <= COPIED {
        binary.iter().for_each(|raw| json.extend_from_slice(raw));
        Reply::from(json)
    } else {
        binary.push_front(json.into());
        Reply::Pieces(binary, None)
    };
    let mut response = Response::new(reply);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(&JSON_LENGTH, HeaderValue::from(length));
    response
}
