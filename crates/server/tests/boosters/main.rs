//! Boosters' own files: what they answer, worked by hand, and which are refused. `make test-models` compares trained models with the
//! libraries themselves.

#![allow(clippy::unwrap_used)]

mod catboost;
mod lightgbm;
mod xgboost;

use std::time::{Duration, Instant};

use modelyard_core::api::Format;
use modelyard_server::engine::choice::{self, Wanted};
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

/// What is said of a file comes before what its first bytes tell, and where that cannot be, both are named.
#[test]
fn a_format_may_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let opened = |said| {
        let wanted = Wanted { format: said, ..Wanted::default() };
        choice::load(&path, &wanted).map(|loaded| loaded.engine.facts().engine).map_err(|error| error.to_string())
    };
    let forest = xgboost::smallest().to_string();
    write(&forest);
    assert_eq!(opened(None), Ok("Trees"));
    assert_eq!(opened(Some(Format::XgBoost)), Ok("Trees"));
    for (said, parts) in [
        (Format::LightGbm, ["format says that it is LightGBM's, and its first bytes are XGBoost's", "leave format out"]),
        (Format::CatBoost, ["format says that it is CatBoost's, and its first bytes are XGBoost's", "not a model of CatBoost's"]),
        (Format::Onnx, ["format says that it is an .onnx file, and its first bytes are XGBoost's", "is not an ONNX file"]),
    ] {
        let refused = opened(Some(said)).unwrap_err();
        assert!(parts.iter().all(|part| refused.contains(part)) && refused.starts_with("invalid model: "), "{refused}");
    }
    // Other keys first: nothing that is known begins so.
    write(&forest.replacen('{', "{\"made\": \"by hand\", ", 1));
    assert!(opened(None).unwrap_err().contains("is not an ONNX file"));
    assert_eq!(opened(Some(Format::XgBoost)), Ok("Trees"));
    write("nothing of the kind");
    let refused = opened(Some(Format::XgBoost)).unwrap_err();
    assert!(refused.contains("its first bytes are not") && refused.contains("not a model of XGBoost's"), "{refused}");
}
