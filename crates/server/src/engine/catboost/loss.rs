//! What a model was trained for decides what its sums mean. Source: CatBoost's loss functions, by name.

use super::saved::{Classes, Info, Loss};
use crate::engine::LoadError;
use crate::engine::onnx::labels::Labels;
use crate::engine::trees::{Columns, Finish, Transform};

/// What the sums mean.
pub(super) struct Meaning {
    pub(super) finish: Finish,
    /// The classes, for a classifier.
    pub(super) labels: Option<Labels>,
}

impl Meaning {
    /// The meaning of `targets` sums.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] that names the loss function or option, [`LoadError::Invalid`] where classes and sums do not fit.
    pub(super) fn of(info: &Info, targets: usize) -> Result<Self, LoadError> {
        let linked = |transform| Ok(Self { finish: Finish::Linked(transform), labels: None });
        let classes = |finish, count| Ok(Self { finish, labels: Some(labels(info.class_params.as_ref(), count)?) });
        let name = name(info)?;
        match (&*name, targets) {
            ("Logloss" | "CrossEntropy" | "Focal", 1) => {
                half(info)?;
                classes(Finish::Classes(Columns::Deciding { positive: false }, Transform::Logistic), 2)
            }
            ("MultiClass", 2..) => classes(Finish::Classes(Columns::Each, Transform::Softmax), targets),
            ("MultiClassOneVsAll", 2..) => classes(Finish::Classes(Columns::Each, Transform::Logistic), targets),
            // Several labels at once: a probability for each.
            ("MultiLogloss" | "MultiCrossEntropy", _) => linked(Transform::Logistic),
            ("Poisson" | "Tweedie", 1) => linked(Transform::Exponential),
            (
                "" | "RMSE" | "MAE" | "MAPE" | "Quantile" | "LogLinQuantile" | "Expectile" | "Lq" | "Huber" | "LogCosh" | "Cox"
                | "SurvivalAft" | "YetiRank" | "YetiRankPairwise" | "PairLogit" | "PairLogitPairwise" | "QueryRMSE"
                | "QuerySoftMax" | "QueryCrossEntropy" | "StochasticRank" | "StochasticFilter" | "LambdaMart",
                1,
            )
            | ("" | "MultiRMSE" | "MultiRMSEWithMissingValues" | "MultiQuantile", _) => linked(Transform::None),
            ("RMSEWithUncertainty", _) => {
                let said = "loss_function 'RMSEWithUncertainty' (a mean and a variance) is not supported: train with RMSE";
                Err(LoadError::Unsupported(said.to_owned()))
            }
            (other, _) => {
                Err(LoadError::Unsupported(format!("loss_function '{other}' with {targets} values a leaf is not supported")))
            }
        }
    }
}

/// The loss function's name; empty where nothing says it.
fn name(info: &Info) -> Result<String, LoadError> {
    match (&info.params, &info.loss_function) {
        (Some(parameters), _) => Ok(parameters.loss_function.name.clone()),
        // Models were added up: what their sum means is nobody's but the caller's.
        (None, Some(text)) => match serde_json::from_str::<Loss>(text) {
            Ok(loss) => Ok(loss.name),
            Err(error) => Err(LoadError::Invalid(format!("model_info: loss_function: {error}"))),
        },
        (None, None) => Ok(String::new()),
    }
}

/// Whether the second class is answered from a probability of a half on.
fn half(info: &Info) -> Result<(), LoadError> {
    match info.binclass_probability_threshold.as_deref() {
        None => Ok(()),
        Some(text) if text.parse() == Ok(0.5) => Ok(()),
        Some(text) => Err(LoadError::Unsupported(format!(
            "binclass_probability_threshold: {text}; expected 0.5: call set_probability_threshold(0.5) and save again, and compare \
             probabilities yourself"
        ))),
    }
}

/// The names of `count` classes: integers where all are, else strings.
fn labels(classes: Option<&Classes>, count: usize) -> Result<Labels, LoadError> {
    let Some(classes) = classes else { return Ok(Labels::numbered(count)) };
    if classes.classes_count > count {
        return Err(LoadError::Unsupported(format!(
            "classes_count: {} classes, of which training met {count}: train without it",
            classes.classes_count
        )));
    }
    let (field, names) = match (&classes.class_names[..], &classes.class_to_label[..]) {
        ([], []) => return Ok(Labels::numbered(count)),
        ([], numbers) => ("class_to_label", numbers),
        (names, _) => ("class_names", names),
    };
    if names.len() != count {
        return Err(LoadError::Invalid(format!("{field}: {} classes; expected {count}, one for each value", names.len())));
    }
    if classes.class_label_type == "Boolean" {
        return Ok(Labels::numbered(count));
    }
    if let Some(integers) = names.iter().map(integer).collect() {
        return Ok(Labels::Ints(integers));
    }
    let text = |name: &serde_json::Value| match name {
        serde_json::Value::String(name) => name.clone(),
        other => other.to_string(),
    };
    Ok(Labels::Texts(names.iter().map(text).collect()))
}

/// A whole number, which may be written as `1.0`.
fn integer(name: &serde_json::Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = |value: &f64| value.fract() == 0.0 && value.abs() < EXACT;
    name.as_i64().or_else(|| name.as_f64().filter(whole).map(|value| value as i64))
}
