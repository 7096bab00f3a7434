//! The Open Inference Protocol over HTTP, through the same entry as the network's requests, with engines whose answers are known.
//! The statuses are the "Ours" column of the protocol's table, line by line.

// Panics are how a test says what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod house;
mod infer;
mod state;
