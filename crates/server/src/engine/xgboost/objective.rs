//! What a model was trained for decides what its sums mean, and what was added to them. Source: XGBoost's objectives, by name.

use crate::engine::trees::{Columns, Finish, Transform};

/// An objective, as a prediction needs it.
pub(super) struct Objective {
    pub(super) finish: Finish,
    /// How many classes there are; `None` for a regressor.
    pub(super) classes: Option<usize>,
    /// From the base score, which is saved as a prediction, back to a sum.
    inverse: fn(f32) -> f32,
}

impl Objective {
    /// The objective of this name.
    ///
    /// # Errors
    /// That it is not known here.
    pub(super) fn of(name: &str, targets: usize) -> Result<Self, String> {
        let linked = |transform, inverse| Self { finish: Finish::Linked(transform), classes: None, inverse };
        Ok(match name {
            "binary:logistic" if targets == 1 => {
                let finish = Finish::Classes(Columns::Deciding { positive: false }, Transform::Logistic);
                Self { finish, classes: Some(2), inverse: logit }
            }
            // Several labels at once: a probability for each.
            "binary:logistic" | "reg:logistic" => linked(Transform::Logistic, logit),
            "multi:softprob" | "multi:softmax" => {
                let finish = Finish::Classes(Columns::Each, Transform::Softmax);
                Self { finish, classes: Some(targets), inverse: same }
            }
            "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
                linked(Transform::Exponential, f32::ln)
            }
            "reg:squarederror"
            | "reg:linear"
            | "reg:squaredlogerror"
            | "reg:absoluteerror"
            | "reg:pseudohubererror"
            | "reg:quantileerror"
            | "reg:expectileerror"
            // Its base is a sum already, though its relative's is a probability.
            | "binary:logitraw"
            | "rank:pairwise"
            | "rank:ndcg"
            | "rank:map" => linked(Transform::None, same),
            other => return Err(format!("objective '{other}' is not supported")),
        })
    }

    /// The base of each target's sum, from `base_score`: one number, or a list of them in brackets.
    pub(super) fn margins(&self, base_score: &str, targets: usize) -> Result<Vec<f64>, String> {
        let listed = base_score.trim().trim_start_matches('[').trim_end_matches(']').split(',');
        let scores = listed.map(|one| one.trim().parse::<f32>()).collect::<Result<Vec<_>, _>>();
        let scores = scores.map_err(|_| format!("base_score: '{base_score}' is not a number"))?;
        match scores[..] {
            [one] => Ok(vec![(self.inverse)(one).into(); targets]),
            _ if scores.len() == targets => Ok(scores.into_iter().map(|one| (self.inverse)(one).into()).collect()),
            _ => Err(format!("base_score: {} numbers; expected 1 or {targets}", scores.len())),
        }
    }
}

const fn same(score: f32) -> f32 {
    score
}

fn logit(score: f32) -> f32 {
    -(1.0 / score - 1.0).ln()
}
