//! TensorFlow Serving's REST API, KServe v1, CloudEvents, the front page and the OpenAPI document, through the server's one door.

// Panics are how a test says what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod events;
mod front;
mod fuzz;
mod house;
mod openapi;
mod predict;
mod protobuf;
mod status;
