//! Kernel functions: how alike a row and a support vector are.

use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::tract::ops::numbers::{exact_dot, squared_distance};

/// A kernel function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Function {
    kind: Kind,
    gamma: f64,
    coef0: f64,
    degree: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

impl Function {
    /// The plain dot product.
    pub(super) const LINEAR: Self = Self { kind: Kind::Linear, gamma: 0.0, coef0: 0.0, degree: 0.0 };

    /// Reads `kernel_type` and `kernel_params`: gamma, coef0, degree.
    pub(super) fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let kind = match attributes.text("kernel_type", "LINEAR")? {
            "LINEAR" => Kind::Linear,
            "POLY" => Kind::Poly,
            "RBF" => Kind::Rbf,
            "SIGMOID" => Kind::Sigmoid,
            other => return Err(format!("attribute kernel_type is '{other}'; expected LINEAR, POLY, RBF or SIGMOID")),
        };
        match *attributes.floats("kernel_params")? {
            [gamma, coef0, degree] => {
                Ok(Self { kind, gamma: f64::from(gamma), coef0: f64::from(coef0), degree: f64::from(degree) })
            }
            [] if kind == Kind::Linear => Ok(Self::LINEAR),
            [] => Ok(Self { kind, ..Self::LINEAR }),
            ref other => Err(format!("attribute kernel_params has {} values; expected gamma, coef0 and degree", other.len())),
        }
    }

    /// K(a, b), in 64 bits: the sum over the support vectors takes most digits away again.
    pub(super) fn of(self, a: &[f32], b: &[f32]) -> f64 {
        match self.kind {
            Kind::Linear => exact_dot(a, b),
            Kind::Poly => (self.gamma * exact_dot(a, b) + self.coef0).powf(self.degree),
            Kind::Rbf => (-self.gamma * squared_distance(a, b)).exp(),
            Kind::Sigmoid => (self.gamma * exact_dot(a, b) + self.coef0).tanh(),
        }
    }
}
