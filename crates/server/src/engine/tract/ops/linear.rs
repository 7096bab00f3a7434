//! Linear models.

use pulp::{Arch, Simd, WithSimd};
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{elements, floats, number, table, tensor};
use super::outcome::{greatest, transform};
use crate::engine::dense::{Activation, Matrix, Rows};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::labels::Labels;
use crate::engine::transform::Transform;

/// Weights of one or more outputs over the same features.
#[derive(Debug)]
struct Weights {
    product: Product,
    features: usize,
    outputs: usize,
}

/// How the scores are computed.
#[derive(Debug)]
enum Product {
    /// Of few outputs by a dot product each: a row of coefficients for each output, and one intercept for each, or none.
    Few { arch: Arch, coefficients: Vec<f32>, intercepts: Vec<f32> },
    /// As a layer of a network.
    Many(Matrix),
}

/// Rows that are multiplied by the same coefficients together.
const TILE: usize = 4;

/// The dot products of each row with each row of coefficients.
struct Dots<'a> {
    rows: &'a [f32],
    coefficients: &'a [f32],
    columns: usize,
    /// The scores, and how many places each row has for them.
    values: (&'a mut [f32], usize),
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, coefficients, columns, values: (values, stride) } = self;
        let tiles = rows.len() / columns / TILE * TILE;
        for (rows, values) in rows.chunks_exact(TILE * columns).zip(values.chunks_exact_mut(TILE * stride)) {
            for (at, coefficients) in coefficients.chunks_exact(columns).enumerate() {
                let sums = dots::<S, TILE>(simd, rows, coefficients);
                for (row, sum) in sums.into_iter().enumerate() {
                    values[row * stride + at] = sum;
                }
            }
        }
        for (row, values) in rows.chunks_exact(columns).zip(values.chunks_exact_mut(stride)).skip(tiles) {
            for (value, coefficients) in values.iter_mut().zip(coefficients.chunks_exact(columns)) {
                *value = dots::<S, 1>(simd, row, coefficients)[0];
            }
        }
    }
}

/// Those of `R` rows.
#[inline(always)]
fn dots<S: Simd, const R: usize>(simd: S, rows: &[f32], coefficients: &[f32]) -> [f32; R] {
    let (whole, rest) = S::as_simd_f32s(coefficients);
    let rest = simd.partial_load_f32s(rest);
    let mut sums = [simd.splat_f32s(0.0); R];
    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(coefficients.len())) {
        let (vectors, last) = S::as_simd_f32s(row);
        for (a, b) in vectors.iter().zip(whole) {
            *sum = simd.mul_add_e_f32s(*a, *b, *sum);
        }
        // Both are filled up with zeros.
        if !last.is_empty() {
            *sum = simd.mul_add_e_f32s(simd.partial_load_f32s(last), rest, *sum);
        }
    }
    let mut scores = [0.0; R];
    for (score, sum) in scores.iter_mut().zip(sums) {
        *score = simd.reduce_sum_f32s(sum);
    }
    scores
}

/// Outputs from which on a layer is quicker than dot products, which need no vector's empty places (measured with 20 features: of one output
/// a layer takes a third longer).
const MANY: usize = 4;

/// The scores of all rows.
pub(super) struct Scores {
    pub(super) rows: usize,
    pub(super) values: Vec<f32>,
    /// Values from one row to the next; the outputs are the first of them.
    pub(super) stride: usize,
}

impl Scores {
    /// `width` values of each row.
    pub(super) fn into_table(mut self, width: usize) -> TractResult<Tensor> {
        if self.stride > width {
            for row in 1..self.rows {
                self.values.copy_within(row * self.stride..row * self.stride + width, row * width);
            }
            self.values.truncate(self.rows * width);
        }
        tensor(&[self.rows, width], self.values)
    }
}

impl Weights {
    /// `outputs` rows of `coefficients`.
    fn read(attributes: &Attributes<'_>, outputs: usize) -> Result<Self, Wrong> {
        let coefficients = attributes.floats("coefficients")?.to_vec();
        let intercepts = attributes.floats("intercepts")?.to_vec();
        if coefficients.is_empty() || coefficients.len() % outputs != 0 {
            let found = coefficients.len();
            return Err(format!("attribute coefficients has {found} values; expected a multiple of {outputs}, the outputs"));
        }
        if !intercepts.is_empty() && intercepts.len() != outputs {
            return Err(format!("attribute intercepts has {} values; expected {outputs} or none", intercepts.len()));
        }
        let features = coefficients.len() / outputs;
        let product = if outputs < MANY {
            Product::Few { arch: Arch::new(), coefficients, intercepts }
        } else {
            let column = |feature: usize| coefficients.iter().skip(feature).step_by(features).copied();
            let weights: Vec<f32> = (0..features).flat_map(column).collect();
            let bias = if intercepts.is_empty() { vec![0.0; outputs] } else { intercepts };
            Product::Many(Matrix::pack(Arch::new(), (&weights, &bias), features))
        };
        Ok(Self { product, features, outputs })
    }

    /// Checks that the input is a table of numbers with as many columns as there are features; its rows.
    fn rows(&self, input: &Fact) -> TractResult<TDim> {
        number(input.kind)?;
        if let Some(found) = input.columns()? {
            ensure!(found == self.features, "the input has {found} columns; the model has {} features", self.features);
        }
        Ok(input.table()?.0)
    }

