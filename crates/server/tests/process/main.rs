//! The server as a process: how it starts, ends, drains, and what clients and models of ill will can do to it.
//!
//! Nothing here waits for a time: each wait polls the condition itself, and fails after a generous deadline.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod budget;
mod changes;
mod connections;
mod deadlines;
mod drain;
mod exit;
mod http;
mod memory;
mod models;
mod pins;
mod server;
mod traces;
mod trial;
