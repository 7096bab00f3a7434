//! LightGBM's own files, without conversion: told by their content, run by the tree kernel in FP64, as LightGBM computes.
//!
//! Such a file names no output and its input is a row: one FP32 tensor `input` goes in; `label` and `probabilities` come out of a
//! classifier, `variable` out of anything else, as skl2onnx names them. Categories are compared by their exact codes.

use std::path::Path;

use super::ensemble::{Plain, Trees};
use super::onnx::file::slurp;
use super::onnx::labels::Labels;
use super::trees::{
    Branch, Columns, Ensemble, Fault, Field, Finish, Kind, MOST_TARGETS, Model, Node, Precision, Test, Transform, Tree, Weight,
};
use super::{Facts, LoadError};

mod text;

use text::{Part, Parts};

/// Loads a file that begins as LightGBM's do.
///
/// # Errors
/// [`LoadError::Invalid`] for a damaged file, [`LoadError::Unsupported`] that names what of a sound one is not honoured.
pub(super) fn load(path: &Path) -> Result<Trees, LoadError> {
    let raw = slurp(path)?;
    let text = std::str::from_utf8(&raw).map_err(|_| LoadError::Invalid("LightGBM's file is not UTF-8".to_owned()))?;
    let parts = text::parts(text);
    check_whole(&parts)?;
    let Parts { head, trees, .. } = parts;
    let invalid = LoadError::Invalid;
    let targets: usize = head.number("num_tree_per_iteration").map_err(invalid)?;
    if targets == 0 || targets > MOST_TARGETS {
        return Err(invalid(format!("num_tree_per_iteration: {targets}; expected 1 to {MOST_TARGETS}")));
    }
    let last: usize = head.number("max_feature_idx").map_err(invalid)?;
    let meaning = Meaning::of(head.get("objective").unwrap_or("none"), targets).map_err(LoadError::Unsupported)?;
    let mut ensemble = Ensemble { targets, ..Ensemble::default() };
    // A random forest's answer is the mean over its iterations.
    let iterations = if head.get("average_output").is_some() { trees.len().div_ceil(targets) } else { 1 };
    let scale = meaning.scale / iterations as f64;
    for (number, part) in trees.iter().enumerate() {
        if part.get("is_linear").is_some_and(|linear| linear != "0") {
            return Err(LoadError::Unsupported("leaves with linear models (linear_tree)".to_owned()));
        }
        let one = One { id: i64::try_from(number).unwrap_or(i64::MAX), part, target: number % targets, scale };
        let tree = one.tree(&mut ensemble)?;
        ensemble.trees.push(tree);
    }
    let model = Model::build(&ensemble, meaning.finish, Precision::Double, Some(last.saturating_add(1)));
    let model = model.map_err(|fault| invalid(explain(&fault)))?;
    let facts = Facts {
        platform: "lightgbm_text",
        engine: "Trees",
        parameters: ensemble.trees.iter().map(|tree| tree.nodes.len() as u64).sum(),
        bytes: raw.len() as u64,
        producer: format!("LightGBM {}", head.get("version").unwrap_or_default()),
        ..Facts::default()
    };
    let labels = meaning.classes.map(Labels::numbered);
    Ok(Trees::plain(Plain { model, width: last.saturating_add(1), labels, facts }))
}

/// Refuses a format that is not known, and a file that was cut short: between two trees it reads like a smaller model.
fn check_whole(parts: &Parts<'_>) -> Result<(), LoadError> {
    let version = parts.head.get("version").unwrap_or_default();
    if !["v2", "v3", "v4"].contains(&version) {
        let shown: String = version.chars().take(40).collect();
        return Err(LoadError::Unsupported(format!("version '{shown}' of LightGBM's format; expected v2, v3 or v4")));
    }
    let Some(sizes) = parts.head.get("tree_sizes") else { return Ok(()) };
    let (listed, found) = (sizes.split_ascii_whitespace().count(), parts.trees.len());
    if listed != found {
        return Err(LoadError::Invalid(format!("tree_sizes lists {listed} trees, found {found}: the file may be cut short")));
    }
    // Files of v2 may end with the last tree.
    if parts.ended || version == "v2" {
        return Ok(());
    }
    Err(LoadError::Invalid("there is no line 'end of trees': the file is cut short".to_owned()))
}

