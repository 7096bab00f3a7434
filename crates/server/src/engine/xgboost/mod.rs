//! XGBoost's own files, JSON or UBJSON, without conversion: told by their content, run by the tree kernel.
//!
//! Such a file names no input and no output: one FP32 tensor `input` goes in; `label` and `probabilities` come out of a
//! classifier, `variable` out of anything else, as skl2onnx names them. Categories are compared by their exact codes.

use std::path::Path;

use super::ensemble::{Plain, Trees};
use super::onnx::file::slurp;
use super::onnx::labels::Labels;
use super::trees::{Branch, Ensemble, Fault, Field, Kind, MOST_TARGETS, Model, Node, Precision, Test, Tree, Weight};
use super::{Facts, LoadError};
use modelyard_store::Native;

mod objective;
mod saved;
mod ubj;

use objective::Objective;
use saved::{Booster, Forest, Learner, Saved, Tree as SavedTree};

/// The newest major version whose files are known. XGBoost promises to read older files, not newer ones, and neither can we: their
/// fields may mean something else.
const NEWEST: u32 = 3;

/// Loads a file that begins as XGBoost's do.
///
/// # Errors
/// [`LoadError::Invalid`] for a damaged file, [`LoadError::Unsupported`] that names what of a sound one is not honoured.
pub(super) fn load(path: &Path) -> Result<Trees, LoadError> {
    let raw = slurp(path)?;
    let broken = |error: &dyn std::fmt::Display| LoadError::Invalid(format!("not a model of XGBoost's: {error}"));
    let binary = Native::of(&raw) == Some(Native::XgboostUbj);
    let saved: Saved = if binary {
        ubj::read(&raw).map_err(|error| broken(&error))?
    } else {
        serde_json::from_slice(&raw).map_err(|error| broken(&error))?
    };
    let platform = if binary { "xgboost_ubj" } else { "xgboost_json" };
    let version: Vec<String> = saved.version.iter().map(u32::to_string).collect();
    if saved.version.first().is_some_and(|major| *major > NEWEST) {
        let found = version.join(".");
        return Err(LoadError::Unsupported(format!("a file of XGBoost {found}; expected {NEWEST} or older")));
    }
    let producer = format!("XGBoost {}", version.join("."));
    let facts = Facts { platform, engine: "Trees", bytes: raw.len() as u64, producer, ..Facts::default() };
    drop(raw);
    of(saved.learner, facts)
}

fn of(learner: Learner, mut facts: Facts) -> Result<Trees, LoadError> {
    let parameters = &learner.learner_model_param;
    let targets = parameters.num_class.max(parameters.num_target).max(1);
    if targets > MOST_TARGETS {
        return Err(LoadError::Invalid(format!("num_class: {targets}; expected 1 to {MOST_TARGETS}")));
    }
    let objective = Objective::of(&learner.objective.name, targets).map_err(LoadError::Unsupported)?;
    let base = objective.margins(&parameters.base_score, targets).map_err(LoadError::Invalid)?;
    let best = learner.attributes.best_iteration.as_deref();
    let (forest, trees, drop) = trees_of(&learner.gradient_booster)?;
    let count = used(forest, trees.len(), best).map_err(LoadError::Invalid)?;
    let mut ensemble = Ensemble { targets, base, base_first: true, ..Ensemble::default() };
    for (number, tree) in trees.iter().take(count).enumerate() {
        let id = i64::try_from(number).unwrap_or(i64::MAX);
        if tree.tree_param.size_leaf_vector > 1 {
            return Err(LoadError::Unsupported("leaves with a vector of weights (multi_strategy=multi_output_tree)".to_owned()));
        }
        let target = forest.tree_info.get(number).and_then(|target| usize::try_from(*target).ok());
        let Some(target) = target.filter(|target| *target < targets) else {
            return Err(LoadError::Invalid(format!("tree {id}: tree_info: expected 0 to {}", targets - 1)));
        };
        let part = Part { id, tree, target, scale: drop.get(number).copied().unwrap_or(1.0) };
        let tree = part.tree(&mut ensemble).map_err(|reason| LoadError::Invalid(format!("tree {id}, {reason}")))?;
        ensemble.trees.push(tree);
    }
    if ensemble.trees.is_empty() {
        nothing_learnt(&mut ensemble);
    }
    facts.parameters = ensemble.trees.iter().map(|tree| tree.nodes.len() as u64).sum();
    let width = parameters.num_feature;
    let model = Model::build(&ensemble, objective.finish, Precision::Single, Some(width));
    let model = model.map_err(|fault| LoadError::Invalid(explain(&fault)))?;
    let labels = objective.classes.map(Labels::numbered);
    Ok(Trees::plain(Plain { model, width, labels, facts }))
}

/// A model of no rounds answers its base: a tree of one leaf adds nothing to it.
fn nothing_learnt(ensemble: &mut Ensemble) {
    ensemble.weights = vec![Weight { target: 0, value: 0.0 }];
    ensemble.trees = vec![Tree { nodes: vec![Node { id: 0, kind: Kind::Leaf(0..1) }], ..Tree::default() }];
}

