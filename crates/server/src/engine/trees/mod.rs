//! Trees: sums of decision trees, from whatever file they come.
//!
//! A source describes its trees ([`describe`]); they are checked ([`check`]), every test is made one kind of comparison
//! ([`cut`]), and all are laid out flat for the processor's caches ([`forest`], [`leaves`]). A run walks several rows, or several
//! trees, at a time ([`walk`]), and what the sums mean is decided last ([`finish`]). This room knows of no file format, no tensor
//! and no other engine.

mod check;
mod cut;
mod describe;
mod finish;
mod forest;
mod grow;
mod leaves;
mod model;
mod real;
mod walk;

pub(in crate::engine) use check::MOST_TARGETS;
pub(in crate::engine) use describe::{Aggregate, Branch, Ensemble, Fault, Field, Kind, Node, Test, Tree, Weight};
pub(in crate::engine) use finish::{Columns, Finish};
pub(in crate::engine) use model::{Answer, Model, Precision, Rows, Scores};

pub(in crate::engine) use super::transform::Transform;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