/// What the sums mean, by the objective that the model was trained for.
struct Meaning {
    finish: Finish,
    classes: Option<usize>,
    /// Of the weights.
    scale: f64,
}

impl Meaning {
    /// `objective` is a name and its parameters.
    fn of(objective: &str, targets: usize) -> Result<Self, String> {
        let mut words = objective.split_ascii_whitespace();
        let name = words.next().unwrap_or("none");
        let parameters: Vec<&str> = words.collect();
        let sigmoid = || {
            let given = parameters.iter().find_map(|word| word.strip_prefix("sigmoid:"));
            given.map_or(Ok(1.0), |text| {
                text.parse::<f64>().map_err(|_| format!("objective '{objective}': sigmoid is not a number"))
            })
        };
        let linked = |transform, scale| Ok(Self { finish: Finish::Linked(transform), classes: None, scale });
        match name {
            _ if parameters.contains(&"sqrt") => Err(format!("objective '{objective}' (reg_sqrt) is not supported")),
            "binary" if targets == 1 => {
                let finish = Finish::Classes(Columns::Deciding { positive: false }, Transform::Logistic);
                Ok(Self { finish, classes: Some(2), scale: sigmoid()? })
            }
            "multiclass" => {
                Ok(Self { finish: Finish::Classes(Columns::Each, Transform::Softmax), classes: Some(targets), scale: 1.0 })
            }
            "multiclassova" => Ok(Self {
                finish: Finish::Classes(Columns::Each, Transform::Logistic),
                classes: Some(targets),
                scale: sigmoid()?,
            }),
            "cross_entropy" => linked(Transform::Logistic, 1.0),
            "poisson" | "gamma" | "tweedie" => linked(Transform::Exponential, 1.0),
            "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank" | "rank_xendcg" | "none"
            | "custom" => linked(Transform::None, 1.0),
            _ => Err(format!("objective '{objective}' is not supported")),
        }
    }
}

/// A fault in the file's words.
fn explain(fault: &Fault) -> String {
    let field = match fault.field {
        Field::Trees => "Tree",
        Field::Targets | Field::WeightTarget => "num_tree_per_iteration",
        Field::Base => "base",
        Field::Feature => "split_feature",
        Field::Threshold => "threshold",
        Field::Yes | Field::No => "left_child and right_child",
    };
    match fault.node {
        Some((tree, node)) => format!("tree {tree}, node {node}: {field}: {}", fault.said),
        None => format!("{field}: {}", fault.said),
    }
}

/// One tree of the file.
struct One<'a> {
    id: i64,
    part: &'a Part<'a>,
    target: usize,
    scale: f64,
}

/// The lists of a tree's branches.
struct Branches {
    features: Vec<usize>,
    thresholds: Vec<f64>,
    decisions: Vec<u8>,
    left: Vec<i64>,
    right: Vec<i64>,
    /// Where each set of categories begins in `bits`, and the end.
    boundaries: Vec<usize>,
    /// Categories, a bit each.
    bits: Vec<u32>,
}