/// The trees, and what each counts for where it is not all the same.
fn trees_of(booster: &Booster) -> Result<(&Forest, &[SavedTree], &[f32]), LoadError> {
    let name = booster.name.as_str();
    let (forest, drop) = match (name, &booster.model, &booster.gbtree) {
        ("gbtree", Some(model), _) => (model, &[][..]),
        ("dart", _, Some(inner)) => (&inner.model, &booster.weight_drop[..]),
        ("gbtree" | "dart", ..) => return Err(LoadError::Invalid(format!("{name}: its model is missing"))),
        (other, ..) => return Err(LoadError::Unsupported(format!("booster '{other}'; expected gbtree or dart"))),
    };
    let Some(trees) = &forest.trees else {
        return Err(LoadError::Invalid(format!("not a model of XGBoost's: missing field `trees` of {name}")));
    };
    if name == "dart" && drop.len() != trees.len() {
        return Err(LoadError::Invalid("weight_drop: expected one for each tree".to_owned()));
    }
    Ok((forest, trees, drop))
}

/// How many trees count: where training stopped early, those up to its best iteration.
fn used(forest: &Forest, trees: usize, best: Option<&str>) -> Result<usize, String> {
    let Some(best) = best else { return Ok(trees) };
    let iteration: usize = best.parse().map_err(|_| format!("best_iteration: '{best}' is not a number"))?;
    let end = iteration.checked_add(1).and_then(|next| forest.iteration_indptr.get(next));
    end.copied().ok_or_else(|| format!("best_iteration: {best}; iteration_indptr has {} entries", forest.iteration_indptr.len()))
}

/// A fault in the file's words.
fn explain(fault: &Fault) -> String {
    let field = match fault.field {
        Field::Trees => "trees",
        Field::Targets => "num_class",
        Field::Base => "base_score",
        Field::Feature => "split_indices",
        Field::Threshold => "split_conditions",
        Field::Yes | Field::No => "left_children and right_children",
        Field::WeightTarget => "tree_info",
    };
    match fault.node {
        Some((tree, node)) => format!("tree {tree}, node {node}: {field}: {}", fault.said),
        None => format!("{field}: {}", fault.said),
    }
}

/// One tree of the file.
struct Part<'a> {
    id: i64,
    tree: &'a saved::Tree,
    target: usize,
    scale: f32,
}

impl Part<'_> {
    fn tree(&self, ensemble: &mut Ensemble) -> Result<Tree, String> {
        let saved = self.tree;
        let count = saved.left_children.len();
        for (name, found) in [
            ("right_children", saved.right_children.len()),
            ("split_indices", saved.split_indices.len()),
            ("split_conditions", saved.split_conditions.len()),
            ("default_left", saved.default_left.len()),
            ("split_type", if saved.split_type.is_empty() { count } else { saved.split_type.len() }),
        ] {
            if found != count {
                return Err(format!("{name}: {found} entries; expected {count}, one for each of left_children"));
            }
        }
        let node = |at: usize| {
            let id = i64::try_from(at).unwrap_or(i64::MAX);
            let kind = if saved.left_children[at] == -1 {
                let begin = ensemble.weights.len();
                let value = f64::from(saved.split_conditions[at] * self.scale);
                ensemble.weights.push(Weight { target: self.target, value });
                Kind::Leaf(begin..begin + 1)
            } else {
                Kind::Branch(self.branch(at).map_err(|reason| format!("node {at}: {reason}"))?)
            };
            Ok(Node { id, kind })
        };
        Ok(Tree { id: self.id, root: 0, nodes: (0..count).map(node).collect::<Result<_, String>>()? })
    }

    /// Left is where the value is below the threshold, or where its category is not among those of the node.
    fn branch(&self, at: usize) -> Result<Branch, String> {
        let saved = self.tree;
        let number = |name: &str, value: i64| usize::try_from(value).map_err(|_| format!("{name}: {value}"));
        let (left, right) =
            (number("left_children", saved.left_children[at])?, number("right_children", saved.right_children[at])?);
        let feature = number("split_indices", saved.split_indices[at])?;
        let default_left = saved.default_left[at].is_set();
        if saved.split_type.get(at).is_none_or(|kind| *kind == 0) {
            let test = Test::Below(saved.split_conditions[at].into());
            return Ok(Branch { feature, test, missing: default_left, yes: left, no: right });
        }
        let test = Test::Member(self.categories(at)?);
        Ok(Branch { feature, test, missing: !default_left, yes: right, no: left })
    }

    fn categories(&self, at: usize) -> Result<Vec<f64>, String> {
        let saved = self.tree;
        let entry = saved.categories_nodes.iter().position(|node| usize::try_from(*node) == Ok(at));
        let range = entry.and_then(|entry| {
            let begin = usize::try_from(*saved.categories_segments.get(entry)?).ok()?;
            saved.categories.get(begin..begin.checked_add(usize::try_from(*saved.categories_sizes.get(entry)?).ok()?)?)
        });
        let codes = range.ok_or_else(|| "categories: the node has none".to_owned())?;
        Ok(codes.iter().map(|code| *code as f64).collect())
    }
}
