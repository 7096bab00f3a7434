//! TensorFlow Serving over REST: JSON, or with the first byte odd a serialised PredictRequest.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    let content_type = if kind % 2 == 0 { "application/json" } else { "application/x-protobuf" };
    modelyard_fuzz::post("/v1/models/echo:predict", &[("content-type", content_type)], body);
});
