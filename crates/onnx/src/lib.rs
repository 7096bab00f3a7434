//! ONNX files as data: read with checks, rewritten, written. It computes no model and knows no engine, so that the command line,
//! which links no tensor library, can change files too.

mod check;
mod cycle;
mod external;
pub mod lint;
pub mod names;
pub mod proto;
mod read;
pub mod rewrite;
mod scan;
pub mod store;
pub mod tensor;
mod write;

pub use check::Unsound;
pub use read::{ReadError, external_files, read};
pub use write::{WriteError, size, write};

#[cfg(test)]
mod tests;
