//! The activations of recurrent nets, by ONNX's names.

use crate::engine::onnx::attributes::{Attributes, Wrong};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Affine(f32, f32),
    Elu(f32),
    HardSigmoid(f32, f32),
    LeakyRelu(f32),
    Relu,
    ScaledTanh(f32, f32),
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu(f32),
}

/// The parameters that are left for the activations that follow.
struct Parameters<'a> {
    alpha: &'a [f32],
    beta: &'a [f32],
}

impl Parameters<'_> {
    fn next(list: &mut &[f32], default: Option<f32>, wanted: &str) -> Result<f32, Wrong> {
        match (list.split_first(), default) {
            (Some((first, rest)), _) => {
                *list = rest;
                Ok(*first)
            }
            (None, Some(default)) => Ok(default),
            (None, None) => Err(format!("{wanted} is not given")),
        }
    }

    fn alpha(&mut self, default: Option<f32>) -> Result<f32, Wrong> {
        Self::next(&mut self.alpha, default, "a value of activation_alpha")
    }

    fn beta(&mut self, default: Option<f32>) -> Result<f32, Wrong> {
        Self::next(&mut self.beta, default, "a value of activation_beta")
    }
}

impl Activation {
    /// Those of a node for each of its directions; `usual` where it names none.
    pub(super) fn read(attributes: &Attributes<'_>, usual: &[Self], directions: usize) -> Result<Vec<Vec<Self>>, Wrong> {
        let names = attributes.texts("activations")?;
        if names.is_empty() {
            return Ok(vec![usual.to_vec(); directions]);
        }
        let (expected, found) = (usual.len() * directions, names.len());
        if found != expected {
            return Err(format!("attribute activations has {found} names; expected {expected}"));
        }
        let mut parameters =
            Parameters { alpha: attributes.floats("activation_alpha")?, beta: attributes.floats("activation_beta")? };
        let all = names.iter().map(|name| Self::named(name, &mut parameters)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.chunks(usual.len()).map(<[Self]>::to_vec).collect())
    }

    fn named(name: &str, parameters: &mut Parameters<'_>) -> Result<Self, Wrong> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "affine" => Self::Affine(parameters.alpha(None)?, parameters.beta(None)?),
            "elu" => Self::Elu(parameters.alpha(Some(1.0))?),
            "hardsigmoid" => Self::HardSigmoid(parameters.alpha(Some(0.2))?, parameters.beta(Some(0.5))?),
            "leakyrelu" => Self::LeakyRelu(parameters.alpha(Some(0.01))?),
            "relu" => Self::Relu,
            "scaledtanh" => Self::ScaledTanh(parameters.alpha(None)?, parameters.beta(None)?),
            "sigmoid" => Self::Sigmoid,
            "softplus" => Self::Softplus,
            "softsign" => Self::Softsign,
            "tanh" => Self::Tanh,
            "thresholdedrelu" => Self::ThresholdedRelu(parameters.alpha(Some(1.0))?),
            _ => return Err(format!("activation '{name}' is unknown")),
        })
    }

    /// The function.
    pub(super) fn of(self, x: f32) -> f32 {
        match self {
            Self::Affine(alpha, beta) => alpha * x + beta,
            Self::Elu(alpha) => {
                if x < 0.0 {
                    alpha * x.exp_m1()
                } else {
                    x
                }
            }
            Self::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Self::LeakyRelu(alpha) => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Self::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Self::ScaledTanh(alpha, beta) => alpha * (beta * x).tanh(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            // ln(1 + e^x) without overflow.
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Tanh => x.tanh(),
            Self::ThresholdedRelu(alpha) => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
        }
    }
}
