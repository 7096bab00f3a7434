//! CatBoost's trees as the kernel wants them described.

use std::collections::HashMap;

use super::hash;
use super::saved::{Branching, Features, Oblivious, Split, SplitKind, Treatment};
use crate::engine::LoadError;
use crate::engine::trees::{Branch, Kind, Node, Test, Tree, Weight};

/// More values than any row has.
const MOST_COLUMNS: usize = 1 << 20;

/// Where in a row the features are.
pub(super) struct Layout {
    /// By a float feature's number: its column, and what is answered of a missing value.
    floats: HashMap<usize, (usize, bool)>,
    /// By a categorical feature's number: its column.
    categories: HashMap<usize, usize>,
    /// The whole numbers that have a hash.
    numbers: HashMap<i64, Vec<f64>>,
    /// Values of a row.
    pub(super) width: usize,
}

impl Layout {
    /// The layout of a file's features.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] for kinds that a row of numbers cannot hold, [`LoadError::Invalid`] for places out of range.
    pub(super) fn of(features: &Features) -> Result<Self, LoadError> {
        for (kind, found) in [("text", &features.text_features), ("embedding", &features.embedding_features)] {
            if let Some(first) = found.first() {
                return Err(LoadError::Unsupported(format!(
                    "feature {} is {kind}: train on numbers that you make of it, in columns of their own",
                    first.flat_feature_index
                )));
            }
        }
        let mut width = 0;
        let mut flat = |at: usize| {
            if at >= MOST_COLUMNS {
                return Err(LoadError::Invalid(format!("flat_feature_index: {at}; expected at most {}", MOST_COLUMNS - 1)));
            }
            width = width.max(at + 1);
            Ok(at)
        };
        let mut floats = HashMap::new();
        for float in &features.float_features {
            let missing = float.nan_value_treatment == Treatment::Yes;
            floats.insert(float.feature_index, (flat(float.flat_feature_index)?, missing));
        }
        let mut categories = HashMap::new();
        for category in &features.categorical_features {
            categories.insert(category.feature_index, flat(category.flat_feature_index)?);
        }
        let numbers = hash::numbers(features.categorical_features.iter().flat_map(|category| category.values.iter().copied()));
        Ok(Self { floats, categories, numbers, width })
    }
}

/// One tree of the file.
pub(super) struct Part<'a> {
    pub(super) id: i64,
    pub(super) layout: &'a Layout,
    /// Values of a leaf.
    pub(super) targets: usize,
    /// Of the values.
    pub(super) scale: f64,
    /// Where the leaves' values go.
    pub(super) weights: &'a mut Vec<Weight>,
}

