//! Operators of our own, registered with tract in the place of those that it lacks or answers wrongly.

use tract_onnx::model::OnnxOpRegister;

mod trees;

/// Operators of `ai.onnx.ml` that run: tract's own, and those registered here.
pub(super) const ML: &[&str] = &[
    "ArrayFeatureExtractor",
    "CategoryMapper",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
];

/// Registers them.
pub(super) fn register(register: &mut OnnxOpRegister) {
    trees::register(register);
}
