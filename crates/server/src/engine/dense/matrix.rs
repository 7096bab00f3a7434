//! A product of rows with a fixed matrix and a bias: the weights packed once at load, in the order in which they are read.
//!
//! Columns are grouped into panels of a few vectors; of each panel all depths lie behind one another. The widest vectors of the processor
//! are found at load. Between two layers each row begins a vector: it is as long as the columns filled up to whole vectors.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::activation::Activation;
use super::kernel::{Pass, panel};

/// What a vector of 64 bytes needs so as not to lie across two cache lines.
const ALIGNMENT: usize = 64;

/// Rows of FP32, little-endian, at any address: as they came over the wire, or as the layer before left them.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Rows<'a> {
    pub(in crate::engine) elements: &'a [[u8; 4]],
    pub(in crate::engine) count: usize,
    /// Elements from one row to the next.
    pub(in crate::engine) stride: usize,
}

// Or else the values of a layer would not be what the next one reads.
const _: () = assert!(cfg!(target_endian = "little"));

impl<'a> Rows<'a> {
    /// What a layer has left.
    pub(in crate::engine) fn of(values: &'a [f32], count: usize, stride: usize) -> Self {
        Self { elements: bytemuck::cast_slice(values), count, stride }
    }
}

/// A matrix of `depth x width` and a bias of `width`, packed for this processor.
#[derive(Debug)]
pub(in crate::engine) struct Matrix {
    arch: Arch,
    depth: usize,
    width: usize,
    /// Panel by panel; the first element is at `begin`.
    packed: Vec<f32>,
    begin: usize,
    /// Zero in the columns that fill up the last vector.
    bias: Vec<f32>,
}

impl Matrix {
    /// Packs `weights` (row-major, `depth x width`) and `bias` (`width`) for a processor.
    pub(in crate::engine) fn pack(arch: Arch, (weights, bias): (&[f32], &[f32]), depth: usize) -> Self {
        let (width, (lanes, panel)) = (bias.len(), arch.dispatch(Form));
        let padded = width.next_multiple_of(lanes);
        let spare = ALIGNMENT / size_of::<f32>();
        let mut packed: Vec<f32> = Vec::with_capacity(padded * depth + spare);
        let begin = packed.as_ptr().align_offset(ALIGNMENT).min(spare);
        packed.resize(begin, 0.0);
        for from in (0..padded).step_by(panel * lanes) {
            let end = padded.min(from + panel * lanes);
            for row in weights.chunks_exact(width) {
                packed.extend_from_slice(&row[from..end.min(width)]);
                packed.resize(packed.len() + end - end.min(width), 0.0);
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self { arch, depth, width, packed, begin, bias }
    }

    /// Elements of a row.
    pub(in crate::engine) const fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the product.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// The same, filled up to whole vectors.
    pub(in crate::engine) const fn padded(&self) -> usize {
        self.bias.len()
    }

    /// Panel by panel.
    pub(super) fn weights(&self) -> &[f32] {
        &self.packed[self.begin..]
    }

    /// `padded` values.
    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// `rows (count x depth) * weights + bias`, and then the activations, into the first `count x padded` of `values`.
    pub(in crate::engine) fn run(&self, rows: Rows<'_>, activations: &[Activation], values: &mut [f32]) {
        let values = &mut values[..rows.count * self.padded()];
        if rows.count == 0 {
            return;
        }
        self.arch.dispatch(Pass { matrix: self, rows, activations, values });
    }

    /// One more activation, of what [`Matrix::run`] has left.
    pub(in crate::engine) fn activate(&self, activation: Activation, values: &mut [f32]) {
        self.arch.dispatch(Activate { activation, values, width: self.width });
    }
}

/// An activation by itself.
struct Activate<'a> {
    activation: Activation,
    values: &'a mut [f32],
    width: usize,
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.activation.apply(simd, S::as_mut_simd_f32s(self.values).0, self.width);
    }
}

/// How many FP32 a vector holds, and how many vectors a panel.
struct Form;

impl WithSimd for Form {
    type Output = (usize, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
        (S::F32_LANES, panel(S::REGISTER_COUNT))
    }
}

#[cfg(test)]
pub(in crate::engine) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vectors that this processor has, and none.
    pub(in crate::engine) fn processors() -> Vec<Arch> {
        #[cfg(target_arch = "x86_64")]
        let narrower = pulp::x86::V3::try_new().map(Arch::V3);
        #[cfg(not(target_arch = "x86_64"))]
        let narrower = None;
        [Arch::Scalar, Arch::new()].into_iter().chain(narrower).collect()
    }

    /// Numbers that differ, with few digits, so that sums are exact whatever their order.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7919 + seed * 104_729) % 64) as f32 / 8.0 - 4.0).collect()
    }

    fn plain(rows: &[f32], weights: &[f32], bias: &[f32], depth: usize) -> Vec<f32> {
        let width = bias.len();
        let row = |row: &[f32]| -> Vec<f32> {
            let column = |column: usize| (0..depth).map(|at| row[at] * weights[at * width + column]).sum::<f32>() + bias[column];
            (0..width).map(column).collect()
        };
        rows.chunks_exact(depth).flat_map(row).collect()
    }

    proptest! {
        #[test]
        fn any_shape_is_multiplied(count in 1_usize..40, depth in 1_usize..40, width in 1_usize..150, seed in 0_usize..1000) {
            let (rows, weights, bias) = (numbers(count * depth, seed), numbers(depth * width, seed + 1), numbers(width, seed + 2));
            let expected = plain(&rows, &weights, &bias, depth);
            for arch in processors() {
                let matrix = Matrix::pack(arch, (&weights, &bias), depth);
                let mut product = vec![7.0; count * matrix.padded() + 3];
                for relu in [false, true] {
                    let activations: &[Activation] = if relu { &[Activation::Relu] } else { &[] };
                    matrix.run(Rows::of(&rows, count, depth), activations, &mut product);
                    for (found, expected) in product.chunks_exact(matrix.padded()).zip(expected.chunks_exact(width)) {
                        let expected: Vec<f32> = expected.iter().map(|x| if relu { x.max(0.0) } else { *x }).collect();
                        prop_assert_eq!(&found[..width], &expected[..], "{:?}, relu {}", arch, relu);
                    }
                }
            }
        }
    }
}
