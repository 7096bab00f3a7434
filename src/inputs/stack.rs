//! Samples one above the other, and rows taken out again: a batch is made of files, and cut into requests.

use bytes::BytesMut;
use modelyard_wire::{Data, Tensor, element_count};

use super::{InputError, Named};

/// The samples as one batch: each input's tensors, one after the other along the first dimension.
///
/// # Errors
/// Where they differ in their inputs, datatypes or row shapes.
pub fn stack(samples: Vec<Vec<Named>>) -> Result<Vec<Named>, InputError> {
    let mut samples = samples.into_iter();
    let Some(first) = samples.next() else { return Ok(Vec::new()) };
    let rest: Vec<_> = samples.collect();
    if rest.is_empty() {
        return Ok(first);
    }
    let mut batch = Vec::with_capacity(first.len());
    for (name, tensor) in first {
        let mut parts = vec![tensor];
        for sample in &rest {
            let Some((_, tensor)) = sample.iter().find(|(other, _)| *other == name) else {
                return Err(InputError::Content(format!("one of the files has no input '{name}'")));
            };
            parts.push(tensor.clone());
        }
        let joined = join(&name, &parts)?;
        batch.push((name, joined));
    }
    Ok(batch)
}

fn join(name: &str, parts: &[Tensor]) -> Result<Tensor, InputError> {
    let (datatype, row) = (parts[0].datatype(), parts[0].shape().get(1..).unwrap_or_default());
    let mut rows = 0;
    let (mut raw, mut strings) = (BytesMut::new(), Vec::new());
    for part in parts {
        if part.shape().is_empty() || &part.shape()[1..] != row || part.datatype() != datatype {
            return Err(InputError::Content(format!(
                "input '{name}': the files do not stack: {datatype} {:?} and {} {:?}",
                parts[0].shape(),
                part.datatype(),
                part.shape()
            )));
        }
        rows += part.shape()[0];
        match part.data() {
            Data::Raw(bytes) => raw.extend_from_slice(bytes),
            Data::Strings(more) => strings.extend_from_slice(more),
        }
    }
    let shape = [&[rows], row].concat();
    Ok(match parts[0].data() {
        Data::Raw(_) => Tensor::new(datatype, shape, raw.freeze())?,
        Data::Strings(_) => Tensor::strings(shape, strings)?,
    })
}

/// Rows `from..to` of the first dimension; the bytes are shared.
///
/// # Errors
/// Never for rows that the tensor has.
pub fn slice_rows(tensor: &Tensor, from: usize, to: usize) -> Result<Tensor, InputError> {
    let (all, row) = tensor.shape().split_first().map_or((1, &[][..]), |(all, row)| (*all, row));
    let (from, to) = (from.min(all), to.min(all));
    let shape = [&[to - from], row].concat();
    // Beside a dimension of 0 the others may be beyond counting; then there is nothing to cut.
    let row = element_count(row).unwrap_or(0);
    Ok(match tensor.data() {
        Data::Raw(raw) => {
            let size = row * tensor.datatype().size().unwrap_or(1);
            Tensor::new(tensor.datatype(), shape, raw.slice(from * size..to * size))?
        }
        Data::Strings(strings) => Tensor::strings(shape, strings[from * row..to * row].to_vec())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stacked_is_cut_again() {
        let one = Tensor::from_f32(vec![1, 2], &[1.0, 2.0]).unwrap();
        let two = Tensor::from_f32(vec![2, 2], &[3.0, 4.0, 5.0, 6.0]).unwrap();
        let batch = stack(vec![vec![("x".into(), one.clone())], vec![("x".into(), two.clone())]]).unwrap();
        assert_eq!(batch[0].1.shape(), [3, 2]);
        assert_eq!(slice_rows(&batch[0].1, 0, 1).unwrap(), one);
        assert_eq!(slice_rows(&batch[0].1, 1, 9).unwrap(), two);
        let other = Tensor::from_f32(vec![1, 3], &[0.0; 3]).unwrap();
        let error = stack(vec![vec![("x".into(), one)], vec![("x".into(), other)]]).unwrap_err();
        assert_eq!(error.to_string(), "input 'x': the files do not stack: FP32 [1, 2] and FP32 [1, 3]");
    }
}
