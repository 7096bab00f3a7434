//! How a model's requests are run, decided once at load from what was measured, and shown in the model's configuration.

use modelyard_core::server_config::BatchingConfig;

use super::Scheduling;
use crate::engine::{Facts, Measured};
use crate::signature::Signature;

/// What becomes of the rows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// They run together; with batching, with the rows of other requests too.
    Stack,
    /// Each runs by itself, on as many threads as there are: cheaper where a row costs more in company than alone.
    FanOut,
}

/// How a model's requests are run.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What becomes of the rows of a request.
    pub rows: Rows,
    /// Why, in words.
    pub reason: String,
    /// Dynamic batching, if it is on for this model.
    pub batching: Option<BatchingConfig>,
    /// What was measured.
    pub measured: Measured,
}

impl Policy {
    /// Decides. Stacking pays when eight rows together cost less than eight alone; where that could not be tried, convolutional
    /// graphs are fanned out (their rows cost more in company) and others stacked.
    ///
    /// # Errors
    /// When batching is asked for and the model's first dimension is no batch.
    pub fn decide(signature: &Signature, facts: &Facts, scheduling: &Scheduling, measured: Measured) -> Result<Self, String> {
        if scheduling.batching.is_some() && !signature.batched {
            return Err("serving.batching needs a model whose every input and output begins with one free batch dimension; this one's do \
                        not: remove serving.batching, or export the model with a dynamic first dimension"
                .to_owned());
        }
        let (rows, reason) = match (signature.batched, measured.one, measured.eight) {
            (false, ..) => (Rows::Stack, "the model has no batch dimension".to_owned()),
            _ if facts.uneven => (Rows::Stack, "an answer is as wide as its longest row".to_owned()),
            (true, Some(one), Some(eight)) if eight > one * 8 => {
                (Rows::FanOut, format!("measured: 8 rows together take {eight:?}, one alone {one:?}"))
            }
            (true, Some(one), Some(eight)) => {
                (Rows::Stack, format!("measured: 8 rows together take {eight:?}, one alone {one:?}"))
            }
            (true, ..) if facts.convolutional => (Rows::FanOut, "not measured; the graph convolves".to_owned()),
            (true, ..) => (Rows::Stack, "not measured; the graph does not convolve".to_owned()),
        };
        let batching = scheduling.batching.clone().filter(|_| rows == Rows::Stack);
        Ok(Self { rows, reason, batching, measured })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn decide(batched: bool, convolutional: bool, one: Option<u64>, eight: Option<u64>) -> Rows {
        let signature = Signature { inputs: Vec::new(), outputs: Vec::new(), batched };
        let facts = Facts { convolutional, ..Facts::default() };
        let scheduling = Scheduling { threads: 1, queue_length: 1, batching: None, request_timeout: Duration::from_secs(1) };
        let measured = Measured { one: one.map(Duration::from_micros), eight: eight.map(Duration::from_micros) };
        Policy::decide(&signature, &facts, &scheduling, measured).unwrap().rows
    }

    #[test]
    fn rows_of_uneven_width_stay_together() {
        let signature = Signature { inputs: Vec::new(), outputs: Vec::new(), batched: true };
        let facts = Facts { uneven: true, ..Facts::default() };
        let scheduling = Scheduling { threads: 1, queue_length: 1, batching: None, request_timeout: Duration::from_secs(1) };
        let measured = Measured { one: Some(Duration::from_micros(1)), eight: Some(Duration::from_micros(90)) };
        assert_eq!(Policy::decide(&signature, &facts, &scheduling, measured).unwrap().rows, Rows::Stack);
    }

    #[test]
    fn measuring_beats_guessing() {
        assert_eq!(decide(true, true, Some(10), Some(40)), Rows::Stack);
        assert_eq!(decide(true, false, Some(10), Some(81)), Rows::FanOut);
        assert_eq!(decide(true, true, None, None), Rows::FanOut);
        assert_eq!(decide(true, false, Some(10), None), Rows::Stack);
        assert_eq!(decide(false, true, Some(10), Some(100)), Rows::Stack);
    }

    #[test]
    fn batching_without_a_batch_is_refused() {
        let signature = Signature { inputs: Vec::new(), outputs: Vec::new(), batched: false };
        let batching = Some(BatchingConfig { max_size: 8, max_delay: Duration::from_millis(1) });
        let scheduling = Scheduling { threads: 1, queue_length: 1, batching, request_timeout: Duration::from_secs(1) };
        let refused = Policy::decide(&signature, &Facts::default(), &scheduling, Measured::default()).unwrap_err();
        assert!(refused.contains("remove serving.batching"), "{refused}");
    }
}
