//! One tensor of a request or response: its JSON object, and its bytes in it or behind it.

use std::borrow::Cow;

use super::{BodyError, Tail, is_null, once, parameter};
use crate::json::write::{self, Text, WriteError};
use crate::json::{Cursor, Elements, JsonError, Nesting};
use crate::{DataType, Tensor, element_count};

/// Dimensions of a tensor at most; what arrays in the field's languages have at most, too.
const MAX_RANK: usize = 64;

/// A tensor and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The tensor.
    pub tensor: Tensor,
}

impl AsRef<str> for NamedTensor<'_> {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

/// How a tensor's elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a flat list in the JSON.
    Json,
    /// Behind the JSON, as [`Tensor::to_raw`] gives them.
    Binary,
}

/// The fields seen so far, in whatever order they come.
#[derive(Default)]
struct Draft<'a> {
    name: Option<Cow<'a, str>>,
    shape: Option<Vec<usize>>,
    datatype: Option<DataType>,
    elements: Option<(Elements, Nesting)>,
    /// Where `data` stands, if it came before shape or datatype.
    data: Option<Cursor<'a>>,
    parameters: Option<()>,
    binary_size: Option<usize>,
}

/// Reads a tensor's object. Data that comes after shape and datatype (as every client writes it) is read as it passes.
///
/// # Errors
/// Names the byte or the tensor, what was found and what was expected.
pub fn read_tensor<'a>(cursor: &mut Cursor<'a>, tail: &mut Tail) -> Result<NamedTensor<'a>, BodyError> {
    let mut draft = Draft::default();
    let start = cursor.position();
    cursor.object(|key, cursor| {
        let at = cursor.position();
        if is_null(cursor)? {
            return Ok(());
        }
        match &*key {
            "name" => once(&mut draft.name, &key, at, cursor.string()?),
            "shape" => once(&mut draft.shape, &key, at, read_shape(cursor)?),
            "datatype" => once(&mut draft.datatype, &key, at, read_datatype(cursor)?),
            "parameters" => {
                once(&mut draft.parameters, &key, at, ())?;
                draft.read_parameters(cursor)
            }
            "data" => draft.pass_data(cursor, at),
            _ => Ok(cursor.skip_value()?),
        }
    })?;
    draft.finish(start, tail)
}

impl<'a> Draft<'a> {
    fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("tensor without a name")
    }

    fn read_parameters(&mut self, cursor: &mut Cursor<'a>) -> Result<(), BodyError> {
        parameter::read(cursor, |name, value| match &*name {
            "binary_data_size" => {
                let size = usize::try_from(value.as_u64(&name)?).unwrap_or(usize::MAX);
                match self.binary_size.replace(size) {
                    None => Ok(()),
                    Some(_) => Err(BodyError::Invalid(format!("'{}': binary_data_size is given twice", self.label()))),
                }
            }
            "shared_memory_region" => Err(BodyError::Invalid(format!(
                "'{}': shared memory is not offered; send the tensor as data or binary_data_size",
                self.label()
            ))),
            _ => Ok(()),
        })
    }

    /// Reads `data` if its type is known by now, else remembers it.
    fn pass_data(&mut self, cursor: &mut Cursor<'a>, at: usize) -> Result<(), BodyError> {
        if self.elements.is_some() || self.data.is_some() {
            return Err(JsonError::new(at, "each key once", "'data' again").into());
        }
        if let (Some(shape), Some(datatype)) = (&self.shape, self.datatype) {
            self.elements = Some(read_elements(cursor, shape, datatype)?);
        } else {
            self.data = Some(cursor.clone());
            cursor.skip_value()?;
        }
        Ok(())
    }

    fn finish(self, start: usize, tail: &mut Tail) -> Result<NamedTensor<'a>, BodyError> {
        let missing = |key: &str| BodyError::Json(JsonError::new(start, format!("a tensor with '{key}'"), "one without"));
        let Self { name, shape, datatype, elements, data, binary_size, .. } = self;
        let name = name.ok_or_else(|| missing("name"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        let datatype = datatype.ok_or_else(|| missing("datatype"))?;
        let elements = match (elements, data) {
            (None, Some(mut cursor)) => Some(read_elements(&mut cursor, &shape, datatype)?),
            (elements, _) => elements,
        };
        let tensor = match (elements, binary_size) {
            (Some((elements, nesting)), None) => {
                nesting.check(&shape).map_err(|wrong| BodyError::Invalid(format!("'{name}': {wrong}")))?;
                elements.finish(shape)
            }
            (None, Some(size)) => Tensor::new(datatype, shape, tail.take(&name, size)?),
            (Some(_), Some(_)) => {
                return Err(BodyError::Invalid(format!("'{name}': expected data or binary_data_size, found both")));
            }
            (None, None) => {
                return Err(BodyError::Invalid(format!("'{name}': expected data or binary_data_size, found neither")));
            }
        };
        match tensor {
            Ok(tensor) => Ok(NamedTensor { name, tensor }),
            Err(source) => Err(BodyError::Tensor { name: name.into_owned(), source }),
        }
    }
}

fn read_elements(cursor: &mut Cursor<'_>, shape: &[usize], datatype: DataType) -> Result<(Elements, Nesting), BodyError> {
    let mut elements = Elements::new(datatype).with_base64();
    elements.reserve(element_count(shape).unwrap_or(0), cursor);
    let nesting = elements.read(cursor)?;
    Ok((elements, nesting))
}

fn read_shape(cursor: &mut Cursor<'_>) -> Result<Vec<usize>, BodyError> {
    let mut shape = Vec::with_capacity(4);
    cursor.array(|cursor| {
        cursor.peek();
        let at = cursor.position();
        let dim: u64 = cursor.u64()?;
        if shape.len() == MAX_RANK {
            return Err(JsonError::new(at, format!("at most {MAX_RANK} dimensions"), "one more"));
        }
        // What does not fit this machine's words is past every body, and refused as such.
        shape.push(usize::try_from(dim).unwrap_or(usize::MAX));
        Ok(())
    })?;
    Ok(shape)
}

fn read_datatype(cursor: &mut Cursor<'_>) -> Result<DataType, BodyError> {
    let text = cursor.string()?;
    text.parse().map_err(|error: crate::UnknownDataType| BodyError::Invalid(error.to_string()))
}

/// Appends a tensor's object.
///
/// # Errors
/// When JSON cannot carry the elements.
pub fn write_tensor(out: &mut Vec<u8>, name: &str, tensor: &Tensor, form: Form) -> Result<(), WriteError> {
    out.extend_from_slice(b"{\"name\":");
    write::string(out, name);
    out.extend_from_slice(b",\"datatype\":\"");
    out.extend_from_slice(tensor.datatype().as_str().as_bytes());
    out.extend_from_slice(b"\",\"shape\":");
    write::shape(out, tensor.shape().iter().copied());
    match form {
        Form::Json => {
            out.extend_from_slice(b",\"data\":");
            write::flat(out, tensor, Text::Utf8)?;
        }
        Form::Binary => {
            out.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            write::integer(out, tensor.raw_len());
            out.push(b'}');
        }
    }
    out.push(b'}');
    Ok(())
}
