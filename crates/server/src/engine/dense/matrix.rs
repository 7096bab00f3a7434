//! A product of rows with a fixed matrix and a bias: the weights packed once at load, in the order in which they are read.
//!
//! Columns are grouped into panels of a few vectors; of each panel all depths lie behind one another. A tile of rows keeps its
//! sums of one panel in registers while it runs over the depth once. The widest vectors of the processor are found at load.

use pulp::{Arch, Simd, WithSimd};

/// Vectors of a panel at most. With the rows of a tile they fill the registers: 4 x 3 or 2 x 6 sums, and their operands.
const PANEL: usize = 4;

/// What a vector of 64 bytes needs so as not to lie across two cache lines.
const ALIGNMENT: usize = 64;

/// An element of a row, as it came over the wire or as the layer before left it.
pub(super) trait Element: Copy {
    fn value(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// Little-endian, at any address.
impl Element for [u8; 4] {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_le_bytes(self)
    }
}

/// A matrix of `depth x width` and a bias of `width`, packed for this processor.
pub(super) struct Matrix {
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
    /// Packs `weights` (row-major, `depth x width`) and `bias` (`width`).
    pub(super) fn pack(weights: &[f32], bias: &[f32], depth: usize) -> Self {
        let arch = Arch::new();
        let (width, lanes) = (bias.len(), arch.dispatch(Lanes));
        let padded = width.next_multiple_of(lanes);
        let spare = ALIGNMENT / size_of::<f32>();
        let mut packed: Vec<f32> = Vec::with_capacity(padded * depth + spare);
        let begin = packed.as_ptr().align_offset(ALIGNMENT).min(spare);
        packed.resize(begin, 0.0);
        for panel in (0..padded).step_by(PANEL * lanes) {
            let end = padded.min(panel + PANEL * lanes);
            for row in weights.chunks_exact(width) {
                packed.extend_from_slice(&row[panel..end.min(width)]);
                packed.resize(packed.len() + end - end.min(width), 0.0);
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self { arch, depth, width, packed, begin, bias }
    }

    /// Elements of a row.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the product.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// `rows (count x depth) * weights + bias` into `product`, `count x width`.
    pub(super) fn multiply<T: Element>(&self, rows: &[T], count: usize, product: &mut Vec<f32>) {
        let padded = self.bias.len();
        product.resize(count * padded, 0.0);
        self.arch.dispatch(Product { matrix: self, rows, sums: product });
        if padded > self.width {
            for row in 1..count {
                product.copy_within(row * padded..row * padded + self.width, row * self.width);
            }
        }
        product.truncate(count * self.width);
    }
}

/// How many FP32 a vector holds.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// One product, compiled for each width of vectors.
struct Product<'a, T> {
    matrix: &'a Matrix,
    rows: &'a [T],
    /// `count x padded width`.
    sums: &'a mut [f32],
}

impl<T: Element> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { matrix, rows, sums } = self;
        let (weights, _) = S::as_simd_f32s(&matrix.packed[matrix.begin..]);
        let (bias, _) = S::as_simd_f32s(&matrix.bias);
        let (sums, _) = S::as_mut_simd_f32s(sums);
        let stride = bias.len();
        for from in (0..stride).step_by(PANEL) {
            let vectors = PANEL.min(stride - from);
            let weights = &weights[from * matrix.depth..(from + vectors) * matrix.depth];
            let panel = Panel { simd, weights, bias: &bias[from..from + vectors], depth: matrix.depth, stride };
            match vectors {
                4 => panel.run::<T, 4, 3>(rows, &mut sums[from..]),
                3 => panel.run::<T, 3, 4>(rows, &mut sums[from..]),
                2 => panel.run::<T, 2, 6>(rows, &mut sums[from..]),
                _ => panel.run::<T, 1, 6>(rows, &mut sums[from..]),
            }
        }
    }
}

/// One panel of the weights.
struct Panel<'a, S: Simd> {
    simd: S,
    weights: &'a [S::f32s],
    bias: &'a [S::f32s],
    depth: usize,
    /// Vectors from one row of sums to the next.
    stride: usize,
}

impl<S: Simd> Panel<'_, S> {
    /// All rows, `R` at a time, then those that are left.
    #[inline(always)]
    fn run<T: Element, const P: usize, const R: usize>(&self, mut rows: &[T], mut sums: &mut [S::f32s]) {
        while rows.len() >= R * self.depth {
            self.tile::<T, P, R, 1>(rows, sums);
            (rows, sums) = (&rows[R * self.depth..], sums.get_mut(R * self.stride..).unwrap_or_default());
        }
        while rows.len() >= 2 * self.depth {
            self.tile::<T, P, 2, 2>(rows, sums);
            (rows, sums) = (&rows[2 * self.depth..], sums.get_mut(2 * self.stride..).unwrap_or_default());
        }
        if rows.len() >= self.depth {
            self.tile::<T, P, 1, 4>(rows, sums);
        }
    }

    /// `R` rows. Where few rows leave registers free, `U` depths go into sums of their own, so that no addition waits for the
    /// one before.
    #[inline(always)]
    fn tile<T: Element, const P: usize, const R: usize, const U: usize>(&self, rows: &[T], sums: &mut [S::f32s]) {
        let simd = self.simd;
        let mut partial = [[[simd.splat_f32s(0.0); P]; R]; U];
        let weights = self.weights.as_chunks::<P>().0;
        let rows: [&[T]; R] = std::array::from_fn(|row| &rows[row * self.depth..][..weights.len()]);
        let (unrolled, rest) = weights.as_chunks::<U>();
        for (step, weights) in unrolled.iter().enumerate() {
            for (u, weights) in weights.iter().enumerate() {
                accumulate(simd, &mut partial[u], weights, rows.map(|row| row[step * U + u].value()));
            }
        }
        for (step, weights) in rest.iter().enumerate() {
            accumulate(simd, &mut partial[0], weights, rows.map(|row| row[unrolled.len() * U + step].value()));
        }
        for row in 0..R {
            for column in 0..P {
                let all = partial.iter().map(|partial| partial[row][column]);
                sums[row * self.stride + column] = all.fold(self.bias[column], |sum, one| simd.add_f32s(sum, one));
            }
        }
    }
}

/// Adds one depth: `sums[row][column] += elements[row] * weights[column]`.
#[inline(always)]
fn accumulate<S: Simd, const P: usize, const R: usize>(
    simd: S,
    sums: &mut [[S::f32s; P]; R],
    weights: &[S::f32s; P],
    elements: [f32; R],
) {
    for (column, weights) in weights.iter().enumerate() {
        for (sums, element) in sums.iter_mut().zip(elements) {
            sums[column] = simd.mul_add_e_f32s(simd.splat_f32s(element), *weights, sums[column]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn any_shape_is_multiplied(count in 1_usize..20, depth in 1_usize..40, width in 1_usize..150, seed in 0_usize..1000) {
            let (rows, weights, bias) = (numbers(count * depth, seed), numbers(depth * width, seed + 1), numbers(width, seed + 2));
            let expected = plain(&rows, &weights, &bias, depth);
            let matrix = Matrix::pack(&weights, &bias, depth);
            let mut product = vec![7.0; 3];
            matrix.multiply(&rows, count, &mut product);
            prop_assert_eq!(&product, &expected);
            let wire: Vec<[u8; 4]> = rows.iter().map(|value| value.to_le_bytes()).collect();
            matrix.multiply(&wire, count, &mut product);
            prop_assert_eq!(&product, &expected);
        }
    }
}
