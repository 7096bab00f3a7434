//! Operators of ours, beside tract's or in place of those that it answers wrongly: `ai.onnx.ml`, what is done with strings, and
//! ONNX Runtime's tokeniser.
//!
//! An operator is a [`kernel::Kernel`]: it reads its attributes once, says what it gives, and computes with whole tensors. All
//! of them are entered in [`OWN`]; the lint reads the same attributes, so that a file is refused with every reason at once.
//! Where the specification is silent or two readings exist, ONNX Runtime's answers are ours.

use std::sync::LazyLock;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::{InferenceOp, TractError, TractResult, expand};

mod affine;
mod alike;
mod attention;
mod binarizer;
mod bit_shift;
mod branches;
mod cast;
mod compress;
mod distances;
mod encoded_columns;
mod erf;
mod features;
mod imputer;
mod kernel;
mod knn_imputer;
mod label_encoder;
mod layer;
mod linear;
mod log_sum_exp;
mod lookup;
mod maps;
mod murmur;
mod normalizer;
mod numbers;
mod one_hot;
mod outcome;
mod pattern;
mod pieces;
mod recurrent;
pub(super) mod repair;
mod scaler;
mod sigmoid;
mod slice;
mod softmax;
mod softplus;
mod solve;
mod space_to_depth;
mod svm;
mod text;
mod tf_idf;
mod trees;

pub(super) use affine::Step;
use kernel::{Kernel, Own};

pub(super) use crate::engine::onnx::knn_imputer::DOMAIN;

use crate::engine::onnx::attributes::Attributes;

/// What [`super::fuse`] puts in the place of several nodes.
pub(super) const SQUARED_DISTANCES: &str = "SquaredDistances";
pub(super) const NEAREST: &str = "Nearest";
pub(super) const ENCODED_COLUMNS: &str = "EncodedColumns";
pub(super) const AFFINE: &str = "Affine";
pub(super) const LAYER: &str = "Layer";

/// One operator of ours.
pub(super) struct Entry {
    /// The domain, `ai.onnx` being the default one.
    pub(super) domain: &'static str,
    /// The operator.
    pub(super) name: &'static str,
    check: fn(&NodeProto) -> Result<(), String>,
    build: Build,
}

type Build = fn(&ParsingContext<'_>, &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// All operators of ours.
static OWN: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        ml::<binarizer::Binarizer>(),
        ml::<features::ArrayFeatureExtractor>(),
        ml::<features::FeatureVectorizer>(),
        ml::<imputer::Imputer>(),
        ml::<label_encoder::CategoryMapper>(),
        ml::<label_encoder::LabelEncoder>(),
        ml::<linear::LinearClassifier>(),
        ml::<linear::LinearRegressor>(),
        ml::<maps::CastMap>(),
        ml::<maps::DictVectorizer>(),
        ml::<normalizer::Normalizer>(),
        ml::<one_hot::OneHotEncoder>(),
        ml::<scaler::Scaler>(),
        ml::<svm::SvmClassifier>(),
        ml::<svm::SvmRegressor>(),
        entry::<pieces::StringSplit>("ai.onnx"),
        entry::<text::RegexFullMatch>("ai.onnx"),
        entry::<text::StringConcat>("ai.onnx"),
        entry::<text::StringNormalizer>("ai.onnx"),
        entry::<tf_idf::TfIdfVectorizer>("ai.onnx"),
        entry::<murmur::MurmurHash3>("com.microsoft"),
        entry::<pieces::Tokenizer>("com.microsoft"),
        Entry { build: cast::build, ..entry::<cast::CastText>("ai.onnx") },
        Entry { build: attention::build, ..entry::<attention::Attention>("ai.onnx") },
        entry::<bit_shift::BitShift>("ai.onnx"),
        entry::<compress::Compress>("ai.onnx"),
        entry::<knn_imputer::KnnImputer>(DOMAIN),
        entry::<solve::Solve>("com.microsoft"),
        entry::<distances::SquaredDistances>(DOMAIN),
        entry::<distances::Nearest>(DOMAIN),
        entry::<encoded_columns::EncodedColumns>(DOMAIN),
        entry::<affine::Affine>(DOMAIN),
        entry::<layer::Layer>(DOMAIN),
        entry::<space_to_depth::SpaceToDepth>("ai.onnx"),
        recurrent::entry("LSTM"),
        recurrent::entry("GRU"),
        recurrent::entry("RNN"),
        rebuilt(softmax::Softmax::NAME, softmax::build),
        rebuilt(softmax::LOG_NAME, softmax::build_log),
        rebuilt(branches::NAME, branches::build),
        rebuilt(log_sum_exp::NAME, log_sum_exp::build),
        rebuilt(sigmoid::NAME, sigmoid::build),
        rebuilt(erf::NAME, erf::build),
        rebuilt(slice::NAME, slice::build),
        rebuilt(softplus::NAME, softplus::build),
    ]
});

const fn ml<K: Kernel>() -> Entry {
    entry::<K>("ai.onnx.ml")
}

const fn entry<K: Kernel>(domain: &'static str) -> Entry {
    Entry { domain, name: K::NAME, check: check::<K>, build: build::<K> }
}

/// An operator of tract's that is wired anew.
const fn rebuilt(name: &'static str, build: Build) -> Entry {
    Entry { domain: "ai.onnx", name, check: |_| Ok(()), build }
}

fn check<K: Kernel>(node: &NodeProto) -> Result<(), String> {
    K::read(&Attributes::of(node)).map(drop)
}

fn build<K: Kernel>(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let kernel = K::read(&Attributes::of(node)).map_err(TractError::msg)?;
    Ok((expand(Own::new(kernel, &context.template.symbols)), Vec::new()))
}

/// Enters our operators among tract's; where both have one, ours is taken.
pub(super) fn register(operators: &mut OnnxOpRegister) {
    for own in OWN.iter() {
        operators.insert(own.name, own.build);
    }
    trees::register(operators);
}

/// Our operator for a node of `domain`.
pub(super) fn find(domain: &str, name: &str) -> Option<&'static Entry> {
    OWN.iter().find(|own| own.name == name && own.domain == domain)
}

impl Entry {
    /// What is wrong with the node's attributes, if anything is.
    pub(super) fn fault(&self, node: &NodeProto) -> Option<String> {
        (self.check)(node).err()
    }
}
