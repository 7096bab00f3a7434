//! Open Inference Protocol, binary tensors: the first two bytes are the length that the header says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((length, body)) = data.split_first_chunk::<2>() else { return };
    let length = u16::from_le_bytes(*length).to_string();
    modelyard_fuzz::post("/v2/models/echo/infer", &[("inference-header-content-length", &length)], body);
});
