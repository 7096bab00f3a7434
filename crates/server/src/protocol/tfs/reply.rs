//! The answer of `:predict`, laid out as the request was.

use std::collections::HashSet;

use modelyard_wire::json::write::{self, Text, WriteError};
use modelyard_wire::{Data, DataType, Tensor};

use super::body::Format;
use crate::fault::Fault;
use crate::signature::TensorSpec;

/// The outputs that are maps in the model's file, each with its keys.
type Maps = [(String, Vec<String>)];

/// Writes the outputs, which are in the order of `specs`. Of rows, one that is a map in the model's file is an object for each: the score by
/// the class.
///
/// # Errors
/// `INVALID_ARGUMENT` for rows asked of outputs that do not have the same number of them.
pub(super) fn write(format: Format, (specs, maps): (&[TensorSpec], &Maps), outputs: &[Tensor]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(64 + outputs.iter().map(|tensor| tensor.len().saturating_mul(12)).sum::<usize>());
    match format {
        Format::Rows => {
            let rows = row_count(specs, outputs)?;
            out.extend_from_slice(b"{\"predictions\":");
            match outputs {
                [only] => match keys(maps, &specs[0], only) {
                    Some(keys) => list(&mut out, rows, |out, row| map(out, keys, only, row))?,
                    None => nested(&mut out, &specs[0], only)?,
                },
                several => row_objects(&mut out, (specs, maps), (several, rows))?,
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

fn row_objects(
    out: &mut Vec<u8>,
    (specs, maps): (&[TensorSpec], &Maps),
    (outputs, rows): (&[Tensor], usize),
) -> Result<(), Fault> {
    let how = |(spec, tensor)| (text(spec, tensor), keys(maps, spec, tensor));
    let how: Vec<_> = specs.iter().zip(outputs).map(how).collect();
    list(out, rows, |out, row| {
        object(out, specs, |out, index| match how[index] {
            (_, Some(keys)) => map(out, keys, &outputs[index], row),
            (text, None) => write::row(out, &outputs[index], row, text).map_err(|error| unwritable(&error)),
        })
    })
}

/// The keys of an output that is a map, one for each score of a row; `None` where it is none, or steps made something else of it, or a name
/// stands for two classes, of which an object would lose one.
fn keys<'a>(maps: &'a Maps, spec: &TensorSpec, tensor: &Tensor) -> Option<&'a [String]> {
    let (_, keys) = maps.iter().find(|(name, _)| *name == spec.name)?;
    let fits = tensor.datatype() == DataType::Fp32 && tensor.shape().len() == 2 && tensor.shape()[1] == keys.len();
    let distinct = || keys.iter().collect::<HashSet<_>>().len() == keys.len();
    (fits && distinct()).then_some(keys)
}

/// A row of scores as an object.
fn map(out: &mut Vec<u8>, keys: &[String], scores: &Tensor, row: usize) -> Result<(), Fault> {
    let Data::Raw(raw) = scores.data() else { return Err(Fault::internal("scores are no numbers")) };
    let values = raw.as_chunks::<4>().0.iter().skip(row * keys.len()).map(|bytes| f32::from_le_bytes(*bytes));
    out.push(b'{');
    for (at, (key, value)) in keys.iter().zip(values).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write::string(out, key);
        out.push(b':');
        write::f32(out, value);
    }
    out.push(b'}');
    Ok(())
}

/// A list with an entry for each row.
fn list(out: &mut Vec<u8>, rows: usize, entry: impl Fn(&mut Vec<u8>, usize) -> Result<(), Fault>) -> Result<(), Fault> {
    out.push(b'[');
    for row in 0..rows {
        if row > 0 {
            out.push(b',');
        }
        entry(out, row)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, columns: &[(&str, Tensor)], maps: &Maps) -> String {
        let spec = |(name, tensor): &(&str, Tensor)| TensorSpec {
            name: (*name).to_owned(),
            datatype: tensor.datatype(),
            shape: vec![-1, -1],
        };
        let specs: Vec<TensorSpec> = columns.iter().map(spec).collect();
        let outputs: Vec<Tensor> = columns.iter().map(|(_, tensor)| tensor.clone()).collect();
        String::from_utf8(write(format, (&specs, maps), &outputs).unwrap()).unwrap()
    }

    #[test]
    fn what_is_a_map_in_the_file_is_an_object_of_each_row() {
        let named = |keys: &[&str]| [("p".to_owned(), keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>())];
        let scores = Tensor::from_f32(vec![2, 2], &[0.25, 0.75, 1.0, f32::NAN]).unwrap();
        let labels = Tensor::from_i64(vec![2], &[1, 0]).unwrap();
        let (alone, both) = ([("p", scores.clone())], [("label", labels), ("p", scores)]);
        let plain = r#"[[0.25,0.75],[1.0,NaN]]"#;
        let maps = named(&["no \"x\"", "yes"]);
        assert_eq!(
            written(Format::Rows, &alone, &maps),
            r#"{"predictions":[{"no \"x\"":0.25,"yes":0.75},{"no \"x\"":1.0,"yes":NaN}]}"#
        );
        assert_eq!(
            written(Format::Rows, &both, &maps),
            r#"{"predictions":[{"label":1,"p":{"no \"x\"":0.25,"yes":0.75}},{"label":0,"p":{"no \"x\"":1.0,"yes":NaN}}]}"#
        );
        // Columns are tensors, and so is what has other keys than scores, or a key twice.
        assert_eq!(written(Format::Columns, &alone, &maps), format!(r#"{{"outputs":{plain}}}"#));
        for other in [named(&["a"]), named(&["a", "a"]), [("q".to_owned(), vec!["a".to_owned(), "b".to_owned()])]] {
            assert_eq!(written(Format::Rows, &alone, &other), format!(r#"{{"predictions":{plain}}}"#));
        }
    }
}