impl One<'_> {
    /// Branches first, in their order, then leaves.
    fn tree(&self, ensemble: &mut Ensemble) -> Result<Tree, LoadError> {
        let invalid = LoadError::Invalid;
        let leaves: usize = self.part.number("num_leaves").map_err(invalid)?;
        let values: Vec<f64> = self.part.numbers("leaf_value", leaves).map_err(invalid)?;
        let Some(count) = leaves.checked_sub(1) else { return Err(invalid(format!("tree {}: num_leaves: 0", self.id))) };
        let branches = self.branches(count).map_err(invalid)?;
        let mut nodes = Vec::with_capacity(count + leaves);
        for at in 0..count {
            let kind = Kind::Branch(self.branch(&branches, at)?);
            nodes.push(Node { id: i64::try_from(at).unwrap_or(i64::MAX), kind });
        }
        for (leaf, value) in values.into_iter().enumerate() {
            let begin = ensemble.weights.len();
            ensemble.weights.push(Weight { target: self.target, value: value * self.scale });
            nodes.push(Node { id: -1 - i64::try_from(leaf).unwrap_or(0), kind: Kind::Leaf(begin..begin + 1) });
        }
        Ok(Tree { id: self.id, root: 0, nodes })
    }

    fn branches(&self, count: usize) -> Result<Branches, String> {
        let part = self.part;
        let sets: usize = part.number("num_cat")?;
        let boundaries: Vec<usize> = if sets == 0 { Vec::new() } else { part.numbers("cat_boundaries", sets.saturating_add(1))? };
        let bits = boundaries.last().copied().unwrap_or(0);
        Ok(Branches {
            features: part.numbers("split_feature", count)?,
            thresholds: part.numbers("threshold", count)?,
            decisions: part.numbers("decision_type", count)?,
            left: part.numbers("left_child", count)?,
            right: part.numbers("right_child", count)?,
            boundaries,
            bits: if sets == 0 { Vec::new() } else { part.numbers("cat_threshold", bits)? },
        })
    }

    /// Left is where the value is at most the threshold, or its category is in the set.
    fn branch(&self, branches: &Branches, at: usize) -> Result<Branch, LoadError> {
        let (decision, threshold, count) = (branches.decisions[at], branches.thresholds[at], branches.left.len());
        // Negative are leaves: -1 is the first.
        let child = |child: i64| match usize::try_from(child) {
            Ok(branch) => branch,
            Err(_) => count.saturating_add(usize::try_from(!child).unwrap_or(usize::MAX)),
        };
        let (feature, yes, no) = (branches.features[at], child(branches.left[at]), child(branches.right[at]));
        let (is_set, default_left, missing) = (decision & 1 != 0, decision & 2 != 0, (decision >> 2) & 3);
        if is_set {
            let codes = branches
                .codes(threshold)
                .map_err(|reason| LoadError::Invalid(format!("tree {}, node {at}: {reason}", self.id)))?;
            // A missing value is no category, or the first where training met none.
            let missing = missing != NAN && codes.contains(&0.0);
            return Ok(Branch { feature, test: Test::Member(codes), missing, yes, no });
        }
        let missing = match missing {
            NAN => default_left,
            ZERO => return Err(LoadError::Unsupported("zeros as missing values (zero_as_missing)".to_owned())),
            // Where training met none a missing value is taken for 0.
            _ => 0.0 <= threshold,
        };
        Ok(Branch { feature, test: Test::AtMost(threshold), missing, yes, no })
    }
}

/// What counts as missing, in a decision's bits 2 and 3.
const ZERO: u8 = 1;
const NAN: u8 = 2;

impl Branches {
    /// The categories of a set; `number` is which.
    fn codes(&self, number: f64) -> Result<Vec<f64>, String> {
        let at = number as usize;
        let words = self
            .boundaries
            .get(at)
            .zip(self.boundaries.get(at.saturating_add(1)))
            .and_then(|(from, to)| self.bits.get(*from..*to));
        let words = words.ok_or_else(|| format!("cat_boundaries: there is no set {number}"))?;
        let bits = words
            .iter()
            .enumerate()
            .flat_map(|(at, word)| (0..32).filter(move |bit| word >> bit & 1 != 0).map(move |bit| at * 32 + bit));
        Ok(bits.map(|code| code as f64).collect())
    }
}
