//! One request's way through a model: admit or refuse, wait, run (alone or with others), answer. Protocols call
//! [`Model::infer`] and know nothing of what is behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use modelyard_wire::Tensor;

use crate::engine::Facts;
use crate::fault::Fault;
use crate::signature::Signature;

/// A model that answers.
pub struct Model {
    /// The name in URLs.
    pub name: String,
    /// The version in URLs and answers.
    pub version: i64,
    /// Class names, by index; may be empty.
    pub classes: Vec<String>,
    /// What it takes and gives.
    pub signature: Signature,
    /// What its file holds.
    pub facts: Facts,
}

/// One request to a model.
pub struct Call {
    /// In the signature's order, as [`Signature::bind`] gives them.
    pub inputs: Vec<Tensor>,
    /// The client's own deadline, if it gave one.
    pub timeout: Option<Duration>,
    /// When the request's head arrived: deadlines count from here.
    pub received: Instant,
}

/// What a model answered.
pub struct Answer {
    /// In the signature's order.
    pub outputs: Vec<Tensor>,
}

impl Model {
    /// Runs one request.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the queue is full, `DEADLINE_EXCEEDED` when late, `INVALID_ARGUMENT` for data that cannot be computed with.
    pub async fn infer(self: &Arc<Self>, call: Call) -> Result<Answer, Fault> {
        let _ = call;
        Err(Fault::internal("not built yet"))
    }
}
