//! The classification extension: instead of scores, the best so many classes, each as `value:index` or `value:index:label`.

use std::cmp::Ordering;
use std::fmt::Write as _;

use bytes::Bytes;
use modelyard_wire::{DataType, Tensor};

use crate::fault::Fault;
use crate::infer::Model;

/// Whether an output of that type can be ranked.
///
/// # Errors
/// `INVALID_ARGUMENT` for strings and truth values, and where no class is asked for.
pub(crate) fn check(name: &str, datatype: DataType, best: u64) -> Result<(), Fault> {
    if best == 0 {
        return Err(Fault::invalid(format!("output '{name}': classification: expected 1 or more classes, found 0")));
    }
    match datatype {
        DataType::Bytes | DataType::Bool => {
            Err(Fault::invalid(format!("output '{name}': classification needs numbers, the output is {datatype}")))
        }
        _ => Ok(()),
    }
}

/// The best classes of each row of a batched model's output, or of all of another's; ties go to the lower index, and what is not
/// a number comes last. Integers past 2^53 are compared and written rounded.
///
/// # Errors
/// An output that has other elements than its shape says, which no engine gives.
pub(crate) fn best(model: &Model, output: &Tensor, best: u64) -> Result<Tensor, Fault> {
    let scores = output.to_f64().unwrap_or_default();
    let rows = if model.signature.batched { output.shape().first().copied().unwrap_or(1) } else { 1 };
    let classes = scores.len().checked_div(rows).unwrap_or(0);
    let kept = usize::try_from(best).unwrap_or(usize::MAX).min(classes);
    let whole = is_whole(output.datatype());
    let mut strings = Vec::with_capacity(rows * kept);
    for row in scores.chunks_exact(classes.max(1)) {
        for index in ranked(row, kept) {
            strings.push(class(row[index], index, Style { whole, label: model.classes.get(index) }));
        }
    }
    let shape = if model.signature.batched { vec![rows, kept] } else { vec![kept] };
    Ok(Tensor::strings(shape, strings)?)
}

/// The indices of the `kept` best scores, best first.
fn ranked(scores: &[f64], kept: usize) -> Vec<usize> {
    let better = |left: &usize, right: &usize| match (scores[*left], scores[*right]) {
        (left_score, right_score) if left_score.is_nan() || right_score.is_nan() => {
            left_score.is_nan().cmp(&right_score.is_nan()).then(left.cmp(right))
        }
        (left_score, right_score) => right_score.partial_cmp(&left_score).unwrap_or(Ordering::Equal).then(left.cmp(right)),
    };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if kept < order.len() && kept > 0 {
        order.select_nth_unstable_by(kept - 1, better);
        order.truncate(kept);
    }
    order.sort_unstable_by(better);
    order
}

struct Style<'a> {
    whole: bool,
    label: Option<&'a String>,
}

fn class(score: f64, index: usize, style: Style<'_>) -> Bytes {
    let mut text = if style.whole { format!("{score:.0}:{index}") } else { format!("{score:.6}:{index}") };
    if let Some(label) = style.label {
        // Writing to a string does not fail.
        let _ = write!(text, ":{label}");
    }
    text.into()
}

const fn is_whole(datatype: DataType) -> bool {
    !matches!(datatype, DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_index_and_nan_comes_last() {
        assert_eq!(ranked(&[0.1, 0.7, 0.1, 0.7, 0.3], 3), [1, 3, 4]);
        assert_eq!(ranked(&[0.1, 0.7], 2), [1, 0]);
        assert_eq!(ranked(&[f64::NAN, f64::NEG_INFINITY, 0.0, f64::INFINITY], 4), [3, 2, 1, 0]);
        assert_eq!(ranked(&[], 0), [0_usize; 0]);
    }

    #[test]
    fn the_text_is_six_decimals_index_and_label() {
        let label = "zero".to_owned();
        assert_eq!(class(0.1, 0, Style { whole: false, label: Some(&label) }), "0.100000:0:zero");
        assert_eq!(class(7.0, 3, Style { whole: true, label: None }), "7:3");
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        assert!(check("y", DataType::Fp32, 1).is_ok());
        assert!(check("y", DataType::Bytes, 1).is_err());
        assert!(check("y", DataType::Bool, 1).is_err());
        assert!(check("y", DataType::Fp32, 0).is_err());
    }
}
