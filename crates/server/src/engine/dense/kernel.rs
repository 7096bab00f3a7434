//! The product itself: a tile of rows keeps its sums of one panel of columns in registers while it runs over the depth once.
//!
//! A step of the depth reads as many weights as a panel has vectors and one element of each row, and makes the product of both numbers; so
//! tiles are as high as the registers allow. Of many rows the heights differ by one at most, since a low tile at the end would
//! take as long as a high one. The layer's first ReLU is applied on the way out of the registers.

use pulp::{Simd, WithSimd};

use super::activation::{Activation, relu};
use super::matrix::{Matrix, Rows};

/// Vectors of a panel at most, by the processor's vector registers.
pub(super) const fn panel(registers: usize) -> usize {
    if registers < 32 { 2 } else { 4 }
}

/// Rows of a tile at most. The sums and what is added to them fill the registers; with 6 rows of 4 vectors the compiler keeps some
/// of them in memory.
const fn height(registers: usize, vectors: usize) -> usize {
    let sums = if registers < 32 { 12 } else { 20 };
    if sums / vectors < 8 { sums / vectors } else { 8 }
}

/// One layer for some rows, compiled for each width of vectors.
pub(super) struct Pass<'a> {
    pub(super) matrix: &'a Matrix,
    pub(super) rows: Rows<'a>,
    pub(super) activations: &'a [Activation],
    /// Rows x the matrix's padded width.
    pub(super) values: &'a mut [f32],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { matrix, rows, activations, values } = self;
        let (weights, _) = S::as_simd_f32s(matrix.weights());
        let (bias, _) = S::as_simd_f32s(matrix.bias());
        let (values, _) = S::as_mut_simd_f32s(values);
        let (stride, depth) = (bias.len(), matrix.depth());
        let (relu, rest) = match activations {
            [Activation::Relu, rest @ ..] => (true, rest),
            all => (false, all),
        };
        let widest = panel(S::REGISTER_COUNT);
        for from in (0..stride).step_by(widest) {
            let end = stride.min(from + widest);
            let panel = Panel { simd, weights: &weights[from * depth..end * depth], bias: &bias[from..end], stride, relu };
            let values = &mut values[from..];
            match end - from {
                4 if S::REGISTER_COUNT >= 32 => panel.run::<4>(rows, values),
                3 if S::REGISTER_COUNT >= 32 => panel.run::<3>(rows, values),
                2 => panel.run::<2>(rows, values),
                _ => panel.run::<1>(rows, values),
            }
        }
        for activation in rest {
            activation.apply(simd, values, matrix.width());
        }
    }
}

/// One panel of the weights.
struct Panel<'a, S: Simd> {
    simd: S,
    weights: &'a [S::f32s],
    bias: &'a [S::f32s],
    /// Vectors from one row of values to the next.
    stride: usize,
    relu: bool,
}

/// A tile of as many rows as names are given. Each row's sums are a variable of their own: of one array for all the compiler would keep a
/// copy in memory, and write it at every step.
macro_rules! tile {
    ($name:ident, $($at:literal $sums:ident),*) => {
        #[inline(always)]
        fn $name<const P: usize>(&self, (elements, stride): (&[[u8; 4]], usize), values: &mut [S::f32s]) {
            let weights = self.weights.as_chunks::<P>().0;
            let rows = [$(&elements[$at * stride..][..weights.len()]),*];
            $(let mut $sums = [self.simd.splat_f32s(0.0); P];)*
            for (at, weights) in weights.iter().enumerate() {
                $(accumulate(self.simd, &mut $sums, weights, rows[$at][at]);)*
            }
            $(self.finish(&$sums, &mut values[$at * self.stride..]);)*
        }
    };
}

impl<S: Simd> Panel<'_, S> {
    /// All rows, in tiles of about the same height.
    #[inline(always)]
    fn run<const P: usize>(&self, rows: Rows<'_>, values: &mut [S::f32s]) {
        let most = const { height(S::REGISTER_COUNT, P) };
        let mut at = 0;
        for left in (1..=rows.count.div_ceil(most)).rev() {
            let tile = (rows.count - at).div_ceil(left);
            let part = (&rows.elements[at * rows.stride..], rows.stride);
            let values = &mut values[at * self.stride..];
            match tile {
                8 if most >= 8 => self.eight::<P>(part, values),
                7 if most >= 7 => self.seven::<P>(part, values),
                6 if most >= 6 => self.six::<P>(part, values),
                5 if most >= 5 => self.five::<P>(part, values),
                4 => self.four::<P>(part, values),
                3 => self.few::<P, 3, 2>(part, values),
                2 => self.few::<P, 2, 2>(part, values),
                _ => self.few::<P, 1, 4>(part, values),
            }
            at += tile;
        }
    }

    tile!(four, 0 a, 1 b, 2 c, 3 d);
    tile!(five, 0 a, 1 b, 2 c, 3 d, 4 e);
    tile!(six, 0 a, 1 b, 2 c, 3 d, 4 e, 5 f);
    tile!(seven, 0 a, 1 b, 2 c, 3 d, 4 e, 5 f, 6 g);
    tile!(eight, 0 a, 1 b, 2 c, 3 d, 4 e, 5 f, 6 g, 7 h);

    /// `R` rows. Few rows leave registers free: `U` depths go into sums of their own, so that no addition waits for the one before.
    #[inline(always)]
    fn few<const P: usize, const R: usize, const U: usize>(
        &self,
        (elements, stride): (&[[u8; 4]], usize),
        values: &mut [S::f32s],
    ) {
        let simd = self.simd;
        let mut partial = [[[simd.splat_f32s(0.0); P]; R]; U];
        let weights = self.weights.as_chunks::<P>().0;
        let rows: [&[[u8; 4]]; R] = std::array::from_fn(|row| &elements[row * stride..][..weights.len()]);
        let (unrolled, rest) = weights.as_chunks::<U>();
        for (step, weights) in unrolled.iter().enumerate() {
            for (u, weights) in weights.iter().enumerate() {
                for (sums, row) in partial[u].iter_mut().zip(rows) {
                    accumulate(simd, sums, weights, row[step * U + u]);
                }
            }
        }
        for (step, weights) in rest.iter().enumerate() {
            for (sums, row) in partial[0].iter_mut().zip(rows) {
                accumulate(simd, sums, weights, row[unrolled.len() * U + step]);
            }
        }
        for row in 0..R {
            let mut sums = partial[0][row];
            for more in &partial[1..] {
                for (sum, more) in sums.iter_mut().zip(&more[row]) {
                    *sum = simd.add_f32s(*sum, *more);
                }
            }
            self.finish(&sums, &mut values[row * self.stride..]);
        }
    }

    /// Bias and ReLU; then the sums are values.
    #[inline(always)]
    fn finish<const P: usize>(&self, sums: &[S::f32s; P], values: &mut [S::f32s]) {
        for ((value, sum), bias) in values.iter_mut().zip(sums).zip(self.bias) {
            let sum = self.simd.add_f32s(*sum, *bias);
            *value = if self.relu { relu(self.simd, sum) } else { sum };
        }
    }
}

/// Adds one depth of one row: `sums[column] += element * weights[column]`.
#[inline(always)]
fn accumulate<S: Simd, const P: usize>(simd: S, sums: &mut [S::f32s; P], weights: &[S::f32s; P], element: [u8; 4]) {
    let element = simd.splat_f32s(f32::from_le_bytes(element));
    for (sum, weights) in sums.iter_mut().zip(weights) {
        *sum = simd.mul_add_e_f32s(element, *weights, *sum);
    }
}
