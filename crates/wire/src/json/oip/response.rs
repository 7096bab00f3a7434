//! An inference response: what the server writes, and what a client reads.

use std::borrow::Cow;

use bytes::Bytes;

use super::{BodyError, NamedTensor, Parts, Tail, is_null, once, read_tensor};
use crate::json::write;
use crate::json::{Cursor, JsonError, Kind};

/// What a response says besides its outputs.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The model that answered.
    pub model_name: &'a str,
    /// Its version.
    pub model_version: i64,
    /// The request's own name, echoed.
    pub id: Option<&'a str>,
}

impl Head<'_> {
    /// Starts a response up to its list of outputs, which follow as [`write_tensor`](super::write_tensor) writes them, with commas
    /// between, and `]}` at the end.
    pub fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"model_name\":");
        write::string(out, self.model_name);
        out.extend_from_slice(b",\"model_version\":\"");
        write::integer(out, self.model_version);
        out.push(b'"');
        if let Some(id) = self.id {
            out.extend_from_slice(b",\"id\":");
            write::string(out, id);
        }
        out.extend_from_slice(b",\"outputs\":[");
    }
}

/// A response as a client reads it.
#[derive(Debug, Default, PartialEq)]
pub struct Response<'a> {
    /// The model that answered.
    pub model_name: Option<Cow<'a, str>>,
    /// Its version.
    pub model_version: Option<Cow<'a, str>>,
    /// The request's own name, echoed.
    pub id: Option<Cow<'a, str>>,
    /// The outputs.
    pub outputs: Vec<NamedTensor<'a>>,
}

impl<'a> Response<'a> {
    /// Reads a body; `json_length` is the value of the header [`JSON_LENGTH_HEADER`](super::JSON_LENGTH_HEADER).
    ///
    /// # Errors
    /// Names the byte or the tensor, what was found and what was expected.
    pub fn read(body: &'a Bytes, json_length: Option<usize>) -> Result<Self, BodyError> {
        Parts::split(body, json_length)?.read(read_response)
    }
}

fn read_response<'a>(cursor: &mut Cursor<'a>, tail: &mut Tail) -> Result<Response<'a>, BodyError> {
    let (mut model_name, mut model_version, mut id, mut outputs) = (None, None, None, None);
    cursor.object(|key, cursor| {
        let at = cursor.position();
        if is_null(cursor)? {
            return Ok(());
        }
        match &*key {
            "model_name" => once(&mut model_name, &key, at, cursor.string()?),
            "model_version" => once(&mut model_version, &key, at, cursor.string()?),
            "id" => once(&mut id, &key, at, cursor.string()?),
            "outputs" => once(&mut outputs, &key, at, read_tensors(cursor, tail)?),
            _ => Ok(cursor.skip_value()?),
        }
    })?;
    let outputs = outputs.ok_or_else(|| JsonError::new(0, "a response with 'outputs'", "one without"))?;
    Ok(Response { model_name, model_version, id, outputs })
}

fn read_tensors<'a>(cursor: &mut Cursor<'a>, tail: &mut Tail) -> Result<Vec<NamedTensor<'a>>, BodyError> {
    let mut outputs = Vec::new();
    cursor.array(|cursor| {
        outputs.push(read_tensor(cursor, tail)?);
        Ok::<_, BodyError>(())
    })?;
    Ok(outputs)
}

/// The message of an error body, `{"error": "..."}`, if it is one.
#[must_use]
pub fn read_error(body: &[u8]) -> Option<String> {
    let mut message = None;
    let mut cursor = Cursor::new(body);
    cursor
        .object(|key, cursor| {
            if key == "error" && cursor.kind()? == Kind::String {
                message = Some(cursor.string()?.into_owned());
                return Ok::<_, JsonError>(());
            }
            cursor.skip_value()
        })
        .ok()?;
    message
}
