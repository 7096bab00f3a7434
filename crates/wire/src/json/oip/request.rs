//! An inference request: what the server reads, and what a client writes.

use std::borrow::Cow;

use bytes::Bytes;

use super::{BodyError, Form, NamedTensor, Parameter, Parts, Tail, is_null, once, parameter, read_tensor, write_tensor};
use crate::Tensor;
use crate::json::write::{self, WriteError};
use crate::json::{Cursor, JsonError};

/// A request as the server reads it; names borrow from the body, binary tensors share its memory.
#[derive(Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// The client's name for the request, to be echoed.
    pub id: Option<Cow<'a, str>>,
    /// Parameters of the whole request, each once.
    pub parameters: Vec<(Cow<'a, str>, Parameter<'a>)>,
    /// The inputs, at least one.
    pub inputs: Vec<NamedTensor<'a>>,
    /// The outputs asked for; none means all.
    pub outputs: Vec<Requested<'a>>,
}

/// An output that is asked for.
#[derive(Debug, Default, PartialEq)]
pub struct Requested<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// `parameters.binary_data`, if given.
    pub binary: Option<bool>,
    /// `parameters.classification`: the best so many classes instead of the scores.
    pub classification: Option<u64>,
}

impl<'a> Request<'a> {
    /// Reads a body; `json_length` is the value of the header [`JSON_LENGTH_HEADER`](super::JSON_LENGTH_HEADER).
    ///
    /// # Errors
    /// Names the byte or the tensor, what was found and what was expected.
    pub fn read(body: &'a Bytes, json_length: Option<usize>) -> Result<Self, BodyError> {
        Parts::split(body, json_length)?.read(read_request)
    }
}

fn read_request<'a>(cursor: &mut Cursor<'a>, tail: &mut Tail) -> Result<Request<'a>, BodyError> {
    let (mut id, mut parameters, mut inputs, mut outputs) = (None, None, None, None);
    cursor.object(|key, cursor| {
        let at = cursor.position();
        if is_null(cursor)? {
            return Ok(());
        }
        match &*key {
            "id" => once(&mut id, &key, at, cursor.string()?),
            "parameters" => once(&mut parameters, &key, at, parameter::collect(cursor)?),
            "inputs" => once(&mut inputs, &key, at, read_inputs(cursor, tail)?),
            "outputs" => once(&mut outputs, &key, at, read_outputs(cursor)?),
            _ => Ok(cursor.skip_value()?),
        }
    })?;
    let inputs: Vec<_> = inputs.ok_or_else(|| JsonError::new(0, "a request with 'inputs'", "one without"))?;
    if inputs.is_empty() {
        return Err(BodyError::Invalid("'inputs': expected at least one tensor, found none".to_owned()));
    }
    let (parameters, outputs) = (parameters.unwrap_or_default(), outputs.unwrap_or_default());
    Ok(Request { id, parameters, inputs, outputs })
}

fn read_inputs<'a>(cursor: &mut Cursor<'a>, tail: &mut Tail) -> Result<Vec<NamedTensor<'a>>, BodyError> {
    let mut inputs = Vec::with_capacity(1);
    cursor.array(|cursor| {
        inputs.push(read_tensor(cursor, tail)?);
        Ok::<_, BodyError>(())
    })?;
    Ok(inputs)
}

fn read_outputs<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Requested<'a>>, BodyError> {
    let mut outputs = Vec::new();
    cursor.array(|cursor| {
        outputs.push(read_output(cursor)?);
        Ok::<_, BodyError>(())
    })?;
    Ok(outputs)
}

fn read_output<'a>(cursor: &mut Cursor<'a>) -> Result<Requested<'a>, BodyError> {
    cursor.peek();
    let start = cursor.position();
    let (mut name, mut parameters) = (None, None);
    cursor.object(|key, cursor| {
        let at = cursor.position();
        if is_null(cursor)? {
            return Ok(());
        }
        match &*key {
            "name" => once(&mut name, &key, at, cursor.string()?),
            "parameters" => once(&mut parameters, &key, at, parameter::collect(cursor)?),
            _ => Ok(cursor.skip_value()?),
        }
    })?;
    let name: Cow<'a, str> = name.ok_or_else(|| JsonError::new(start, "an output with 'name'", "one without"))?;
    let mut requested = Requested { name, ..Requested::default() };
    for (key, value) in parameters.into_iter().flatten() {
        match &*key {
            "binary_data" => requested.binary = Some(value.as_bool(&key)?),
            "classification" => requested.classification = Some(value.as_u64(&key)?),
            "shared_memory_region" => {
                let name = &requested.name;
                return Err(BodyError::Invalid(format!("output '{name}': shared memory is not offered; leave it out")));
            }
            _ => {}
        }
    }
    Ok(requested)
}

/// A request as a client writes it.
#[derive(Clone, Debug, Default)]
pub struct Outgoing<'a> {
    /// The client's name for the request.
    pub id: Option<&'a str>,
    /// The inputs.
    pub inputs: &'a [(&'a str, &'a Tensor)],
    /// The outputs wanted; none means all.
    pub outputs: &'a [&'a str],
}

/// A body, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes.
    pub body: Vec<u8>,
    /// The value of the header [`JSON_LENGTH_HEADER`](super::JSON_LENGTH_HEADER), if binary tensors follow the JSON.
    pub json_length: Option<usize>,
}

impl Outgoing<'_> {
    /// The body, all tensors in that form; binary inputs ask for binary outputs.
    ///
    /// # Errors
    /// When JSON cannot carry an input.
    pub fn write(&self, form: Form) -> Result<Encoded, WriteError> {
        let mut body = vec![b'{'];
        if let Some(id) = self.id {
            body.extend_from_slice(b"\"id\":");
            write::string(&mut body, id);
            body.push(b',');
        }
        if form == Form::Binary {
            body.extend_from_slice(b"\"parameters\":{\"binary_data_output\":true},");
        }
        body.extend_from_slice(b"\"inputs\":[");
        for (index, (name, tensor)) in self.inputs.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            write_tensor(&mut body, name, tensor, form)?;
        }
        body.push(b']');
        for (index, name) in self.outputs.iter().enumerate() {
            body.extend_from_slice(if index == 0 { b",\"outputs\":[{\"name\":" } else { b",{\"name\":" });
            write::string(&mut body, name);
            body.push(b'}');
        }
        if !self.outputs.is_empty() {
            body.push(b']');
        }
        body.push(b'}');
        if form == Form::Json {
            return Ok(Encoded { body, json_length: None });
        }
        let json_length = Some(body.len());
        self.inputs.iter().for_each(|(_, tensor)| body.extend_from_slice(&tensor.to_raw()));
        Ok(Encoded { body, json_length })
    }
}
