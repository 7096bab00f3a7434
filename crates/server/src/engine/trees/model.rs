//! A whole tree model: the forest in its precision, and what its sums mean.

use super::describe::{Ensemble, Fault, Field};
use super::finish::Finish;
use super::forest::{Compact, Draft, Forest, Record, Wide};
use super::real::{Element, Real};
use super::walk::Work;

/// In which numbers values are compared with thresholds, and weights are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Precision {
    Single,
    Double,
}

/// A tree model that can be run.
pub(in crate::engine) struct Model {
    kernel: Kernel,
    finish: Finish,
    targets: usize,
}

enum Kernel {
    Compact(Forest<Compact>),
    Single(Forest<Wide<f32>>),
    Double(Forest<Wide<f64>>),
}

/// Rows of one width, one after another.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Rows<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    /// FP32 in little-endian bytes.
    Raw32(&'a [[u8; 4]]),
    /// FP64 in little-endian bytes.
    Raw64(&'a [[u8; 8]]),
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Answer {
    /// The index of each row's best class; empty for numbers.
    pub(in crate::engine) best: Vec<usize>,
    /// Row by row, [`Model::width`] values each.
    pub(in crate::engine) scores: Scores,
}

/// Values in the precision that they were computed in.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Scores {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Scores {
    /// Rounded to FP32.
    pub(in crate::engine) fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::F64(values) => values.into_iter().map(Real::to_f32).collect(),
        }
    }

    /// As FP64.
    pub(in crate::engine) fn into_f64(self) -> Vec<f64> {
        match self {
            Self::F32(values) => values.into_iter().map(Real::to_f64).collect(),
            Self::F64(values) => values,
        }
    }
}

impl Model {
    /// Checks an ensemble, for rows of `columns` values where that is known, and makes it ready.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub(in crate::engine) fn build(
        ensemble: &Ensemble,
        finish: Finish,
        precision: Precision,
        columns: Option<usize>,
    ) -> Result<Self, Fault> {
        let kernel = match precision {
            Precision::Double => Draft::of(ensemble, columns)?.pack().map(Kernel::Double),
            Precision::Single => {
                let draft = Draft::of(ensemble, columns)?;
                draft.pack().map(Kernel::Compact).or_else(|| draft.pack().map(Kernel::Single))
            }
        };
        let said = "the trees are too large".to_owned();
        let kernel = kernel.ok_or(Fault { node: None, field: Field::Trees, said })?;
        Ok(Self { kernel, finish, targets: ensemble.targets })
    }

    /// Values that a row must have at least.
    pub(in crate::engine) fn columns(&self) -> usize {
        let used = match &self.kernel {
            Kernel::Compact(forest) => &forest.used,
            Kernel::Single(forest) => &forest.used,
            Kernel::Double(forest) => &forest.used,
        };
        used.last().map_or(0, |last| last + 1)
    }

    /// Values of a row's answer.
    pub(in crate::engine) const fn width(&self) -> usize {
        self.finish.width(self.targets)
    }

    /// Answers rows of `width` values, which must be [`Model::columns`] or more; `None` once `go_on` says no, which is asked
    /// between blocks of rows.
    pub(in crate::engine) fn run(&self, rows: Rows<'_>, width: usize, go_on: &dyn Fn() -> bool) -> Option<Answer> {
        let finish = self.finish;
        match (&self.kernel, rows) {
            (Kernel::Compact(forest), Rows::F32(rows)) => run(forest, finish, rows, width, go_on).map(single),
            (Kernel::Compact(forest), Rows::Raw32(rows)) => run(forest, finish, rows, width, go_on).map(single),
            (Kernel::Compact(forest), rows) => run(forest, finish, &rows.to_f32(), width, go_on).map(single),
            (Kernel::Single(forest), Rows::Raw32(rows)) => run(forest, finish, rows, width, go_on).map(single),
            (Kernel::Single(forest), rows) => run(forest, finish, &rows.to_f32(), width, go_on).map(single),
            (Kernel::Double(forest), Rows::Raw64(rows)) => run(forest, finish, rows, width, go_on).map(double),
            (Kernel::Double(forest), rows) => run(forest, finish, &rows.to_f64(), width, go_on).map(double),
        }
    }
}

impl Rows<'_> {
    fn to_f32(self) -> Vec<f32> {
        match self {
            Self::F32(rows) => rows.to_vec(),
            Self::F64(rows) => rows.iter().map(|value| value.to_f32()).collect(),
            Self::Raw32(rows) => rows.iter().map(|value| value.value()).collect(),
            Self::Raw64(rows) => rows.iter().map(|value| value.value().to_f32()).collect(),
        }
    }

    fn to_f64(self) -> Vec<f64> {
        match self {
            Self::F32(rows) => rows.iter().map(|value| value.to_f64()).collect(),
            Self::F64(rows) => rows.to_vec(),
            Self::Raw32(rows) => rows.iter().map(|value| value.value().to_f64()).collect(),
            Self::Raw64(rows) => rows.iter().map(|value| value.value()).collect(),
        }
    }
}

fn single((best, scores): (Vec<usize>, Vec<f32>)) -> Answer {
    Answer { best, scores: Scores::F32(scores) }
}

fn double((best, scores): (Vec<usize>, Vec<f64>)) -> Answer {
    Answer { best, scores: Scores::F64(scores) }
}

/// Best classes, where there are classes, and scores.
fn run<R: Record, E: Element<R::Value>>(
    forest: &Forest<R>,
    finish: Finish,
    rows: &[E],
    width: usize,
    go_on: &dyn Fn() -> bool,
) -> Option<(Vec<usize>, Vec<R::Value>)> {
    let count = rows.len() / width.max(1);
    let mut scores = Vec::with_capacity(count * finish.width(forest.targets));
    let mut best = Vec::with_capacity(if finish.classifies() { count } else { 0 });
    let mut work = Work::default();
    for block in rows.chunks(forest.block() * width.max(1)) {
        if !go_on() {
            return None;
        }
        forest.sum(block, width, &mut work, |sums| {
            let first = finish.row(sums, &mut scores);
            if finish.classifies() {
                best.push(first);
            }
        });
    }
    Some((best, scores))
}
