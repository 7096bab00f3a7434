//! What travels between a client and a model: tensors, their datatypes, the protobuf messages of the protocols, and the
//! JSON that carries numbers. Client (`modelyard predict`) and server share it, so both sides agree by construction.
//!
//! No I/O, no clock, no Kubernetes: bytes in, values out.

#![warn(missing_docs)]

mod datatype;
pub mod json;
pub mod proto;
mod tensor;

pub use datatype::{DataType, UnknownDataType};
pub use tensor::{Data, Tensor, TensorError, element_count};
