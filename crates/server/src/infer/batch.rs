//! Rows put together and taken apart again: pure functions over tensors, so that a property test can show that answers are
//! never mixed.

use bytes::{Bytes, BytesMut};
use modelyard_wire::{Data, Tensor, TensorError};

/// Whether two requests can share a run: each input has the same trailing shape in both (the datatypes are the signature's).
pub fn compatible(one: &[Tensor], other: &[Tensor]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.shape().get(1..) == b.shape().get(1..))
}

/// Stacks requests along the first dimension: `requests[r][input]` -> `[input]`.
///
/// # Errors
/// When the stacked shape cannot be addressed.
pub fn stack(requests: &[&[Tensor]]) -> Result<Vec<Tensor>, TensorError> {
    let Some(first) = requests.first() else { return Ok(Vec::new()) };
    (0..first.len())
        .map(|input| {
            let mut shape = first[input].shape().to_vec();
            shape[0] = requests.iter().map(|request| request[input].shape()[0]).sum();
            let parts: Vec<_> = requests.iter().map(|request| &request[input]).collect();
            concatenate(shape, &parts)
        })
        .collect()
}

/// One tensor of `shape` from the elements of `parts`, in order.
fn concatenate(shape: Vec<usize>, parts: &[&Tensor]) -> Result<Tensor, TensorError> {
    let datatype = parts[0].datatype();
    let mut raw =
        BytesMut::with_capacity(if datatype.size().is_some() { parts.iter().map(|part| part.raw_len()).sum() } else { 0 });
    let mut strings: Vec<Bytes> = Vec::new();
    for part in parts {
        match part.data() {
            Data::Raw(bytes) => raw.extend_from_slice(bytes),
            Data::Strings(words) => strings.extend(words.iter().cloned()),
        }
    }
    if datatype.size().is_some() { Tensor::new(datatype, shape, raw.freeze()) } else { Tensor::strings(shape, strings) }
}

/// The rows `from..from + rows` of a tensor, sharing its memory.
fn slice(tensor: &Tensor, from: usize, rows: usize) -> Result<Tensor, TensorError> {
    let mut shape = tensor.shape().to_vec();
    let width: usize = shape[1..].iter().product();
    shape[0] = rows;
    match tensor.data() {
        Data::Raw(raw) => {
            let size = width * tensor.datatype().size().unwrap_or(1);
            Tensor::new(tensor.datatype(), shape, raw.slice(from * size..(from + rows) * size))
        }
        Data::Strings(words) => Tensor::strings(shape, words[from * width..(from + rows) * width].to_vec()),
    }
}

/// Takes a run's outputs apart again, `counts[r]` rows for request `r`; `None` where an output has not as many rows as went in.
pub fn unstack(outputs: &[Tensor], counts: &[usize]) -> Option<Vec<Vec<Tensor>>> {
    let total: usize = counts.iter().sum();
    if outputs.iter().any(|output| output.shape().first() != Some(&total)) {
        return None;
    }
    let mut from = 0;
    let mut apart = Vec::with_capacity(counts.len());
    for rows in counts {
        apart.push(outputs.iter().map(|output| slice(output, from, *rows)).collect::<Result<Vec<_>, _>>().ok()?);
        from += rows;
    }
    Some(apart)
}

/// Splits a request of `rows` rows into at most `ways` requests of near-equal size, in order: `(rows, inputs)` each.
pub fn split_rows(inputs: &[Tensor], rows: usize, ways: usize) -> Vec<(usize, Vec<Tensor>)> {
    let ways = ways.clamp(1, rows.max(1));
    let mut from = 0;
    let mut parts = Vec::with_capacity(ways);
    for way in 0..ways {
        let count = rows / ways + usize::from(way < rows % ways);
        let part: Result<Vec<_>, _> = inputs.iter().map(|input| slice(input, from, count)).collect();
        let Ok(part) = part else { return vec![(rows, inputs.to_vec())] };
        parts.push((count, part));
        from += count;
    }
    parts
}

/// The single rows of a request.
pub fn single_rows(inputs: &[Tensor], rows: usize) -> Vec<Vec<Tensor>> {
    split_rows(inputs, rows, rows).into_iter().map(|(_, part)| part).collect()
}

/// Joins what single rows (or parts) answered, in order: `answers[part][output]` -> `[output]`.
pub fn join(mut answers: Vec<Vec<Tensor>>) -> Result<Vec<Tensor>, TensorError> {
    if answers.len() == 1 {
        return Ok(answers.remove(0));
    }
    let views: Vec<&[Tensor]> = answers.iter().map(Vec::as_slice).collect();
    stack(&views)
}

#[cfg(test)]
mod tests {
    use modelyard_wire::DataType;
    use proptest::prelude::*;

    use super::*;

    /// A request of two inputs, `rows x width` numbers and `rows` words, every element of which tells which request it is of.
    fn request(id: usize, rows: usize, width: usize) -> Vec<Tensor> {
        let numbers: Vec<i64> = (0..rows * width).map(|index| (id * 1_000_000 + index) as i64).collect();
        let words = (0..rows).map(|row| Bytes::from(format!("{id}/{row}"))).collect();
        vec![Tensor::from_i64(vec![rows, width], &numbers).unwrap(), Tensor::strings(vec![rows], words).unwrap()]
    }

    proptest! {
        #[test]
        fn stacking_and_unstacking_gives_each_its_own(counts in prop::collection::vec(1_usize..6, 1..8), width in 0_usize..5) {
            let requests: Vec<_> = counts.iter().enumerate().map(|(id, rows)| request(id, *rows, width)).collect();
            let views: Vec<&[Tensor]> = requests.iter().map(Vec::as_slice).collect();
            let together = stack(&views).unwrap();
            prop_assert_eq!(together[0].shape()[0], counts.iter().sum::<usize>());
            prop_assert_eq!(unstack(&together, &counts).unwrap(), requests);
        }

        #[test]
        fn splitting_and_joining_is_the_identity(rows in 1_usize..20, ways in 1_usize..8, width in 1_usize..4) {
            let whole = request(7, rows, width);
            let parts = split_rows(&whole, rows, ways);
            prop_assert!(parts.len() <= ways && parts.iter().all(|(count, _)| *count >= 1));
            prop_assert_eq!(join(parts.into_iter().map(|(_, part)| part).collect()).unwrap(), whole.clone());
            prop_assert_eq!(join(single_rows(&whole, rows)).unwrap(), whole);
        }
    }

    #[test]
    fn different_trailing_shapes_do_not_mix() {
        assert!(compatible(&request(0, 2, 3), &request(1, 5, 3)));
        assert!(!compatible(&request(0, 2, 3), &request(1, 2, 4)));
    }

    #[test]
    fn outputs_without_the_rows_that_went_in_are_not_cut_up() {
        let fixed = Tensor::new(DataType::Int8, vec![3], Bytes::from_static(&[1, 2, 3])).unwrap();
        assert_eq!(unstack(&[fixed], &[1, 1]), None);
    }
}
