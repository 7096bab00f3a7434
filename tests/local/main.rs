//! Local mode from YAML to prediction, with real processes on real ports.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod client;
mod grpc;
mod models;
mod pins;
mod session;

mod edits;
mod ends;
mod said;
mod same;
mod served;
