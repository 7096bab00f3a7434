//! What XGBoost saves, as far as a prediction needs it; the same in JSON and in UBJSON. Source: doc/model.schema of XGBoost.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
pub(super) struct Saved {
    pub(super) learner: Learner,
    #[serde(default)]
    pub(super) version: Vec<u32>,
}

#[derive(Deserialize)]
pub(super) struct Learner {
    #[serde(default)]
    pub(super) attributes: Attributes,
    pub(super) gradient_booster: Booster,
    pub(super) learner_model_param: Parameters,
    pub(super) objective: Objective,
}

#[derive(Default, Deserialize)]
pub(super) struct Attributes {
    /// Where training stopped early.
    pub(super) best_iteration: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Objective {
    pub(super) name: String,
}

/// Numbers, written as text.
#[derive(Deserialize)]
pub(super) struct Parameters {
    pub(super) base_score: String,
    #[serde(deserialize_with = "number")]
    pub(super) num_class: usize,
    #[serde(deserialize_with = "number")]
    pub(super) num_feature: usize,
    #[serde(default = "one", deserialize_with = "number")]
    pub(super) num_target: usize,
}

const fn one() -> usize {
    1
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("'{text}' is not a number")))
}

#[derive(Deserialize)]
pub(super) struct Booster {
    pub(super) name: String,
    /// Of `gbtree`.
    pub(super) model: Option<Forest>,
    /// Of `dart`, which is trees with weights.
    pub(super) gbtree: Option<Inner>,
    #[serde(default)]
    pub(super) weight_drop: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct Inner {
    pub(super) model: Forest,
}

#[derive(Deserialize)]
pub(super) struct Forest {
    /// `gblinear` has weights in their place.
    pub(super) trees: Option<Vec<Tree>>,
    /// By tree: the class or target that it is for.
    #[serde(default)]
    pub(super) tree_info: Vec<i64>,
    /// Where each iteration's trees begin, and the end.
    #[serde(default)]
    pub(super) iteration_indptr: Vec<usize>,
}

/// Arrays by node.
#[derive(Deserialize)]
pub(super) struct Tree {
    pub(super) left_children: Vec<i64>,
    pub(super) right_children: Vec<i64>,
    pub(super) split_indices: Vec<i64>,
    /// Thresholds of branches, weights of leaves.
    pub(super) split_conditions: Vec<f32>,
    pub(super) default_left: Vec<Flag>,
    /// 1 where a branch asks for a category.
    #[serde(default)]
    pub(super) split_type: Vec<i64>,
    #[serde(default)]
    pub(super) categories: Vec<i64>,
    #[serde(default)]
    pub(super) categories_nodes: Vec<i64>,
    #[serde(default)]
    pub(super) categories_segments: Vec<i64>,
    #[serde(default)]
    pub(super) categories_sizes: Vec<i64>,
    pub(super) tree_param: TreeParameters,
}

#[derive(Deserialize)]
pub(super) struct TreeParameters {
    #[serde(default = "one", deserialize_with = "number")]
    pub(super) size_leaf_vector: usize,
}

/// Written as 0 and 1, or by older versions as false and true.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Flag {
    Word(bool),
    Number(i64),
}

impl Flag {
    pub(super) const fn is_set(self) -> bool {
        match self {
            Self::Word(set) => set,
            Self::Number(number) => number != 0,
        }
    }
}
