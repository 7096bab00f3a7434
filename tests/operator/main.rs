//! The operator on a real cluster, from `helm install` to a prediction, through every failure that can be brought about.
//!
//! `tests/operator/run` gives it a cluster. Each test has a namespace of its own; they share the operator and a store of models.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod cluster;
mod commands;
mod deployed;
mod namespace;
mod prober;
mod record;
mod store;
mod watch;

mod admission;
mod crowd;
mod examples;
mod faults;
mod fields;
mod first;
mod levels;
mod ownership;
mod pins;
mod policies;
mod quiet;
mod reasons;
mod rollout;
mod scale;
mod several;
mod upgrade;
