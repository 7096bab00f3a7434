//! CatBoost's models as JSON (`save_model(path, format="json")`), without conversion: told by their content, run by the tree kernel
//! in FP64, as CatBoost computes.
//!
//! Such a file names no output and its input is a row: one FP32 tensor `input` goes in; `label` and `probabilities` come out of a
//! classifier, `variable` out of anything else, as skl2onnx names them. Categories are whole numbers, or refused: the file keeps only
//! hashes of them.

use std::path::Path;

use super::ensemble::{Plain, Trees};
use super::onnx::file::slurp;
use super::trees::{Ensemble, Fault, MOST_TARGETS, Model, Precision};
use super::{Facts, LoadError};

mod hash;
mod loss;
mod saved;
mod tree;

use loss::Meaning;
use saved::{Bias, Branching, Saved, ScaleAndBias};
use tree::{Layout, Part};

/// Loads a file that begins as CatBoost's do.
///
/// # Errors
/// [`LoadError::Invalid`] for a damaged file, [`LoadError::Unsupported`] that names what of a sound one is not honoured.
pub(super) fn load(path: &Path) -> Result<Trees, LoadError> {
    let raw = slurp(path)?;
    let saved: Saved =
        serde_json::from_slice(&raw).map_err(|error| LoadError::Invalid(format!("not a model of CatBoost's: {error}")))?;
    let producer = producer(&saved.model_info.catboost_version_info);
    let facts = Facts { platform: "catboost_json", engine: "Trees", bytes: raw.len() as u64, producer, ..Facts::default() };
    drop(raw);
    of(&saved, facts)
}

/// The library's version, which it writes among other lines as the name of a git tag.
fn producer(info: &str) -> String {
    let version = info.lines().find_map(|line| line.trim().strip_prefix("Branch: tags/v"));
    format!("CatBoost {}", version.unwrap_or_default()).trim_end().to_owned()
}

fn of(saved: &Saved, mut facts: Facts) -> Result<Trees, LoadError> {
    let layout = Layout::of(&saved.features_info)?;
    let targets = targets(saved)?;
    let meaning = Meaning::of(&saved.model_info, targets)?;
    let ScaleAndBias(scale, bias) = &saved.scale_and_bias;
    let base = base(bias, targets).map_err(LoadError::Invalid)?;
    let mut ensemble = Ensemble { targets, base, ..Ensemble::default() };
    let (mut trees, mut weights) = (Vec::new(), Vec::new());
    let count = saved.oblivious_trees.as_ref().map_or(0, Vec::len).max(saved.trees.as_ref().map_or(0, Vec::len));
    for number in 0..count {
        let id = i64::try_from(number).unwrap_or(i64::MAX);
        let mut part = Part { id, layout: &layout, targets, scale: *scale, weights: &mut weights };
        match (&saved.oblivious_trees, &saved.trees) {
            (Some(all), None) => trees.push(part.oblivious(&all[number])?),
            (None, Some(all)) => trees.push(part.branching(&all[number])?),
            _ => return Err(LoadError::Invalid("expected either oblivious_trees or trees".to_owned())),
        }
    }
    (ensemble.trees, ensemble.weights) = (trees, weights);
    facts.parameters = ensemble.trees.iter().map(|tree| tree.nodes.len() as u64).sum();
    let width = layout.width;
    let model = Model::build(&ensemble, meaning.finish, Precision::Double, Some(width));
    let model = model.map_err(|fault| LoadError::Invalid(explain(&fault)))?;
    Ok(Trees::plain(Plain { model, width, labels: meaning.labels, facts }))
}

/// Values of a leaf, as the first tree has them.
fn targets(saved: &Saved) -> Result<usize, LoadError> {
    let first = saved.oblivious_trees.iter().flatten().next();
    let found = match (first, saved.trees.iter().flatten().next()) {
        (Some(tree), _) => {
            tree::leaves(tree.splits.as_deref().unwrap_or_default().len()).map_or(0, |leaves| tree.leaf_values.len() / leaves)
        }
        (None, Some(tree)) => values(tree),
        (None, None) => return Err(LoadError::Invalid("there is no tree".to_owned())),
    };
    if found == 0 || found > MOST_TARGETS {
        return Err(LoadError::Invalid(format!("tree 0: {found} values a leaf; expected 1 to {MOST_TARGETS}")));
    }
    Ok(found)
}

/// Values of the leftmost leaf.
fn values(mut node: &Branching) -> usize {
    while let Some(left) = &node.left {
        node = left;
    }
    node.value.as_ref().map_or(0, |value| value.as_slice().len())
}

/// What is added to each target's sum.
fn base(bias: &Bias, targets: usize) -> Result<Vec<f64>, String> {
    match bias {
        Bias::One(one) => Ok(vec![*one; targets]),
        Bias::Each(all) if all.is_empty() || all.len() == targets => Ok(all.clone()),
        Bias::Each(all) => {
            Err(format!("scale_and_bias: a bias of {} values; expected {targets}, one for each of a leaf", all.len()))
        }
    }
}

/// A fault in the file's words.
fn explain(fault: &Fault) -> String {
    match fault.node {
        Some((tree, node)) => format!("tree {tree}, node {node}: {}", fault.said),
        None => format!("trees: {}", fault.said),
    }
}
