//! How fast JSON becomes a tensor, and back: MB/s of JSON text on one core.
//!
//! `cargo run --release -p modelyard-wire --example json_speed`

use std::time::Instant;

use modelyard_wire::json::write::{self, Text};
use modelyard_wire::json::{Cursor, Elements};
use modelyard_wire::{DataType, Tensor};

const SHAPE: [usize; 2] = [64, 784];
const ROUNDS: usize = 200;

/// A fixed pseudo-random sequence in 0..1 (D. Knuth's MMIX constants).
fn values() -> impl Iterator<Item = f64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

fn list(separator: &str, text: impl Fn(f64) -> String) -> String {
    let texts: Vec<_> = values().take(SHAPE.iter().product()).map(text).collect();
    format!("[{}]", texts.join(separator))
}

/// Images of a pen's strokes: of each 28 pixels 20 are 0, the others one of 255 levels.
fn pixels() -> String {
    let pixel = |(at, value): (usize, f64)| {
        if at % 28 < 20 { "0".to_owned() } else { format!("{}", ((value * 255.0).ceil() / 255.0) as f32) }
    };
    format!("[{}]", values().enumerate().take(SHAPE.iter().product()).map(pixel).collect::<Vec<_>>().join(","))
}

fn read(json: &str, datatype: DataType) -> Option<Tensor> {
    let mut cursor = Cursor::new(json.as_bytes());
    let mut elements = Elements::new(datatype);
    elements.reserve(SHAPE.iter().product(), &cursor);
    elements.read(&mut cursor).ok()?;
    elements.finish(SHAPE.to_vec()).ok()
}

fn report(name: &str, bytes: usize, mut once: impl FnMut()) {
    let mut speeds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            once();
            bytes as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    let (min, median, max) = (speeds[0], speeds[ROUNDS / 2], speeds[ROUNDS - 1]);
    println!("{name:44} {bytes:8} bytes   min {min:5.0}   median {median:5.0}   max {max:5.0} MB/s");
}

fn main() {
    let six = |value: f64| format!("{value:.6}");
    for (name, json, datatype) in [
        ("read FP32, 0.123456 after ','", list(",", six), DataType::Fp32),
        ("read FP32, 0.123456 after ', '", list(", ", six), DataType::Fp32),
        ("read FP32, shortest single", list(",", |value| format!("{}", value as f32)), DataType::Fp32),
        ("read FP32, pixels: zeros in rows, levels", pixels(), DataType::Fp32),
        ("read FP32, shortest double", list(",", |value| format!("{value}")), DataType::Fp32),
        ("read FP64, shortest double", list(",", |value| format!("{value}")), DataType::Fp64),
        ("read INT64, six digits", list(",", |value| format!("{:.0}", value * 1e6)), DataType::Int64),
        ("read UINT8", list(",", |value| format!("{:.0}", value * 255.0)), DataType::Uint8),
    ] {
        report(name, json.len(), || assert!(read(&json, datatype).is_some()));
    }
    let singles: Vec<f32> = values().take(SHAPE.iter().product()).map(|value| value as f32).collect();
    let Ok(tensor) = Tensor::from_f32(SHAPE.to_vec(), &singles) else { return };
    let mut out = Vec::new();
    let _ = write::flat(&mut out, &tensor, Text::Utf8);
    report("write FP32, shortest single", out.len(), || {
        out.clear();
        assert!(write::flat(&mut out, &tensor, Text::Utf8).is_ok());
    });
}
