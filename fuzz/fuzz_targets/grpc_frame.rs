//! gRPC: the first byte picks the method, the rest are frames as they came, or with the second byte even one frame's message.
#![no_main]

const METHODS: [&str; 5] = [
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/inference.GRPCInferenceService/RepositoryIndex",
    "/tensorflow.serving.PredictionService/Predict",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(([method, framing], rest)) = data.split_first_chunk::<2>() else { return };
    let mut body = Vec::new();
    if framing % 2 == 0 {
        body.push(0);
        body.extend_from_slice(&(rest.len() as u32).to_be_bytes());
    }
    body.extend_from_slice(rest);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    modelyard_fuzz::post(METHODS[usize::from(*method) % METHODS.len()], &headers, &body);
});
