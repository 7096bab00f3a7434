//! Kernel functions: how alike a row and a support vector are.

use crate::engine::onnx::attributes::{Attributes, Wrong};

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

    /// Whether it is of the square of the distance of two vectors, or else of their dot product.
    pub(super) fn is_of_distances(self) -> bool {
        self.kind == Kind::Rbf
    }

    /// The function of each of these dot products, or squares of distances.
    pub(super) fn apply(self, values: &mut [f64]) {
        match self.kind {
            Kind::Linear => {}
            Kind::Poly => values.iter_mut().for_each(|x| *x = self.power(self.gamma * *x + self.coef0)),
            Kind::Rbf => values.iter_mut().for_each(|x| *x = (-self.gamma * *x).exp()),
            Kind::Sigmoid => values.iter_mut().for_each(|x| *x = (self.gamma * *x + self.coef0).tanh()),
        }
    }

    /// `base^degree`; of whole degrees, as nearly all are, by products.
    fn power(self, base: f64) -> f64 {
        const MOST: f64 = 16.0;
        if self.degree == 3.0 {
            return base * base * base;
        }
        if self.degree.fract() == 0.0 && self.degree.abs() <= MOST {
            return base.powi(self.degree as i32);
        }
        base.powf(self.degree)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Functions to test with.
    pub(in crate::engine::tract::ops::svm) const LINEAR: Function = Function::LINEAR;
    pub(in crate::engine::tract::ops::svm) const RBF: Function =
        Function { kind: Kind::Rbf, gamma: 0.5, coef0: 0.0, degree: 0.0 };

    #[test]
    fn powers_of_any_degree() {
        for degree in [0.0, 1.0, 2.0, 3.0, 4.0, -2.0, 2.5, 17.0] {
            let function = Function { kind: Kind::Poly, gamma: 0.5, coef0: 1.0, degree };
            let mut values = [-3.0, 0.0, 1.0, 7.0];
            function.apply(&mut values);
            for (x, found) in [-3.0_f64, 0.0, 1.0, 7.0].into_iter().zip(values) {
                let expected = (0.5 * x + 1.0).powf(degree);
                let near = (found - expected).abs() <= 1e-14 * expected.abs() || (found.is_nan() && expected.is_nan());
                assert!(near, "{x} to {degree}: {found}, expected {expected}");
            }
        }
    }
}
