//! Bodies of the Open Inference Protocol's inference call, as both sides read and write them: JSON, and the binary tensor
//! extension, where a tensor's bytes follow the JSON in the order of its mention.
//!
//! Source: Open Inference Protocol v2, REST; binary tensor, classification and parameters extensions as Triton documents them.

mod parameter;
mod request;
mod response;
mod tensor;

pub use parameter::Parameter;
pub use request::{Encoded, Outgoing, Request, Requested};
pub use response::{Head, Response, read_error};
pub use tensor::{Form, NamedTensor, read_tensor, write_tensor};

use bytes::Bytes;

use super::{Cursor, JsonError};
use crate::TensorError;

/// The header that tells how many bytes of a body are JSON; binary tensors follow.
pub const JSON_LENGTH_HEADER: &str = "inference-header-content-length";

/// A body that is not what the protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or not the JSON that is asked for.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// A tensor whose shape and data do not agree.
    #[error("'{name}': {source}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        source: TensorError,
    },
    /// Anything else; the message names the field.
    #[error("{0}")]
    Invalid(String),
}

/// A body taken apart: the JSON, and the binary tensors behind it.
#[derive(Debug)]
pub struct Parts<'a> {
    json: &'a [u8],
    tail: Tail,
}

/// The binary tensors that are still to be taken.
#[derive(Debug)]
pub struct Tail {
    /// `None` where the body is JSON alone.
    bytes: Option<Bytes>,
}

impl<'a> Parts<'a> {
    /// Splits a body after `json_length` bytes, the value of [`JSON_LENGTH_HEADER`]; without it the whole body is JSON.
    ///
    /// # Errors
    /// When the body is shorter.
    pub fn split(body: &'a Bytes, json_length: Option<usize>) -> Result<Self, BodyError> {
        let Some(length) = json_length else { return Ok(Self { json: body, tail: Tail { bytes: None } }) };
        let Some(json) = body.get(..length) else {
            let found = body.len();
            return Err(BodyError::Invalid(format!(
                "the header Inference-Header-Content-Length says {length} bytes of JSON, the body has {found} bytes"
            )));
        };
        Ok(Self { json, tail: Tail { bytes: Some(body.slice(length..)) } })
    }

    /// Reads the JSON by `read`, and checks that nothing is left of it or of the binary tensors.
    fn read<T>(self, read: impl FnOnce(&mut Cursor<'a>, &mut Tail) -> Result<T, BodyError>) -> Result<T, BodyError> {
        let Self { json, mut tail } = self;
        let mut cursor = Cursor::new(json);
        let value = read(&mut cursor, &mut tail)?;
        cursor.end()?;
        match tail.bytes {
            Some(rest) if !rest.is_empty() => {
                Err(BodyError::Invalid(format!("{} bytes are left after the last binary tensor", rest.len())))
            }
            _ => Ok(value),
        }
    }
}

impl Tail {
    /// The next `size` bytes, those of the tensor `name`.
    fn take(&mut self, name: &str, size: usize) -> Result<Bytes, BodyError> {
        let Some(rest) = &mut self.bytes else {
            return Err(BodyError::Invalid(format!(
                "'{name}': binary_data_size needs the header Inference-Header-Content-Length, which is missing"
            )));
        };
        if size > rest.len() {
            let left = rest.len();
            return Err(BodyError::Invalid(format!("'{name}': binary_data_size is {size}, {left} bytes are left of the body")));
        }
        Ok(rest.split_to(size))
    }
}

/// Steps over null: clients that write whole records put it where they have nothing to say, so it means the same as no field.
fn is_null(cursor: &mut Cursor<'_>) -> Result<bool, JsonError> {
    if cursor.peek() == Some(b'n') { cursor.null().map(|()| true) } else { Ok(false) }
}

/// Fills a field that may be given once.
fn once<T>(slot: &mut Option<T>, key: &str, at: usize, value: T) -> Result<(), BodyError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(JsonError::new(at, "each key once", format!("'{key}' again")).into()),
    }
}
