//! Compiles the protocols' messages, and keeps their descriptors for server reflection.

use std::path::PathBuf;
use std::{env, error, fs};

use prost::Message;

const FILES: [&str; 9] = [
    "inference/service.proto",
    "inference/model_config.proto",
    "tensorflow/tensor.proto",
    "tensorflow/signature.proto",
    "tensorflow_serving/prediction_service.proto",
    "tensorflow_serving/model_service.proto",
    "grpc/health.proto",
    "grpc/reflection_v1.proto",
    "grpc/reflection_v1alpha.proto",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut descriptors = protox::compile(FILES, ["proto"])?;
    // `Bytes` shares the request's memory where a `Vec` would copy; ordered maps encode the same message to the same bytes.
    prost_build::Config::new().enable_type_names().bytes(["."]).btree_map(["."]).compile_fds(descriptors.clone())?;
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
