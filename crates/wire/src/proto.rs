//! The protobuf messages of the gRPC protocols, generated from `proto/`. Fields of bytes share the memory that they were decoded
//! from.

#![allow(missing_docs, clippy::all)]

/// The Open Inference Protocol: `inference.GRPCInferenceService`.
pub mod inference {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}

/// TensorFlow's tensors and signatures.
pub mod tensorflow {
    include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));

    /// Status codes.
    pub mod error {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.error.rs"));
    }

    /// TensorFlow Serving.
    pub mod serving {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.serving.rs"));
    }
}

pub use tensorflow::serving as tensorflow_serving;

/// `grpc.health.v1.Health`.
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// `grpc.reflection.v1.ServerReflection`; version 1alpha has the same messages.
pub mod reflection {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
}

/// Every file above as a serialised `google.protobuf.FileDescriptorSet`, imports before what imports them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
