//! The answer of `:predict`, laid out as the request was.

use modelyard_wire::json::write::{self, Text, WriteError};
use modelyard_wire::{Data, Tensor};

use super::body::Format;
use crate::fault::Fault;
use crate::signature::TensorSpec;

/// Writes the outputs, which are in the order of `specs`.
///
/// # Errors
/// `INVALID_ARGUMENT` for rows asked of outputs that do not have the same number of them.
pub(super) fn write(format: Format, specs: &[TensorSpec], outputs: &[Tensor]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(64 + outputs.iter().map(|tensor| tensor.len().saturating_mul(12)).sum::<usize>());
    match format {
        Format::Rows => {
            let rows = row_count(specs, outputs)?;
            out.extend_from_slice(b"{\"predictions\":");
            match outputs {
                [only] => nested(&mut out, &specs[0], only)?,
                several => row_objects(&mut out, specs, (several, rows))?,
            }
        }
        Format::Columns => {
            out.extend_from_slice(b"{\"outputs\":");
            match outputs {
                [only] => nested(&mut out, &specs[0], only)?,
                several => object(&mut out, specs, |out, index| nested(out, &specs[index], &several[index]))?,
            }
        }
    }
    out.push(b'}');
    Ok(out)
}

/// The number of rows that all outputs have.
fn row_count(specs: &[TensorSpec], outputs: &[Tensor]) -> Result<usize, Fault> {
    let mut rows = None;
    for (spec, tensor) in specs.iter().zip(outputs) {
        let name = &spec.name;
        let Some(found) = tensor.shape().first().copied() else {
            return Err(Fault::invalid(format!(
                "output '{name}' is a scalar, which has no rows; send 'inputs' instead of 'instances'"
            )));
        };
        let first = *rows.get_or_insert(found);
        if first != found {
            return Err(Fault::invalid(format!(
                "output '{name}' has inconsistent batch size: {found} rows, output '{}' has {first}; send 'inputs' instead of 'instances'",
                specs[0].name
            )));
        }
    }
    Ok(rows.unwrap_or(0))
}

fn row_objects(out: &mut Vec<u8>, specs: &[TensorSpec], (outputs, rows): (&[Tensor], usize)) -> Result<(), Fault> {
    let texts: Vec<_> = specs.iter().zip(outputs).map(|(spec, tensor)| text(spec, tensor)).collect();
    out.push(b'[');
    for row in 0..rows {
        if row > 0 {
            out.push(b',');
        }
        object(out, specs, |out, index| write::row(out, &outputs[index], row, texts[index]).map_err(|error| unwritable(&error)))?;
    }
    out.push(b']');
    Ok(())
}

/// An object with a member for each output.
fn object(
    out: &mut Vec<u8>,
    specs: &[TensorSpec],
    value: impl Fn(&mut Vec<u8>, usize) -> Result<(), Fault>,
) -> Result<(), Fault> {
    out.push(b'{');
    for (index, spec) in specs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write::string(out, &spec.name);
        out.push(b':');
        value(out, index)?;
    }
    out.push(b'}');
    Ok(())
}

fn nested(out: &mut Vec<u8>, spec: &TensorSpec, tensor: &Tensor) -> Result<(), Fault> {
    write::nested(out, tensor, text(spec, tensor)).map_err(|error| unwritable(&error))
}

/// Strings are base64 where the output's name ends in `_bytes`, as in TensorFlow Serving, and where one is not UTF-8: JSON
/// could not carry it.
fn text(spec: &TensorSpec, tensor: &Tensor) -> Text {
    let Data::Strings(strings) = tensor.data() else { return Text::Utf8 };
    let readable = !spec.name.ends_with("_bytes") && strings.iter().all(|one| std::str::from_utf8(one).is_ok());
    if readable { Text::Utf8 } else { Text::Base64 }
}

fn unwritable(error: &WriteError) -> Fault {
    Fault::invalid(format!("the answer cannot be written as JSON: {error}"))
}
