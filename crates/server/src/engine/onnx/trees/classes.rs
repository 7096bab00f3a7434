//! What a TreeEnsembleClassifier's weights are for: one column for each class, or one that decides between two.

use crate::engine::onnx::attributes::Attributes;
use crate::engine::onnx::labels::Labels;
use crate::engine::trees::{Columns, Ensemble, Finish, Transform};

/// The classes' names.
pub(super) fn labels(attributes: Attributes<'_>) -> Result<Labels, String> {
    let (integers, strings) = (attributes.ints("classlabels_int64s")?, attributes.texts("classlabels_strings")?);
    match (integers.is_empty(), strings.is_empty()) {
        (false, true) => Ok(Labels::Ints(integers.to_vec())),
        (true, false) => Ok(Labels::Texts(strings)),
        (true, true) => Err("classlabels_int64s and classlabels_strings are both empty: there is no class".to_owned()),
        (false, false) => Err("classlabels_int64s and classlabels_strings are both given".to_owned()),
    }
}

/// How sums become scores. Where all weights of two classes are for one of them, the ensemble is narrowed to that one column.
pub(super) fn finish(ensemble: &mut Ensemble, transform: Transform) -> Result<Finish, String> {
    let first = ensemble.weights.first().map(|weight| weight.target);
    let one = first.filter(|first| ensemble.targets == 2 && ensemble.weights.iter().all(|weight| weight.target == *first));
    let Some(column) = one else { return Ok(Finish::Classes(Columns::Each, transform)) };
    let positive = ensemble.weights.iter().all(|weight| weight.value >= 0.0);
    if ensemble.base.len() > 1 {
        let found = ensemble.base.len();
        return Err(format!("base_values: {found} values for one column of weights; expected 1 or none"));
    }
    ensemble.weights.iter_mut().for_each(|weight| weight.target = 0);
    ensemble.targets = 1;
    if column == 0 {
        if transform == Transform::Probit {
            return Err("post_transform PROBIT has no meaning for two classes with one column of weights".to_owned());
        }
        return Ok(Finish::Classes(Columns::Deciding { positive }, transform));
    }
    // ONNX Runtime gives a single base value to the first class, which has no score here.
    ensemble.base.clear();
    Ok(Finish::Classes(Columns::SecondOnly { positive }, transform))
}
