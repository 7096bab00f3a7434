//! The body of `:predict`: rows (`instances`) or columns (`inputs`), numbers straight into tensors.
//! Source: tensorflow/serving, `g3doc/api_rest.md` and `util/json_tensor.cc`.

use std::fmt::Display;

use modelyard_wire::json::{Cursor, Elements, JsonError, Kind, Nesting};
use modelyard_wire::{DataType, Tensor};

use super::SIGNATURE;
use crate::fault::Fault;
use crate::protocol::front::shown;
use crate::signature::{Signature, TensorSpec};

/// How the request lays out its tensors; the answer does likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `instances` and `predictions`: a list of rows. The stack of the rows is the tensor, batched model or not.
    Rows,
    /// `inputs` and `outputs`: whole tensors.
    Columns,
}

/// What a body asks for.
#[derive(Debug)]
pub(super) struct Predict {
    pub(super) format: Format,
    /// In the signature's order, checked against it.
    pub(super) inputs: Vec<Tensor>,
}

/// A fault that the walk over a document can end with.
struct Wrong(Fault);

impl From<JsonError> for Wrong {
    fn from(error: JsonError) -> Self {
        Self(Fault::invalid(error.to_string()))
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

/// Reads a body against a model's signature.
///
/// # Errors
/// `INVALID_ARGUMENT` that says where the body is wrong.
pub(super) fn read(body: &[u8], signature: &Signature) -> Result<Predict, Fault> {
    document(body, signature).map_err(|Wrong(fault)| fault)
}

fn document(body: &[u8], signature: &Signature) -> Result<Predict, Wrong> {
    let mut cursor = Cursor::new(body);
    let mut found: Option<(Format, Vec<Tensor>)> = None;
    cursor.object(|key, cursor| {
        let format = match &*key {
            "instances" => Format::Rows,
            "inputs" => Format::Columns,
            "signature_name" => return signature_name(&cursor.string()?),
            _ => return Ok(cursor.skip_value()?),
        };
        if let Some((earlier, _)) = &found {
            let also = if *earlier == format { "again" } else { "too" };
            return Err(Fault::invalid(format!("expected exactly one of 'instances' and 'inputs', found '{key}' {also}")).into());
        }
        let tensors = match format {
            Format::Rows => rows(cursor, &signature.inputs)?,
            Format::Columns => columns(cursor, &signature.inputs)?,
        };
        found = Some((format, tensors));
        Ok::<_, Wrong>(())
    })?;
    cursor.end()?;
    let Some((format, tensors)) = found else {
        return Err(Fault::invalid("Missing 'inputs' or 'instances' key: expected exactly one of them, found neither").into());
    };
    let names = signature.inputs.iter().map(|spec| spec.name.as_str());
    Ok(Predict { format, inputs: signature.bind(names.zip(tensors))? })
}

fn signature_name(name: &str) -> Result<(), Wrong> {
    if name.is_empty() || name == SIGNATURE {
        return Ok(());
    }
    Err(Fault::invalid(format!("Serving signature key \"{}\" not found; the model has \"{SIGNATURE}\"", shown(name))).into())
}

/// `instances`.
fn rows(cursor: &mut Cursor<'_>, inputs: &[TensorSpec]) -> Result<Vec<Tensor>, Wrong> {
    if cursor.kind()? != Kind::Array {
        return Err(cursor.unexpected("a list of rows for 'instances'").into());
    }
    match (inputs, first_element(cursor)?) {
        (_, None) => Err(Fault::invalid("'instances' is empty; expected at least one row").into()),
        ([only], Some(value)) if !value.names_inputs(only) => Ok(vec![whole(cursor, (only, 1), &"'instances'")?]),
        (_, Some(value)) if value.kind == Kind::Object => named_rows(cursor, inputs),
        _ => Err(Fault::invalid(format!("'instances': expected a list of objects with the inputs {}", names(inputs))).into()),
    }
}

/// A list of objects, each with a row of every input.
fn named_rows(cursor: &mut Cursor<'_>, inputs: &[TensorSpec]) -> Result<Vec<Tensor>, Wrong> {
    let mut columns: Vec<_> = inputs.iter().map(|spec| Column { spec, elements: elements(spec), shape: None }).collect();
    let mut row = 0;
    cursor.array(|cursor| {
        let mut given = 0;
        cursor.object(|key, cursor| {
            let Some(index) = inputs.iter().position(|spec| spec.name == key) else {
                let (key, have) = (shown(&key), names(inputs));
                return Err(Fault::invalid(format!("instances[{row}]: unknown input '{key}'; the model takes {have}")).into());
            };
            given += 1;
            columns[index].push(cursor, row)
        })?;
        row += 1;
        match columns.iter().find(|column| column.rows() < row) {
            Some(column) => {
                let (at, name, want) = (row - 1, &column.spec.name, inputs.len());
                Err(Fault::invalid(format!("instances[{at}]: input '{name}' is missing; found {given} of {want} inputs")).into())
            }
            None => Ok::<_, Wrong>(()),
        }
    })?;
    columns.into_iter().map(Column::finish).collect()
}

/// One input on its way through the rows.
struct Column<'a> {
    spec: &'a TensorSpec,
    elements: Elements,
    /// Rows so far, and the shape of each.
    shape: Option<(usize, Vec<usize>)>,
}

impl Column<'_> {
    fn rows(&self) -> usize {
        self.shape.as_ref().map_or(0, |(rows, _)| *rows)
    }

