//! The inference server: fetch a model, load it, answer for it in every protocol of the field, on one port.
//!
//! The flow of a request: `protocol` (decode) -> `infer` (admit, batch, run) -> `engine` -> `protocol` (encode).

pub mod args;
pub mod engine;
pub mod exchange;
pub mod fault;
pub mod infer;
pub mod inspect;
pub mod load;
mod look;
pub mod metrics;
pub mod murmur;
pub mod observe;
pub mod protocol;
pub mod registry;
pub mod serve;
pub mod signature;
pub mod steps;
pub mod telemetry;
pub mod tokenizer;
pub mod trial;