    /// The scores of all rows, with `spare` more places after each at least.
    fn scores(&self, input: &Tensor, spare: usize) -> TractResult<Scores> {
        let (rows, columns) = table(input)?;
        ensure!(columns == self.features, "the input has {columns} columns; the model has {} features", self.features);
        let input = floats(input)?;
        let (stride, values) = match &self.product {
            Product::Few { arch, coefficients, intercepts } => {
                let stride = self.outputs + spare;
                let mut values = vec![0.0; elements(&[rows, stride], 4)?];
                arch.dispatch(Dots { rows: &input, coefficients, columns, values: (&mut values, stride) });
                if !intercepts.is_empty() {
                    for row in values.chunks_exact_mut(stride) {
                        row.iter_mut().zip(intercepts).for_each(|(score, intercept)| *score += intercept);
                    }
                }
                (stride, values)
            }
            Product::Many(matrix) => {
                let mut values = vec![0.0; elements(&[rows, matrix.padded()], 4)?];
                matrix.run(Rows::of(&input, rows, columns), &[], &mut values);
                (matrix.padded(), values)
            }
        };
        Ok(Scores { rows, values, stride })
    }

    /// What is done to the scores of all rows, each by itself.
    fn transform(&self, post: Transform, scores: &mut Scores) {
        match (post, &self.product) {
            (Transform::None, _) => {}
            (Transform::Softmax, Product::Many(matrix)) => matrix.activate(Activation::Softmax, &mut scores.values),
            _ => scores.values.chunks_exact_mut(scores.stride).for_each(|row| post.apply(&mut row[..self.outputs])),
        }
    }
}

/// `LinearRegressor`: scores [N, targets].
#[derive(Debug)]
pub(super) struct LinearRegressor {
    weights: Weights,
    post: Transform,
}

/// The most targets, classes or features that an attribute may ask for without showing them.
const MOST: usize = 1 << 24;

impl Kernel for LinearRegressor {
    const NAME: &'static str = "LinearRegressor";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let targets = attributes.size("targets", 1, (1, MOST))?;
        Ok(Self { weights: Weights::read(attributes, targets)?, post: transform(attributes)? })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let rows = self.weights.rows(input)?;
        Ok(tvec!(Fact::new(f32::datum_type(), [rows, self.weights.outputs.to_dim()])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let targets = self.weights.outputs;
        let mut scores = self.weights.scores(inputs[0], 0)?;
        // Of a single target only PROBIT is heeded, as ONNX Runtime does.
        if targets > 1 || self.post == Transform::Probit {
            self.weights.transform(self.post, &mut scores);
        }
        Ok(tvec!(scores.into_table(targets)?))
    }
}

/// `LinearClassifier`: labels [N] and scores [N, classes].
#[derive(Debug)]
pub(super) struct LinearClassifier {
    weights: Weights,
    labels: Labels,
    post: Transform,
}

impl LinearClassifier {
    /// Two classes told apart by one score.
    fn is_single(&self) -> bool {
        self.weights.outputs == 1 && self.labels.len() == 2
    }

    /// One score `s` becomes two. The complement is `1 - s`, of a probability or not: ONNX Runtime's reading.
    fn complement(&self, pair: &mut [f32]) {
        let mut second = [pair[0]];
        if self.post == Transform::Logistic {
            self.post.apply(&mut second);
        }
        pair.copy_from_slice(&[1.0 - second[0], second[0]]);
        if self.post == Transform::Probit {
            self.post.apply(pair);
        }
    }
}

impl Kernel for LinearClassifier {
    const NAME: &'static str = "LinearClassifier";
    const OUTPUTS: usize = 2;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let labels = Labels::read(attributes, "classlabels_ints", "classlabels_strings")?;
        let (classes, given) = (labels.len(), attributes.floats("intercepts")?.len());
        // Without intercepts the file does not say how many scores there are; one for each class is what exporters mean.
        let scores = if given == 0 { classes } else { given };
        if scores != classes && (scores, classes) != (1, 2) {
            return Err(format!("attribute intercepts has {given} values for {classes} classes; expected as many, or 1 for 2"));
        }
        // Only ever a hint: the scores are of one class against the rest in either case.
        attributes.flag("multi_class", false)?;
        Ok(Self { weights: Weights::read(attributes, scores)?, labels, post: transform(attributes)? })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let rows = self.weights.rows(input)?;
        let scores = Fact::new(f32::datum_type(), [rows.clone(), self.labels.len().to_dim()]);
        Ok(tvec!(Fact::new(self.labels.kind(), [rows]), scores))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (classes, single) = (self.labels.len(), self.is_single());
        let mut scores = self.weights.scores(inputs[0], usize::from(single))?;
        let mut winners = Vec::with_capacity(scores.rows);
        for row in scores.values.chunks_exact_mut(scores.stride) {
            if single {
                winners.push(usize::from(row[0] > 0.0));
                self.complement(row);
            } else {
                winners.push(greatest(&row[..classes]));
            }
        }
        if classes > 1 && !single {
            self.weights.transform(self.post, &mut scores);
        }
        Ok(tvec!(self.labels.of(&winners)?, scores.into_table(classes)?))
    }
}