    /// Reads the value of row `row`.
    fn push(&mut self, cursor: &mut Cursor<'_>, row: usize) -> Result<(), Wrong> {
        let name = &self.spec.name;
        if self.rows() > row {
            return Err(Fault::invalid(format!("instances[{row}]: input '{name}' is given twice")).into());
        }
        let shape = regular(&self.elements.read(cursor)?, &format_args!("instances[{row}]: input '{name}'"))?;
        match &mut self.shape {
            None => self.shape = Some((1, shape)),
            Some((rows, first)) if *first == shape => *rows += 1,
            Some((_, first)) => {
                let message = format!("instances[{row}]: input '{name}' has shape {shape:?}, the rows before have {first:?}");
                return Err(Fault::invalid(message).into());
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Tensor, Wrong> {
        let (rows, shape) = self.shape.unwrap_or_default();
        let shape = std::iter::once(rows).chain(shape).collect();
        Ok(self.elements.finish(column(self.spec, shape)).map_err(Fault::from)?)
    }
}

/// Names that no input has, in a message at most.
const OTHERS: usize = 4;

/// `inputs`.
fn columns(cursor: &mut Cursor<'_>, inputs: &[TensorSpec]) -> Result<Vec<Tensor>, Wrong> {
    let value = Value::at(cursor)?;
    if let [only] = inputs
        && !value.names_inputs(only)
    {
        return Ok(vec![whole(cursor, (only, 1), &"'inputs'")?]);
    }
    if value.kind != Kind::Object {
        return Err(cursor.unexpected(format!("an object with the inputs {} for 'inputs'", names(inputs))).into());
    }
    let mut tensors: Vec<Option<Tensor>> = vec![None; inputs.len()];
    let mut others = Vec::new();
    cursor.object(|key, cursor| {
        // As in TensorFlow Serving, only the signature's names are looked up.
        let Some(index) = inputs.iter().position(|spec| spec.name == key) else {
            if others.len() < OTHERS {
                others.push(format!("'{}'", shown(&key)));
            }
            return Ok(cursor.skip_value()?);
        };
        if tensors[index].is_some() {
            return Err(Fault::invalid(format!("input '{key}' is given twice")).into());
        }
        tensors[index] = Some(whole(cursor, (&inputs[index], inputs.len()), &format_args!("input '{key}'"))?);
        Ok::<_, Wrong>(())
    })?;
    let complete = tensors.into_iter().zip(inputs).map(|(tensor, spec)| {
        let have = || {
            let found = if others.is_empty() { String::new() } else { format!(", found {}", others.join(", ")) };
            Fault::invalid(format!("Missing named input: '{}'; the model takes {}{found}", spec.name, names(inputs)))
        };
        Ok(tensor.ok_or_else(have)?)
    });
    complete.collect()
}

/// A value that is a whole tensor, one of `among` in the body.
fn whole(cursor: &mut Cursor<'_>, (spec, among): (&TensorSpec, usize), what: &dyn Display) -> Result<Tensor, Wrong> {
    let mut elements = elements(spec);
    // A number of a model's data is seldom shorter than five digits with its comma; where it is, the memory grows.
    elements.reserve(cursor.left() / (6 * among), cursor);
    let shape = regular(&elements.read(cursor)?, what)?;
    Ok(elements.finish(column(spec, shape)).map_err(Fault::from)?)
}

/// The shape of what was given. A column of one feature, such as `[-1, 1]`, may be given as plain values: people write
/// `{"age": 3}`, not `{"age": [3]}`.
fn column(spec: &TensorSpec, mut shape: Vec<usize>) -> Vec<usize> {
    if spec.shape.len() == shape.len() + 1 && spec.shape.len() > 1 && spec.shape.last() == Some(&1) {
        shape.push(1);
    }
    shape
}

fn elements(spec: &TensorSpec) -> Elements {
    Elements::new(spec.datatype).with_base64()
}

fn regular(nesting: &Nesting, what: &dyn Display) -> Result<Vec<usize>, Wrong> {
    nesting.shape().map_err(|at| {
        Wrong(Fault::invalid(format!("{what}: byte {at}: expected a list of the same length and depth as those before it")))
    })
}

/// The value that a cursor stands before.
struct Value {
    kind: Kind,
    /// `{"b64": ...}` alone is a string, not an object of inputs.
    base64: bool,
}

impl Value {
    fn at(cursor: &Cursor<'_>) -> Result<Self, JsonError> {
        let mut ahead = cursor.clone();
        let kind = ahead.kind()?;
        let (mut keys, mut base64) = (0, false);
        if kind == Kind::Object {
            // Only the first key decides, and what follows it: a row may be long.
            let _: Result<(), Enough> = ahead.object(|key, cursor| {
                keys += 1;
                base64 = keys == 1 && key == "b64" && cursor.kind().is_ok_and(|kind| kind == Kind::String);
                if !base64 || cursor.skip_value().is_err() { Err(Enough) } else { Ok(()) }
            });
        }
        Ok(Self { kind, base64 })
    }

    /// Whether it is an object that holds inputs by name, rather than the value of the only input.
    fn names_inputs(&self, only: &TensorSpec) -> bool {
        self.kind == Kind::Object && !(self.base64 && only.datatype == DataType::Bytes)
    }
}

/// Enough has been seen.
struct Enough;

impl From<JsonError> for Enough {
    fn from(_: JsonError) -> Self {
        Self
    }
}

/// The first element of a list, if it has one.
fn first_element(cursor: &Cursor<'_>) -> Result<Option<Value>, JsonError> {
    let mut first = None;
    let _: Result<(), Enough> = cursor.clone().array(|cursor| {
        first = Some(Value::at(cursor));
        Err(Enough)
    });
    first.transpose()
}

fn names(inputs: &[TensorSpec]) -> String {
    inputs.iter().map(|spec| format!("'{}'", spec.name)).collect::<Vec<_>>().join(", ")
}
