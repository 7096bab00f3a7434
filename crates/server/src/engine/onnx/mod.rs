//! Reading ONNX files, whatever engine runs them: within bounds, checked, never trusted.

pub(in crate::engine) mod attributes;
mod cycle;
pub(in crate::engine) mod declared;
mod dequantise;
pub(in crate::engine) mod facts;
pub(in crate::engine) mod file;
mod functions;
pub(in crate::engine) mod hints;
pub(in crate::engine) mod knn_imputer;
pub(in crate::engine) mod labels;
pub(in crate::engine) mod maps;
pub(in crate::engine) mod scope;
mod sequences;
pub(in crate::engine) mod trees;
pub(in crate::engine) mod values;
pub(in crate::engine) mod versions;
pub(in crate::engine) mod view;
pub(in crate::engine) mod weights;
pub(in crate::engine) mod windows;
pub(in crate::engine) mod zipmap;
