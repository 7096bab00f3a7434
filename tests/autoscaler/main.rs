//! The operator beside a cluster autoscaler: Karpenter, on a cluster whose machines and pods are only objects (KWOK). What is
//! tested is who asks for how much room, what makes and ends machines, and what holds one back; no server runs here.
//!
//! `tests/autoscaler/run` gives it a cluster. Each test has a pool of machines of its own, so they run side by side.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "../operator/record.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator")]
mod record;
#[path = "../operator/watch.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator")]
mod watch;

mod pool;

mod examples;
mod grow;
mod protect;
mod surge;
