//! Fixed points, packed for the processor, and how far rows are from all of them: the difference of each column, squared and added up.

use std::fmt::Debug;
use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use tract_onnx::tract_hir::internal::Datum;

/// Rows that go over a panel together, so that it is read once for all of them.
pub(super) const TILE: usize = 4;

/// Vectors of the processor in a panel: with the rows of a tile their sums fill half the registers.
const fn panel(registers: usize) -> usize {
    if registers < 32 { 2 } else { 4 }
}

/// FP32 or FP64, and its vectors.
pub(super) trait Real: Datum + Copy + Debug + Default + PartialOrd {
    type Vector<S: Simd>: Copy;

    fn inverse(self) -> Self;
    fn is_finite(self) -> bool;
    fn lanes<S: Simd>() -> usize;
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn subtract<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn multiply<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a * b + c`.
    fn multiply_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    fn root<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
}

macro_rules! real {
    ($real:ty, $vector:ident, $lanes:ident, $as:ident, $as_mut:ident, $splat:ident, $sub:ident, $mul:ident, $mul_add:ident, $sqrt:ident) => {
        impl Real for $real {
            type Vector<S: Simd> = S::$vector;

            fn inverse(self) -> Self {
                1.0 / self
            }
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$as(values).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut(values).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn subtract<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn multiply<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn root<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                simd.$sqrt(a)
            }
        }
    };
}

real!(f32, f32s, F32_LANES, as_simd_f32s, as_mut_simd_f32s, splat_f32s, sub_f32s, mul_f32s, mul_add_e_f32s, sqrt_f32s);
real!(f64, f64s, F64_LANES, as_simd_f64s, as_mut_simd_f64s, splat_f64s, sub_f64s, mul_f64s, mul_add_e_f64s, sqrt_f64s);

/// Points in panels of so many that they fill some vectors of the processor; of each panel all columns lie behind one another.
#[derive(Debug)]
pub(super) struct Packed<T> {
    arch: Arch,
    pub(super) columns: usize,
    pub(super) count: usize,
    points: Vec<T>,
    /// What squares are multiplied by; empty where by nothing.
    weights: Vec<T>,
}

/// How many points a panel has.
struct Group<T>(PhantomData<T>);

impl<T: Real> WithSimd for Group<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        T::lanes::<S>() * panel(S::REGISTER_COUNT)
    }
}

impl<T: Real> Packed<T> {
    /// Packs points, row-major, and as many weights or none.
    pub(super) fn pack(arch: Arch, (points, weights): (&[T], &[T]), columns: usize) -> Self {
        let (count, group) = (points.len() / columns, arch.dispatch(Group::<T>(PhantomData)));
        let panels = |all: &[T]| -> Vec<T> {
            let at = |point: usize, column: usize| all.get(point * columns + column).copied().unwrap_or_default();
            let column = |first: usize, column: usize| (first..first + group).map(move |point| at(point, column));
            let panel = |first: usize| (0..columns).flat_map(move |at| column(first, at));
            if all.is_empty() { Vec::new() } else { (0..count).step_by(group).flat_map(panel).collect() }
        };
        Self { arch, columns, count, points: panels(points), weights: panels(weights) }
    }

    /// Values of a row of distances: those of all points, and some that mean nothing.
    pub(super) const fn padded(&self) -> usize {
        self.points.len() / self.columns
    }

    /// The distances of `rows` to all points, rows x padded.
    pub(super) fn measure(&self, rows: &[T], root: bool, distances: &mut [T]) {
        self.arch.dispatch(Pass { packed: self, rows, root, distances });
    }
}

struct Pass<'a, T> {
    packed: &'a Packed<T>,
    rows: &'a [T],
    root: bool,
    distances: &'a mut [T],
}

impl<T: Real> WithSimd for Pass<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT < 32 { self.run::<S, 2>(simd) } else { self.run::<S, 4>(simd) }
    }
}

impl<T: Real> Pass<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, simd: S) {
        let Self { packed: Packed { columns, points, weights, .. }, rows, root, distances } = self;
        let (points, weights) = (T::vectors::<S>(points).as_chunks::<P>().0, T::vectors::<S>(weights).as_chunks::<P>().0);
        let values = T::vectors_mut::<S>(distances);
        let stride = points.len() / columns * P;
        let tiles = rows.len() / columns / TILE * TILE;
        for (at, points) in points.chunks_exact(*columns).enumerate() {
            let weights = weights.get(at * columns..(at + 1) * columns);
            for (tile, rows) in rows.chunks_exact(TILE * columns).enumerate() {
                let values = &mut values[tile * TILE * stride + at * P..];
                tile_of::<T, S, P, TILE>(simd, (points, weights), rows, (values, stride));
            }
            for (row, values) in rows.chunks_exact(*columns).zip(values.chunks_exact_mut(stride)).skip(tiles) {
                tile_of::<T, S, P, 1>(simd, (points, weights), row, (&mut values[at * P..], stride));
            }
        }
        if root {
            for value in values {
                *value = T::root(simd, *value);
            }
        }
    }
}

/// The columns of a panel's points, or of their weights.
type Panel<'a, T, S, const P: usize> = &'a [[<T as Real>::Vector<S>; P]];

/// `R` rows over one panel.
#[inline(always)]
fn tile_of<T: Real, S: Simd, const P: usize, const R: usize>(
    simd: S,
    (points, weights): (Panel<'_, T, S, P>, Option<Panel<'_, T, S, P>>),
    rows: &[T],
    (values, stride): (&mut [T::Vector<S>], usize),
) {
    let rows: [&[T]; R] = std::array::from_fn(|row| &rows[row * points.len()..][..points.len()]);
    let mut sums = [[T::splat(simd, T::default()); P]; R];
    if let Some(weights) = weights {
        for (at, (points, weights)) in points.iter().zip(weights).enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let element = T::splat(simd, row[at]);
                for ((sum, point), weight) in sums.iter_mut().zip(points).zip(weights) {
                    let apart = T::subtract(simd, element, *point);
                    *sum = T::multiply_add(simd, T::multiply(simd, apart, apart), *weight, *sum);
                }
            }
        }
    } else {
        for (at, points) in points.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let element = T::splat(simd, row[at]);
                for (sum, point) in sums.iter_mut().zip(points) {
                    let apart = T::subtract(simd, element, *point);
                    *sum = T::multiply_add(simd, apart, apart, *sum);
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        values[row * stride..][..P].copy_from_slice(sums);
    }
}
