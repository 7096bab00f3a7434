//! Open Inference Protocol, JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| modelyard_fuzz::post("/v2/models/echo/infer", &[], body));
