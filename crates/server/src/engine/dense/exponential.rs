//! The exponential function on vectors. With `x = n ln 2 + r`, `n` whole and `|r| <= ln 2 / 2`, `e^x` is `2^n e^r`; of `e^r - 1` a polynomial
//! of the sixth degree is taken, whose error (2.6e-8 of the value) is below half a last digit of FP32.

use pulp::Simd;

/// Below it `e^x` is below the least normal number, and counts as 0.
const LEAST: f32 = -87.336_54;

/// Above it `2^n` would overflow; what is greater counts as this.
const GREATEST: f32 = 88.376_26;

/// 1.5 x 2^23: a small number added to it is rounded to a whole one, which the low bits hold.
const ROUNDING: f32 = 12_582_912.0;

/// ln 2 in two parts; products of the first with `n` are exact.
const LN_2: [f32; 2] = [0.693_359_4, -0.000_212_194_44];

/// Of `(e^r - 1 - r) / r^2`, from the highest degree down: fitted at the nodes of Chebyshev's polynomials.
const COEFFICIENTS: [f32; 5] = [0.001_392_618_4, 0.008_363_179, 0.041_666_556, 0.166_665_76, 0.5];

/// `2^n` and `e^r - 1` for each `x`. NaN stays NaN.
#[inline(always)]
fn parts<S: Simd>(simd: S, x: S::f32s) -> [S::f32s; 2] {
    // Comparisons, not `max` and `min`, which would turn NaN into a number.
    let x = simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(LEAST)), simd.splat_f32s(LEAST), x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, simd.splat_f32s(GREATEST)), simd.splat_f32s(GREATEST), x);
    let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUNDING));
    let n = simd.sub_f32s(rounded, simd.splat_f32s(ROUNDING));
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[0]), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[1]), r);
    let mut series = simd.splat_f32s(0.0);
    for next in COEFFICIENTS {
        series = simd.mul_add_e_f32s(series, r, simd.splat_f32s(next));
    }
    // An exponent is kept with 127 added to it, above 23 bits of mantissa.
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(127));
    let scale = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)));
    [scale, simd.mul_add_e_f32s(simd.mul_f32s(r, r), series, r)]
}

/// `e^x`.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let [scale, less_one] = parts(simd, x);
    let vanishes = simd.less_than_f32s(x, simd.splat_f32s(LEAST));
    simd.select_f32s(vanishes, simd.splat_f32s(0.0), simd.mul_add_e_f32s(scale, less_one, scale))
}

/// `e^x - 1`, with all its digits near 0 too.
#[inline(always)]
pub(super) fn exp_m1<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let [scale, less_one] = parts(simd, x);
    simd.mul_add_e_f32s(scale, less_one, simd.sub_f32s(scale, simd.splat_f32s(1.0)))
}
