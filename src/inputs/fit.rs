//! A file's tensor in the shape that the model takes, where there is only one way to mean it.

use modelyard_wire::{Data, Tensor, element_count};

use super::{InputError, cast};
use crate::client::TensorSpec;

/// `tensor` with the datatype and the shape of `spec`; what was changed is said in `notes`.
///
/// A missing batch dimension is added, and rows are reshaped where the number of elements leaves no choice.
///
/// # Errors
/// Where the values do not fit the datatype, or the elements do not fill rows of the shape.
pub fn fit(spec: &TensorSpec, tensor: Tensor, notes: &mut Vec<String>) -> Result<Tensor, InputError> {
    let found = tensor.shape().to_vec();
    let Some(shape) = shape_for(&found, &spec.shape) else {
        return Err(InputError::Shape { name: spec.name.clone(), found, expected: spec.shape.clone() });
    };
    if shape != found {
        notes.push(format!("input '{}': shape {found:?} sent as {shape:?}", spec.name));
    }
    if tensor.datatype() != spec.datatype {
        notes.push(format!("input '{}': {} sent as {}", spec.name, tensor.datatype(), spec.datatype));
    }
    cast(&spec.name, reshape(tensor, shape)?, spec.datatype)
}

/// The same elements in another shape.
pub(super) fn reshape(tensor: Tensor, shape: Vec<usize>) -> Result<Tensor, InputError> {
    let (datatype, _, data) = tensor.into_parts();
    Ok(match data {
        Data::Raw(raw) => Tensor::new(datatype, shape, raw)?,
        Data::Strings(strings) => Tensor::strings(shape, strings)?,
    })
}

/// Whether `found` is one of the shapes that `wanted` (-1 is any size) stands for.
pub fn fits(found: &[usize], wanted: &[i64]) -> bool {
    found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| *wanted < 0 || i64::try_from(*found) == Ok(*wanted))
}

fn shape_for(found: &[usize], wanted: &[i64]) -> Option<Vec<usize>> {
    if fits(found, wanted) {
        return Some(found.to_vec());
    }
    let (first, row) = wanted.split_first()?;
    let rows_may_be = |rows: usize| *first < 0 || i64::try_from(rows) == Ok(*first);
    if fits(found, row) && rows_may_be(1) {
        return Some([&[1], found].concat());
    }
    let row: Vec<usize> = row.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<_>>()?;
    let (size, all) = (element_count(&row)?, element_count(found)?);
    if size == 0 || all % size != 0 || !rows_may_be(all / size) {
        return None;
    }
    // Either each row of the file is a row of the model, or the whole file is one.
    let rows = all / size;
    (rows == 1 || found.first() == Some(&rows)).then(|| [&[rows], row.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_meaning_or_none() {
        for (found, wanted, expected) in [
            (&[2, 3][..], &[-1, 3][..], Some(vec![2, 3])),
            (&[3], &[-1, 3], Some(vec![1, 3])),
            (&[28, 28], &[-1, 784], Some(vec![1, 784])),
            (&[5, 28, 28], &[-1, 784], Some(vec![5, 784])),
            (&[5, 784], &[-1, 1, 28, 28], Some(vec![5, 1, 28, 28])),
            (&[5, 1], &[-1], Some(vec![5])),
            (&[5], &[-1, 1], Some(vec![5, 1])),
            (&[28, 28], &[-1, -1, -1], Some(vec![1, 28, 28])),
            (&[], &[-1, 1], Some(vec![1, 1])),
            (&[4, 392], &[-1, 784], None),
            (&[2, 3], &[-1, 4], None),
            (&[2, 4], &[1, 4], None),
            (&[3], &[], None),
        ] {
            assert_eq!(shape_for(found, wanted), expected, "{found:?} for {wanted:?}");
        }
    }

    #[test]
    fn changes_are_said() {
        let spec = TensorSpec { name: "x".into(), datatype: modelyard_wire::DataType::Fp32, shape: vec![-1, 4] };
        let mut notes = Vec::new();
        let tensor = fit(&spec, Tensor::from_i64(vec![2, 2], &[1, 2, 3, 4]).unwrap(), &mut notes).unwrap();
        assert_eq!(tensor, Tensor::from_f32(vec![1, 4], &[1.0, 2.0, 3.0, 4.0]).unwrap());
        assert_eq!(notes, ["input 'x': shape [2, 2] sent as [1, 4]", "input 'x': INT64 sent as FP32"]);
        let error = fit(&spec, Tensor::from_i64(vec![3], &[1, 2, 3]).unwrap(), &mut notes).unwrap_err().to_string();
        assert_eq!(error, "input 'x': shape [3] does not fit [-1, 4] (-1 is any size): a row has 4 values, found 3 in all");
    }
}
