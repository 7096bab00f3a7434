//! The gateway before replicas that misbehave: they are raw sockets or bare servers, so that every byte and every cut is the test's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod front;
mod replica;

mod calls;
mod grpc;
mod limits;
mod lists;
mod relay;
