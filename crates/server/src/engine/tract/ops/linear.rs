//! Linear models.

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{dot, elements, floats, number, table, tensor};
use super::outcome::{greatest, transform};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::labels::Labels;
use crate::engine::transform::Transform;

/// Weights of one or more outputs over the same features: a row of them for each output.
#[derive(Debug)]
struct Weights {
    coefficients: Vec<f32>,
    /// One for each output, or none.
    intercepts: Vec<f32>,
    outputs: usize,
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
        Ok(Self { coefficients, intercepts, outputs })
    }

    fn features(&self) -> usize {
        self.coefficients.len() / self.outputs
    }

    /// Checks that the input is a table of numbers with as many columns as there are features; its rows.
    fn rows(&self, input: &Fact) -> TractResult<TDim> {
        number(input.kind)?;
        if let Some(found) = input.columns()? {
            ensure!(found == self.features(), "the input has {found} columns; the model has {} features", self.features());
        }
        Ok(input.table()?.0)
    }

    /// The scores of all rows, `spare` more places after each.
    fn scores(&self, input: &Tensor, spare: usize) -> TractResult<(usize, Vec<f32>)> {
        let (rows, columns) = table(input)?;
        ensure!(columns == self.features(), "the input has {columns} columns; the model has {} features", self.features());
        let input = floats(input)?;
        let mut scores = Vec::with_capacity(elements(&[rows, self.outputs + spare], 4)?);
        for row in input.chunks_exact(columns) {
            for (at, weights) in self.coefficients.chunks_exact(columns).enumerate() {
                scores.push(dot(row, weights) + self.intercepts.get(at).copied().unwrap_or(0.0));
            }
            scores.extend(std::iter::repeat_n(0.0, spare));
        }
        Ok((rows, scores))
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
        let (rows, mut scores) = self.weights.scores(inputs[0], 0)?;
        // Of a single target only PROBIT is heeded, as ONNX Runtime does.
        if targets > 1 || self.post == Transform::Probit {
            scores.chunks_exact_mut(targets).for_each(|row| self.post.apply(row));
        }
        Ok(tvec!(tensor(&[rows, targets], scores)?))
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
        let (rows, mut scores) = self.weights.scores(inputs[0], usize::from(single))?;
        let mut winners = Vec::with_capacity(rows);
        for row in scores.chunks_exact_mut(classes) {
            if single {
                winners.push(usize::from(row[0] > 0.0));
                self.complement(row);
            } else {
                winners.push(greatest(row));
                if classes > 1 {
                    self.post.apply(row);
                }
            }
        }
        Ok(tvec!(self.labels.of(&winners)?, tensor(&[rows, classes], scores)?))
    }
}
