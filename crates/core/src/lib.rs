//! Modelyard's API types and every decision, as pure functions: nothing here reads a clock, a file or a socket.

#![warn(missing_docs)]

pub mod api;
pub mod claim;
pub mod content;
pub mod diagnose;
pub mod digest;
pub mod location;
pub mod pins;
pub mod plan;
pub mod random;
pub mod release;
pub mod render;
pub mod resolve;
pub mod rights;
pub mod schema;
pub mod server_config;
pub mod status;
pub mod steps;
pub mod units;
pub mod unresolve;
pub mod warn;
