//! Boosters' own files: what they answer, worked by hand, and which are refused. `make test-models` compares trained models with the
//! libraries themselves.

#![allow(clippy::unwrap_used)]

mod catboost;
mod lightgbm;
mod xgboost;

use std::time::{Duration, Instant};

use modelyard_server::engine::{Engine, Stop, load};
use modelyard_server::inspect::inspect;
use modelyard_wire::Tensor;

/// The engine of a file; its content tells the format, not its name.
fn opened(raw: &(impl AsRef<[u8]> + ?Sized)) -> Result<Box<dyn Engine>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    std::fs::write(&path, raw).unwrap();
    let opened = load(&path).map_err(|error| error.to_string());
    assert_eq!(inspect(&path).loadable, opened.is_ok());
    opened
}

/// All outputs for rows of two values.
fn run(engine: &dyn Engine, rows: &[f32]) -> Vec<Tensor> {
    let input = Tensor::from_f32(vec![rows.len() / 2, 2], rows).unwrap();
    engine.run(&[input], &Stop::at(Instant::now() + Duration::from_secs(60))).unwrap()
}

/// The same of a file, as numbers.
fn answers(raw: &(impl AsRef<[u8]> + ?Sized), rows: &[f32]) -> Vec<Vec<f64>> {
    let engine = opened(raw).unwrap_or_else(|error| panic!("{error}"));
    run(&*engine, rows).iter().map(|output| output.to_f64().unwrap()).collect()
}

#[track_caller]
fn near(found: &[f64], expected: &[f64]) {
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
        "{found:?} {expected:?}"
    );
}
