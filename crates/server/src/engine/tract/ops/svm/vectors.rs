//! Support vectors, packed for the processor, and how alike rows are to all of them, in 64 bits.

use pulp::{Arch, Simd, WithSimd};

use super::function::Function;

/// Rows that go over a panel together, so that it is read once for all of them.
const TILE: usize = 4;

/// Vectors of the processor in a panel: with the rows of a tile their sums fill half the registers.
const fn panel(registers: usize) -> usize {
    if registers < 32 { 2 } else { 4 }
}

/// The support vectors, in panels of so many that they fill some vectors of the processor; of each panel all features lie behind one
/// another.
#[derive(Debug)]
pub(super) struct Vectors {
    arch: Arch,
    features: usize,
    count: usize,
    packed: Vec<f64>,
}

impl Vectors {
    /// Packs vectors of so many features each, row-major.
    pub(super) fn pack(arch: Arch, vectors: &[f32], features: usize) -> Self {
        let (count, group) = (vectors.len() / features, arch.dispatch(Group));
        let padded = count.next_multiple_of(group);
        let mut packed = Vec::with_capacity(padded * features);
        for first in (0..padded).step_by(group) {
            for feature in 0..features {
                let element = |at: usize| vectors.get(at * features + feature).map_or(0.0, |value| f64::from(*value));
                packed.extend((first..first + group).map(element));
            }
        }
        Self { arch, features, count, packed }
    }

    /// Features of a vector.
    pub(super) const fn features(&self) -> usize {
        self.features
    }

    /// Values of a row that [`Vectors::alike`] makes: one for each vector, and some that mean nothing.
    pub(super) fn padded(&self) -> usize {
        self.packed.len() / self.features
    }

    /// How alike each of `rows` is to each vector, by a kernel function, into `values`: rows x padded. Sums are in 64 bits, since the
    /// sum over the support vectors takes most digits away again.
    pub(super) fn alike(&self, function: Function, rows: &[f32], values: &mut Vec<f64>) {
        let padded = self.padded();
        values.resize(rows.len() / self.features * padded, 0.0);
        self.arch.dispatch(Products { vectors: self, rows, distances: function.is_of_distances(), values });
        values.chunks_exact_mut(padded).for_each(|row| function.apply(&mut row[..self.count]));
    }
}

/// How many support vectors a panel has.
struct Group;

impl WithSimd for Group {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F64_LANES * panel(S::REGISTER_COUNT)
    }
}

/// The dot products of rows and vectors, or the squares of their distances.
struct Products<'a> {
    vectors: &'a Vectors,
    rows: &'a [f32],
    distances: bool,
    values: &'a mut [f64],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT < 32 { self.run::<S, 2>(simd) } else { self.run::<S, 4>(simd) }
    }
}

impl Products<'_> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S) {
        let Self { vectors: Vectors { features, packed, .. }, rows, distances, values } = self;
        let (packed, _) = S::as_simd_f64s(packed);
        let (values, _) = S::as_mut_simd_f64s(values);
        let stride = packed.len() / features;
        let tiles = rows.len() / features / TILE * TILE;
        for (at, panel) in packed.chunks_exact(P * features).enumerate() {
            let panel = panel.as_chunks::<P>().0;
            for (tile, rows) in rows.chunks_exact(TILE * features).enumerate() {
                let values = &mut values[tile * TILE * stride + at * P..];
                tile_of::<S, P, TILE>(simd, (panel, distances), rows, (values, stride));
            }
            for (row, values) in rows.chunks_exact(*features).zip(values.chunks_exact_mut(stride)).skip(tiles) {
                tile_of::<S, P, 1>(simd, (panel, distances), row, (&mut values[at * P..], stride));
            }
        }
    }
}

/// `R` rows over one panel.
#[inline(always)]
fn tile_of<S: Simd, const P: usize, const R: usize>(
    simd: S,
    (panel, distances): (&[[S::f64s; P]], bool),
    rows: &[f32],
    (values, stride): (&mut [S::f64s], usize),
) {
    let rows: [&[f32]; R] = std::array::from_fn(|row| &rows[row * panel.len()..][..panel.len()]);
    let mut sums = [[simd.splat_f64s(0.0); P]; R];
    if distances {
        for (at, vectors) in panel.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                add_distances(simd, sums, vectors, row[at]);
            }
        }
    } else {
        for (at, vectors) in panel.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                add_products(simd, sums, vectors, row[at]);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        values[row * stride..][..P].copy_from_slice(sums);
    }
}

#[inline(always)]
fn add_products<S: Simd, const P: usize>(simd: S, sums: &mut [S::f64s; P], vectors: &[S::f64s; P], element: f32) {
    let element = simd.splat_f64s(f64::from(element));
    for (sum, vector) in sums.iter_mut().zip(vectors) {
        *sum = simd.mul_add_e_f64s(element, *vector, *sum);
    }
}

#[inline(always)]
fn add_distances<S: Simd, const P: usize>(simd: S, sums: &mut [S::f64s; P], vectors: &[S::f64s; P], element: f32) {
    let element = simd.splat_f64s(f64::from(element));
    for (sum, vector) in sums.iter_mut().zip(vectors) {
        let off = simd.sub_f64s(element, *vector);
        *sum = simd.mul_add_e_f64s(off, off, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::super::function::tests::{LINEAR, RBF};
    use super::*;
    use crate::engine::dense::processors;

    /// Numbers that differ, with few digits, so that sums are exact whatever their order.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7919 + seed * 104_729) % 64) as f32 / 8.0 - 4.0).collect()
    }

    #[test]
    fn any_number_of_rows_and_vectors() {
        for (count, vectors, features) in [(1, 1, 1), (2, 5, 3), (4, 32, 20), (7, 33, 17), (9, 100, 64)] {
            let (rows, all) = (numbers(count * features, count), numbers(vectors * features, 1));
            for arch in processors() {
                let packed = Vectors::pack(arch, &all, features);
                for function in [LINEAR, RBF] {
                    let mut values = vec![7.0; 3];
                    packed.alike(function, &rows, &mut values);
                    assert_eq!(values.len(), count * packed.padded());
                    for (row, values) in rows.chunks_exact(features).zip(values.chunks_exact(packed.padded())) {
                        let expected: Vec<f64> = all
                            .chunks_exact(features)
                            .map(|vector| {
                                let pairs = row.iter().zip(vector).map(|(a, b)| (f64::from(*a), f64::from(*b)));
                                if function == RBF {
                                    (-0.5 * pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>()).exp()
                                } else {
                                    pairs.map(|(a, b)| a * b).sum()
                                }
                            })
                            .collect();
                        assert_eq!(&values[..vectors], &expected[..], "{arch:?} {function:?}");
                    }
                }
            }
        }
    }
}
