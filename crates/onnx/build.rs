//! Compiles ONNX's messages.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["onnx.proto"], ["proto"])?;
    // `Bytes` shares the file's memory where a `Vec` would copy every weight.
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
