//! What CatBoost's JSON holds, as far as a prediction needs it. Source: what `save_model(format="json")` of CatBoost 1.2 writes.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Saved {
    pub(super) features_info: Features,
    #[serde(default)]
    pub(super) model_info: Info,
    /// Symmetric trees.
    pub(super) oblivious_trees: Option<Vec<Oblivious>>,
    /// Any others.
    pub(super) trees: Option<Vec<Branching>>,
    #[serde(default)]
    pub(super) scale_and_bias: ScaleAndBias,
}

#[derive(Deserialize)]
pub(super) struct Features {
    #[serde(default)]
    pub(super) float_features: Vec<Float>,
    #[serde(default)]
    pub(super) categorical_features: Vec<Category>,
    #[serde(default)]
    pub(super) text_features: Vec<Place>,
    #[serde(default)]
    pub(super) embedding_features: Vec<Place>,
}

/// Where in a row a feature is: among those of all kinds.
#[derive(Deserialize)]
pub(super) struct Place {
    pub(super) flat_feature_index: usize,
}

#[derive(Deserialize)]
pub(super) struct Category {
    /// Among the categorical features, which is how splits name it.
    pub(super) feature_index: usize,
    pub(super) flat_feature_index: usize,
    /// The hashes that splits ask for.
    #[serde(default)]
    pub(super) values: Vec<i64>,
}

#[derive(Deserialize)]
pub(super) struct Float {
    /// Among those that are numbers, which is how splits name it.
    pub(super) feature_index: usize,
    pub(super) flat_feature_index: usize,
    #[serde(default)]
    pub(super) nan_value_treatment: Treatment,
}

/// What a test answers about a missing value.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) enum Treatment {
    /// As the comparison of numbers has it: false.
    #[default]
    #[serde(rename = "AsIs")]
    Compared,
    #[serde(rename = "AsFalse")]
    No,
    #[serde(rename = "AsTrue")]
    Yes,
}

#[derive(Default, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) catboost_version_info: String,
    pub(super) params: Option<Parameters>,
    /// Of a sum of models: JSON as text.
    pub(super) loss_function: Option<String>,
    pub(super) class_params: Option<Classes>,
    /// A number as text, where it was set.
    pub(super) binclass_probability_threshold: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Parameters {
    pub(super) loss_function: Loss,
}

#[derive(Deserialize)]
pub(super) struct Loss {
    #[serde(rename = "type")]
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Classes {
    #[serde(default)]
    pub(super) class_label_type: String,
    /// In the order of the sums.
    #[serde(default)]
    pub(super) class_names: Vec<serde_json::Value>,
    /// What stands for each class where there are no names.
    #[serde(default)]
    pub(super) class_to_label: Vec<serde_json::Value>,
    /// Classes that training was told of, which may be more than it met.
    #[serde(default)]
    pub(super) classes_count: usize,
}

/// A sum is multiplied by the first, and the second is added to it.
#[derive(Deserialize)]
pub(super) struct ScaleAndBias(pub(super) f64, pub(super) Bias);

impl Default for ScaleAndBias {
    fn default() -> Self {
        Self(1.0, Bias::Each(Vec::new()))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Bias {
    One(f64),
    Each(Vec<f64>),
}

/// A tree whose nodes of one depth all ask the same.
#[derive(Deserialize)]
pub(super) struct Oblivious {
    /// The answer to the first is bit 0 of a leaf's number.
    pub(super) splits: Option<Vec<Split>>,
    /// Leaf by leaf, a value for each target.
    pub(super) leaf_values: Vec<f64>,
}

/// A node of a tree: a split with both children, or a leaf with its value.
#[derive(Deserialize)]
pub(super) struct Branching {
    pub(super) split: Option<Split>,
    /// Where the answer is no.
    pub(super) left: Option<Box<Self>>,
    pub(super) right: Option<Box<Self>>,
    pub(super) value: Option<Values>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Values {
    One(f64),
    Each(Vec<f64>),
}

impl Values {
    pub(super) fn as_slice(&self) -> &[f64] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Split {
    #[serde(rename = "split_type")]
    pub(super) kind: SplitKind,
    pub(super) float_feature_index: Option<usize>,
    /// The answer is yes above it.
    pub(super) border: Option<f64>,
    pub(super) cat_feature_index: Option<usize>,
    /// The hash of the category that the answer is yes for.
    pub(super) value: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum SplitKind {
    FloatFeature,
    OneHotFeature,
    OnlineCtr,
    #[serde(other)]
    Other,
}
