//! The classification extension: in place of an output's scores, its best classes as text.
//!
//! Source: Triton's "Classification Extension", and what its server sends: `BYTES` of `VALUE:INDEX[:LABEL]`, best first, ties by
//! index, six decimals for floats; shape `[rows, classes]` for a model with a batch, `[classes]` for one without.

use std::cmp::Ordering;

use bytes::Bytes;
use modelyard_wire::{DataType, Tensor};

use crate::fault::Fault;
use crate::infer::Model;

/// The `count` best classes of each row of an output, or all of them if there are fewer.
///
/// # Errors
/// `INVALID_ARGUMENT` for strings, which have no order of scores.
pub(crate) fn classify(model: &Model, scores: &Tensor, count: usize) -> Result<Tensor, Fault> {
    best(scores, model.signature.batched, count, &model.classes)
}

fn best(scores: &Tensor, batched: bool, count: usize, labels: &[String]) -> Result<Tensor, Fault> {
    let Some(values) = scores.to_f64() else {
        return Err(Fault::invalid("parameter 'classification': BYTES cannot be classified; expected numbers"));
    };
    let rows = scores.shape().first().copied().filter(|_| batched);
    let classes = values.len() / rows.unwrap_or(1).max(1);
    let kept = count.min(classes);
    let floats = matches!(scores.datatype(), DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64);
    let mut texts = Vec::with_capacity(kept * rows.unwrap_or(1));
    for row in values.chunks_exact(classes.max(1)) {
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by(|a, b| best_first(row[*a], row[*b]));
        for index in &order[..kept] {
            let decimals = if floats { 6 } else { 0 };
            let mut text = format!("{:.decimals$}:{index}", row[*index]);
            if let Some(label) = labels.get(*index) {
                text.push(':');
                text.push_str(label);
            }
            texts.push(Bytes::from(text));
        }
    }
    let shape = rows.into_iter().chain([kept]).collect();
    Ok(Tensor::strings(shape, texts)?)
}

/// Larger first; what is no number comes last. Equal ones keep their order.
fn best_first(one: f64, other: f64) -> Ordering {
    other.partial_cmp(&one).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
}

#[cfg(test)]
mod tests {
    use modelyard_wire::Data;

    use super::*;

    fn texts(tensor: &Tensor) -> Vec<String> {
        let Data::Strings(strings) = tensor.data() else { panic!("{tensor:?}") };
        strings.iter().map(|one| String::from_utf8(one.to_vec()).unwrap()).collect()
    }

    #[test]
    fn best_come_first_and_ties_keep_their_order() {
        let scores = Tensor::from_f32(vec![2, 3], &[0.1, 0.8, 0.1, f32::NAN, -1.0, f32::INFINITY]).unwrap();
        let labels = ["zero".to_owned(), "one".to_owned()];
        let top = best(&scores, true, 2, &labels).unwrap();
        assert_eq!(top.shape(), [2, 2]);
        assert_eq!(texts(&top), ["0.800000:1:one", "0.100000:0:zero", "inf:2", "-1.000000:1:one"]);
        let flat = best(&scores, false, 100, &[]).unwrap();
        assert_eq!(flat.shape(), [6]);
        assert_eq!(texts(&flat)[..2], ["inf:5", "0.800000:1"]);
        assert_eq!(texts(&flat)[5], "NaN:3");
    }

    #[test]
    fn integers_and_edges() {
        let votes = Tensor::from_i64(vec![1, 2], &[3, 7]).unwrap();
        assert_eq!(texts(&best(&votes, true, 1, &[]).unwrap()), ["7:1"]);
        let none = Tensor::from_f32(vec![0, 3], &[]).unwrap();
        assert_eq!(best(&none, true, 2, &[]).unwrap().shape(), [0, 0]);
        let words = Tensor::strings(vec![1], vec![Bytes::new()]).unwrap();
        assert!(best(&words, true, 1, &[]).is_err());
    }
}