impl Part<'_> {
    /// A symmetric tree, spelled out: node `n` leads to `2 n + 1` and `2 n + 2`, and the last split is asked first, so that the
    /// leaves stand in the order of their numbers.
    pub(super) fn oblivious(&mut self, tree: &Oblivious) -> Result<Tree, LoadError> {
        let splits = tree.splits.as_deref().unwrap_or_default();
        let leaves = leaves(splits.len());
        let expected = leaves.and_then(|leaves| leaves.checked_mul(self.targets));
        let Some(leaves) = leaves.filter(|_| expected == Some(tree.leaf_values.len())) else {
            let (found, splits) = (tree.leaf_values.len(), splits.len());
            let said = format!("leaf_values: {found} values; expected {} for each leaf of {splits} splits", self.targets);
            return Err(LoadError::Invalid(format!("tree {}: {said}", self.id)));
        };
        let mut nodes = Vec::with_capacity(2 * leaves - 1);
        for (depth, (number, split)) in splits.iter().enumerate().rev().enumerate() {
            let branch = self.branch(split, &format!("split {number}"))?;
            for _ in 0..1_usize << depth {
                let (no, yes) = (2 * nodes.len() + 1, 2 * nodes.len() + 2);
                push(&mut nodes, Kind::Branch(Branch { yes, no, ..branch.clone() }));
            }
        }
        for values in tree.leaf_values.chunks_exact(self.targets) {
            let leaf = self.leaf(values);
            push(&mut nodes, leaf);
        }
        Ok(Tree { id: self.id, root: 0, nodes })
    }

    /// Any other tree, a node before its children.
    pub(super) fn branching(&mut self, tree: &Branching) -> Result<Tree, LoadError> {
        let mut nodes = Vec::new();
        self.grow(tree, &mut nodes)?;
        Ok(Tree { id: self.id, root: 0, nodes })
    }

    /// The JSON reader bounds how deep this goes.
    fn grow(&mut self, node: &Branching, nodes: &mut Vec<Node>) -> Result<(), LoadError> {
        let at = nodes.len();
        let invalid = |said: String| LoadError::Invalid(format!("tree {}, node {at}: {said}", self.id));
        match (&node.split, &node.left, &node.right, &node.value) {
            (Some(split), Some(left), Some(right), None) => {
                let branch = self.branch(split, &format!("node {at}"))?;
                push(nodes, Kind::Branch(branch));
                self.grow(left, nodes)?;
                let second = nodes.len();
                self.grow(right, nodes)?;
                if let Kind::Branch(branch) = &mut nodes[at].kind {
                    (branch.no, branch.yes) = (at + 1, second);
                }
                Ok(())
            }
            (None, None, None, Some(value)) if value.as_slice().len() == self.targets => {
                let leaf = self.leaf(value.as_slice());
                push(nodes, leaf);
                Ok(())
            }
            (None, None, None, Some(value)) => {
                Err(invalid(format!("value: {} values; expected {}", value.as_slice().len(), self.targets)))
            }
            _ => Err(invalid("expected a split with left and right, or a value".to_owned())),
        }
    }

    fn leaf(&mut self, values: &[f64]) -> Kind {
        let begin = self.weights.len();
        let weight = |(target, value): (usize, &f64)| Weight { target, value: value * self.scale };
        self.weights.extend(values.iter().enumerate().map(weight));
        Kind::Leaf(begin..begin + values.len())
    }

    /// The question of a split, without where it leads.
    fn branch(&self, split: &Split, place: &str) -> Result<Branch, LoadError> {
        let invalid = |said: String| LoadError::Invalid(format!("tree {}, {place}: {said}", self.id));
        let unsupported = |said: String| LoadError::Unsupported(format!("tree {}, {place}: {said}", self.id));
        match split.kind {
            SplitKind::FloatFeature => {
                let index = split.float_feature_index.ok_or_else(|| invalid("float_feature_index is missing".to_owned()))?;
                let border = split.border.ok_or_else(|| invalid("border is missing".to_owned()))?;
                // Borders are FP32, written as decimals that round to them.
                let narrow = border as f32;
                if !narrow.is_finite() {
                    return Err(invalid(format!("border: {border:e}; expected a number of FP32")));
                }
                let Some((feature, missing)) = self.layout.floats.get(&index) else {
                    return Err(invalid(format!("float_feature_index: {index}; float_features has none such")));
                };
                let test = Test::Above(narrow.into());
                Ok(Branch { feature: *feature, test, missing: *missing, yes: 0, no: 0 })
            }
            SplitKind::OneHotFeature => {
                let (Some(index), Some(hash)) = (split.cat_feature_index, split.value) else {
                    return Err(invalid("cat_feature_index or value is missing".to_owned()));
                };
                let Some(feature) = self.layout.categories.get(&index) else {
                    return Err(invalid(format!("cat_feature_index: {index}; categorical_features has none such")));
                };
                match self.layout.numbers.get(&hash) {
                    None => Err(invalid(format!("value: {hash}, which is not among the feature's values"))),
                    Some(numbers) if numbers.is_empty() => Err(unsupported(format!(
                        "asks feature {feature} for a category whose hash is {hash}: it is no whole number up to {}, and texts cannot \
                         be told from hashes; train on numbers for the categories, or on columns of 0 and 1",
                        hash::GREATEST
                    ))),
                    // What is missing is no category.
                    Some(numbers) => {
                        let test = Test::Member(numbers.clone());
                        Ok(Branch { feature: *feature, test, missing: false, yes: 0, no: 0 })
                    }
                }
            }
            SplitKind::OnlineCtr => Err(unsupported(
                "asks for statistics of a category (OnlineCtr): train on columns of 0 and 1 for the categories, or on whole numbers \
                 with one_hot_max_size not below their count"
                    .to_owned(),
            )),
            SplitKind::Other => {
                Err(unsupported("split_type is none that is known here; expected FloatFeature".to_owned()))
            }
        }
    }
}

/// Leaves of a symmetric tree; `None` where they are more than any file holds.
pub(super) fn leaves(splits: usize) -> Option<usize> {
    u32::try_from(splits).ok().filter(|splits| *splits < 31).map(|splits| 1 << splits)
}

fn push(nodes: &mut Vec<Node>, kind: Kind) {
    let id = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    nodes.push(Node { id, kind });
}
