//! gRPC without sockets: calls go in as bodies of frames, answers come out as frames and trailers.

// Panics are how a test says what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod frames;
mod fuzz;
mod health;
mod house;
mod infer;
mod tensorflow;
