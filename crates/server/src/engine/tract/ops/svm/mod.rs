//! Support vector machines, as libsvm writes them: Chang and Lin, "LIBSVM: a library for support vector machines" (2011).

mod classifier;
mod function;
mod platt;
mod regressor;
mod vectors;

pub(super) use classifier::SvmClassifier;
pub(super) use regressor::SvmRegressor;
