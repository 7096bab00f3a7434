//! What leaves a process besides its answers: log lines to standard error, at levels that can be changed while it runs, and spans to
//! an OpenTelemetry collector. Server and operator share it.

#![warn(missing_docs)]

mod collector;
pub mod logs;
pub mod traces;
mod watched;
