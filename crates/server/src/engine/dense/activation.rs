//! What is done to the values of a layer, element by element or row by row. Sources: ONNX's operators of the same names.

/// A function of a layer's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Relu,
    /// `x` above 0, `alpha x` below.
    LeakyRelu(f32),
    /// `x` above 0, `alpha (e^x - 1)` below.
    Elu(f32),
    Sigmoid,
    Tanh,
    /// Over each row.
    Softmax,
    /// Over each row.
    LogSoftmax,
}

impl Activation {
    /// Applies it to rows of `width` values.
    pub(super) fn apply(self, values: &mut [f32], width: usize) {
        match self {
            // Not `max`, which would turn NaN into 0 and hide it.
            Self::Relu => values.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
            Self::LeakyRelu(alpha) => values.iter_mut().for_each(|x| *x = if *x < 0.0 { alpha * *x } else { *x }),
            Self::Elu(alpha) => values.iter_mut().for_each(|x| *x = if *x < 0.0 { alpha * x.exp_m1() } else { *x }),
            Self::Sigmoid => values.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp())),
            Self::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
            Self::Softmax => values.chunks_exact_mut(width).for_each(softmax),
            Self::LogSoftmax => values.chunks_exact_mut(width).for_each(log_softmax),
        }
    }
}

/// `e^(x - max) / sum`: the greatest is taken off first, so that no exponential overflows.
fn softmax(row: &mut [f32]) {
    let greatest = greatest(row);
    row.iter_mut().for_each(|x| *x = (*x - greatest).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

/// `x - max - ln(sum of e^(x - max))`.
fn log_softmax(row: &mut [f32]) {
    let greatest = greatest(row);
    let sum: f32 = row.iter().map(|x| (*x - greatest).exp()).sum();
    row.iter_mut().for_each(|x| *x -= greatest + sum.ln());
}

fn greatest(row: &[f32]) -> f32 {
    row.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(activation: Activation, mut values: Vec<f32>, width: usize) -> Vec<f32> {
        activation.apply(&mut values, width);
        values
    }

    #[test]
    fn each_by_its_formula() {
        let e = std::f32::consts::E;
        for (activation, given, expected) in [
            (Activation::Relu, [-2.0, 0.0, 3.0], [0.0, 0.0, 3.0]),
            (Activation::LeakyRelu(0.1), [-2.0, 0.0, 3.0], [-0.2, 0.0, 3.0]),
            (Activation::Elu(2.0), [-1.0, 0.0, 3.0], [2.0 / e - 2.0, 0.0, 3.0]),
            (Activation::Sigmoid, [0.0, 1.0, -200.0], [0.5, e / (e + 1.0), 0.0]),
            (Activation::Tanh, [0.0, 0.5, -0.5], [0.0, 0.462_117_17, -0.462_117_17]),
            (Activation::Softmax, [0.0, 0.0, 200.0], [0.0, 0.0, 1.0]),
            (Activation::LogSoftmax, [1.0, 1.0, 1.0], [-1.098_612_3; 3]),
        ] {
            let found = applied(activation, given.to_vec(), 3);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{activation:?}: {found:?}");
        }
    }

    #[test]
    fn rows_are_apart_and_nan_stays() {
        let halves = applied(Activation::Softmax, vec![5.0, 5.0, -7.0, -7.0], 2);
        assert_eq!(halves, [0.5; 4]);
        for activation in [Activation::Relu, Activation::LeakyRelu(0.5), Activation::Softmax] {
            assert!(applied(activation, vec![f32::NAN, 1.0], 2)[0].is_nan(), "{activation:?}");
        }
    }
}
