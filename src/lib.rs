//! The control plane of Modelyard as a library, so that tests reach every room without a process.

pub mod cli;
pub mod client;
pub mod controller;
pub mod evaluation;
pub mod gateway;
pub mod inputs;
pub mod local;
pub mod manifest;
