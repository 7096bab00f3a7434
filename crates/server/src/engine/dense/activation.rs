//! What is done to the values of a layer, element by element or row by row. Sources: ONNX's operators of the same names.

use pulp::Simd;

use super::exponential::{exp, exp_m1};

/// A function of a layer's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) enum Activation {
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

// No closures here: one that the compiler does not put in its place has none of the processor's vectors, and calls a function for each
// instruction.
impl Activation {
    /// Applies it to rows of `width` values, each row beginning a vector. What fills up a row's last vector is anything afterwards.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, simd: S, values: &mut [S::f32s], width: usize) {
        match self {
            Self::Relu => {
                for x in values {
                    *x = relu(simd, *x);
                }
            }
            Self::LeakyRelu(alpha) => {
                for x in values {
                    *x = where_negative(simd, *x, simd.mul_f32s(simd.splat_f32s(alpha), *x));
                }
            }
            Self::Elu(alpha) => {
                for x in values {
                    *x = where_negative(simd, *x, simd.mul_f32s(simd.splat_f32s(alpha), exp_m1(simd, *x)));
                }
            }
            Self::Sigmoid => {
                for x in values {
                    *x = sigmoid(simd, *x);
                }
            }
            Self::Tanh => {
                for x in values {
                    *x = tanh(simd, *x);
                }
            }
            Self::Softmax | Self::LogSoftmax => {
                let vectors = width.div_ceil(S::F32_LANES);
                let last = first_lanes(simd, width - (vectors - 1) * S::F32_LANES);
                for row in values.chunks_exact_mut(vectors) {
                    if self == Self::Softmax { softmax(simd, row, last) } else { log_softmax(simd, row, last) }
                }
            }
        }
    }
}

/// `negative` where `x` is below 0, and `x` elsewhere, which leaves NaN as it is.
#[inline(always)]
fn where_negative<S: Simd>(simd: S, x: S::f32s, negative: S::f32s) -> S::f32s {
    simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(0.0)), negative, x)
}

/// Not a maximum, which would turn NaN into 0 and hide it.
#[inline(always)]
pub(super) fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    where_negative(simd, x, simd.splat_f32s(0.0))
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// By `e^(-2 |x|) - 1`, which neither overflows nor loses digits near 0.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let less_one = exp_m1(simd, simd.mul_f32s(simd.splat_f32s(-2.0), simd.abs_f32s(x)));
    let negative = simd.div_f32s(less_one, simd.add_f32s(less_one, simd.splat_f32s(2.0)));
    let below = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    simd.select_f32s(below, negative, simd.neg_f32s(negative))
}

/// A mask of the first `count` lanes.
#[inline(always)]
fn first_lanes<S: Simd>(simd: S, count: usize) -> S::m32s {
    simd.mask_between_m32s(0, u32::try_from(count).unwrap_or(u32::MAX)).mask()
}

/// The greatest value of a row, of whose last vector only some lanes count.
#[inline(always)]
fn greatest<S: Simd>(simd: S, row: &[S::f32s], last: S::m32s) -> f32 {
    let mut most = simd.splat_f32s(f32::NEG_INFINITY);
    if let Some((end, whole)) = row.split_last() {
        most = simd.select_f32s(last, *end, most);
        for x in whole {
            most = simd.max_f32s(most, *x);
        }
    }
    simd.reduce_max_f32s(most)
}

/// `e^(x - max) / sum`: the greatest is taken off first, so that no exponential overflows.
#[inline(always)]
fn softmax<S: Simd>(simd: S, row: &mut [S::f32s], last: S::m32s) {
    let most = simd.splat_f32s(greatest(simd, row, last));
    let mut sum = simd.splat_f32s(0.0);
    if let Some((end, whole)) = row.split_last_mut() {
        *end = exp(simd, simd.sub_f32s(*end, most));
        sum = simd.select_f32s(last, *end, sum);
        for x in whole {
            *x = exp(simd, simd.sub_f32s(*x, most));
            sum = simd.add_f32s(sum, *x);
        }
    }
    let share = simd.splat_f32s(1.0 / simd.reduce_sum_f32s(sum));
    for x in row {
        *x = simd.mul_f32s(*x, share);
    }
}

