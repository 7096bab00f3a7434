//! What computes a model, and how far it is trusted while it loads.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What computes a model, and how it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// Which engine computes a model. `Tract`: the engines within the server, which are tract and our own for trees and chains of dense
    /// layers. `OnnxRuntime`: Microsoft's, which knows every operator; the server's image is then the larger one with that library.
    /// `Auto`: the engines within the server; and where the image has ONNX Runtime, that one for models that they refuse, or that a short
    /// measurement at load finds it to run at least a quarter faster. The model's metadata and the log say which it is, and why.
    #[serde(default)]
    pub name: EngineName,
    /// What a model goes through before the server takes it in. `Process`: it is loaded and run once in a process of its own, with
    /// bounds on memory and processor time and without a network, so that a file made to crash an engine, or to eat the machine,
    /// harms nobody. `None`: it is loaded at once, which saves that process; for stores whose files you vouch for.
    #[serde(default)]
    pub isolation: Isolation,
    /// Whether a model must agree with itself before it is ready. `Enabled`: on made-up inputs it is computed twice, by the plan that
    /// answers requests and by one that nothing was optimised in, and by ONNX Runtime where `Auto` has that one too; a model whose answers
    /// differ is ModelUnsupported, with how much and where. It takes a share of the time that loading takes, a second at most, and is left
    /// out for large models. `Disabled`: nothing is compared.
    #[serde(default)]
    pub self_check: SelfCheck,
}

/// Which engine computes a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EngineName {
    /// What runs the model, and runs it fastest.
    #[default]
    Auto,
    /// Those within the server.
    Tract,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// What a model goes through before the server takes it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Isolation {
    /// It is loaded and run once in a process of its own first.
    #[default]
    Process,
    /// It is loaded at once.
    None,
}

/// Whether a model must agree with itself before it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelfCheck {
    /// It is computed in more than one way on made-up inputs first.
    #[default]
    Enabled,
    /// Nothing is compared.
    Disabled,
}

/// Whether a value says nothing: it stays out of what names a revision.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
