//! The client of a served model: one request over any of the protocols that the field's servers speak, over connections that are
//! kept. `predict`, `evaluate` and `bench` are built on it, so they also speak to servers that are not ours.

mod connection;
mod error;
mod grpc;
mod lenient;
mod metadata;
mod oip;
mod protocol;
mod session;
mod target;
mod tfs;
mod tls;

pub use connection::{Connection, Prepared, Reply, Template, Version};
pub use error::ClientError;
pub use metadata::{Metadata, TensorSpec};
pub use protocol::{Answer, Form, ModelName, Protocol};
pub use session::{Session, fetch_json};
pub use target::Target;