/// `x - max - ln(sum of e^(x - max))`.
#[inline(always)]
fn log_softmax<S: Simd>(simd: S, row: &mut [S::f32s], last: S::m32s) {
    let most = simd.splat_f32s(greatest(simd, row, last));
    let mut sum = simd.splat_f32s(0.0);
    if let Some((end, whole)) = row.split_last() {
        sum = simd.select_f32s(last, exp(simd, simd.sub_f32s(*end, most)), sum);
        for x in whole {
            sum = simd.add_f32s(sum, exp(simd, simd.sub_f32s(*x, most)));
        }
    }
    let share = simd.splat_f32s(simd.reduce_sum_f32s(sum).ln());
    for x in row {
        *x = simd.sub_f32s(simd.sub_f32s(*x, most), share);
    }
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::super::matrix::tests::processors;
    use super::*;

    struct Apply<'a>(Activation, &'a [f32], usize);

    impl WithSimd for Apply<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(activation, values, width) = self;
            let padded = width.next_multiple_of(S::F32_LANES);
            let mut rows: Vec<f32> = values
                .chunks(width)
                .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(9.0, padded - width)))
                .collect();
            activation.apply(simd, S::as_mut_simd_f32s(&mut rows).0, width);
            rows.chunks(padded).flat_map(|row| &row[..width]).copied().collect()
        }
    }

    /// The same by the formula, in 64 bits.
    fn plain(activation: Activation, values: &[f32], width: usize) -> Vec<f64> {
        let values: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
        let each = |function: &dyn Fn(f64) -> f64| values.iter().map(|x| function(*x)).collect();
        let rows = |function: &dyn Fn(f64, f64) -> f64| {
            let row = |row: &[f64]| {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
                row.iter().map(|x| function(x - most, sum)).collect::<Vec<_>>()
            };
            values.chunks(width).flat_map(row).collect()
        };
        match activation {
            Activation::Relu => each(&|x| x.max(0.0)),
            Activation::LeakyRelu(alpha) => each(&|x| if x < 0.0 { f64::from(alpha) * x } else { x }),
            Activation::Elu(alpha) => each(&|x| if x < 0.0 { f64::from(alpha) * x.exp_m1() } else { x }),
            Activation::Sigmoid => each(&|x| 1.0 / (1.0 + (-x).exp())),
            Activation::Tanh => each(&f64::tanh),
            Activation::Softmax => rows(&|x, sum| x.exp() / sum),
            Activation::LogSoftmax => rows(&|x, sum| x - sum.ln()),
        }
    }

    const ALL: [Activation; 7] = [
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Elu(2.0),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softmax,
        Activation::LogSoftmax,
    ];

    #[test]
    fn each_by_its_formula() {
        // Near 0, where e^x - 1 is small, and far away, where e^x is nothing or too much.
        let values: Vec<f32> = (-120..120).flat_map(|at| [at as f32 * 1.01, at as f32 * 0.013, at as f32 * 1e-5]).collect();
        for arch in processors() {
            for activation in ALL {
                for width in [1, 3, 16, 45, 60] {
                    let found = arch.dispatch(Apply(activation, &values, width));
                    for ((x, a), b) in values.iter().zip(&found).zip(plain(activation, &values, width)) {
                        // Of a row what counts is the difference of two numbers, which is as exact as they are.
                        let most = match activation {
                            Activation::Softmax | Activation::LogSoftmax => 4e-7 * b.abs().max(1.0),
                            _ => 4e-7 * b.abs() + 1e-37,
                        };
                        let near = (f64::from(*a) - b).abs() <= most;
                        assert!(near, "{arch:?} {activation:?}, rows of {width}: of {x} {a}, expected {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_are_apart_and_nan_and_infinities_stay() {
        for arch in processors() {
            let applied = |activation, values: &[f32], width| arch.dispatch(Apply(activation, values, width));
            assert_eq!(applied(Activation::Softmax, &[5.0, 5.0, -7.0, -7.0], 2), [0.5; 4]);
            for activation in ALL {
                assert!(applied(activation, &[f32::NAN, 1.0], 2)[0].is_nan(), "{arch:?} {activation:?}");
            }
            assert_eq!(applied(Activation::Sigmoid, &[f32::INFINITY, f32::NEG_INFINITY], 2)[0], 1.0);
            assert!(applied(Activation::Sigmoid, &[f32::NEG_INFINITY], 1)[0] < 1e-37);
            assert_eq!(applied(Activation::Tanh, &[f32::INFINITY, f32::NEG_INFINITY], 2), [1.0, -1.0]);
            assert_eq!(applied(Activation::Softmax, &[0.0, f32::NEG_INFINITY, -200.0], 3), [1.0, 0.0, 0.0]);
        }
    }
}
