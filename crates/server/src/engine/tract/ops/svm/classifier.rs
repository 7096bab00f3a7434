//! `SVMClassifier`: one machine for each pair of classes, votes for the label, and probabilities where the file has Platt's
//! parameters.

use pulp::Arch;
use tract_onnx::tract_hir::internal::*;

use super::function::Function;
use super::platt;
use super::vectors::Vectors;
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::labels::Labels;
use crate::engine::tract::ops::kernel::{Fact, Kernel};
use crate::engine::tract::ops::numbers::{dot, elements, floats, number, table, tensor, weighted};
use crate::engine::tract::ops::outcome::{greatest, transform};
use crate::engine::transform::Transform;

/// Rows whose likeness to all support vectors is kept at a time.
const BLOCK: usize = 16;

/// Labels [N], and scores: [N, 2] of two classes, [N, pairs] of more, [N, classes] where they are probabilities.
#[derive(Debug)]
pub(crate) struct SvmClassifier {
    labels: Labels,
    post: Transform,
    features: usize,
    machine: Machine,
}

#[derive(Debug)]
enum Machine {
    Pairs(Pairs),
    /// liblinear's: a row of weights for each class, and one constant.
    Linear {
        weights: Vec<f32>,
        rho: f32,
    },
}

/// libsvm's machines, one for each pair of classes.
#[derive(Debug)]
struct Pairs {
    vectors: Vectors,
    /// Where the support vectors of each class begin, and where the last end.
    starts: Vec<usize>,
    /// A row for each class but one: the weights against the other classes.
    coefficients: Vec<f32>,
    rho: Vec<f32>,
    /// Platt's A and B of each pair; empty without probabilities.
    platt: Vec<(f32, f32)>,
    function: Function,
}

impl Pairs {
    fn read(attributes: &Attributes<'_>, per_class: &[i64], classes: usize) -> Result<Self, Wrong> {
        let pairs = classes * (classes - 1) / 2;
        if classes < 2 || per_class.len() != classes {
            let found = per_class.len();
            return Err(format!(
                "attribute vectors_per_class has {found} values; expected one for each of the {classes} classes, two or more"
            ));
        }
        let mut starts = vec![0_usize];
        for (at, count) in per_class.iter().enumerate() {
            let end = usize::try_from(*count).ok().and_then(|count| starts[at].checked_add(count));
            starts.push(end.ok_or_else(|| format!("attribute vectors_per_class: element {at} is {count}"))?);
        }
        let (vectors, count) = (attributes.floats("support_vectors")?, starts[classes]);
        if count == 0 || vectors.is_empty() || vectors.len() % count != 0 {
            let found = vectors.len();
            return Err(format!("attribute support_vectors has {found} values; expected a multiple of {count}, the vectors"));
        }
        let exactly = |name: &str, length: Option<usize>| {
            let found = attributes.floats(name)?;
            match length == Some(found.len()) {
                true => Ok(found.to_vec()),
                false => Err(format!("attribute {name} has {} values; expected {}", found.len(), length.unwrap_or(usize::MAX))),
            }
        };
        let optional = |name: &str| if attributes.floats(name)?.is_empty() { Ok(Vec::new()) } else { exactly(name, Some(pairs)) };
        let (a, b) = (optional("prob_a")?, optional("prob_b")?);
        if a.len() != b.len() {
            return Err(format!("attributes prob_a and prob_b have {} and {} values; expected as many", a.len(), b.len()));
        }
        Ok(Self {
            coefficients: exactly("coefficients", count.checked_mul(classes - 1))?,
            rho: exactly("rho", Some(pairs))?,
            vectors: Vectors::pack(Arch::new(), vectors, vectors.len() / count),
            starts,
            platt: a.into_iter().zip(b).collect(),
            function: Function::read(attributes)?,
        })
    }

    fn classes(&self) -> usize {
        self.starts.len() - 1
    }

    /// The decision of every pair, (0, 1), (0, 2), ..., into `decisions`: positive for the first of the two. `likeness` is that of a row
    /// to every support vector.
    fn decide(&self, likeness: &[f64], decisions: &mut Vec<f64>) {
        let vectors = self.starts[self.classes()];
        let part = |class: usize, against: usize| {
            let range = self.starts[class]..self.starts[class + 1];
            let weights = &self.coefficients[against * vectors..][range.clone()];
            weighted(weights, &likeness[range])
        };
        decisions.clear();
        for i in 0..self.classes() - 1 {
            for j in i + 1..self.classes() {
                let rho = f64::from(self.rho[decisions.len()]);
                decisions.push(part(i, j - 1) + part(j, i) + rho);
            }
        }
    }

    /// The class that wins most pairs, the first of several.
    fn vote(&self, decisions: &[f64]) -> usize {
        let mut votes = vec![0_u32; self.classes()];
        for ((i, j), decision) in self.couples().zip(decisions) {
            votes[if *decision > 0.0 { i } else { j }] += 1;
        }
        (1..votes.len()).fold(0, |best, at| if votes[at] > votes[best] { at } else { best })
    }

    fn couples(&self) -> impl Iterator<Item = (usize, usize)> {
        let classes = self.classes();
        (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
    }

    fn probabilities(&self, decisions: &[f64]) -> Vec<f64> {
        let k = self.classes();
        let mut pairs = vec![0.0; k * k];
        for (((i, j), decision), (a, b)) in self.couples().zip(decisions).zip(&self.platt) {
            let first = platt::sigmoid(*decision, f64::from(*a), f64::from(*b));
            pairs[i * k + j] = first;
            pairs[j * k + i] = 1.0 - first;
        }
        platt::couple(&pairs, k)
    }
}

impl SvmClassifier {
    /// Scores of one row.
    fn width(&self) -> usize {
        let classes = self.labels.len();
        match &self.machine {
            Machine::Pairs(pairs) if pairs.platt.is_empty() && classes > 2 => classes * (classes - 1) / 2,
            _ => classes,
        }
    }

    fn check_columns(&self, columns: usize) -> TractResult<()> {
        ensure!(columns == self.features, "the input has {columns} columns; the model has {} features", self.features);
        Ok(())
    }

    /// The one decision of two classes as two scores. That it is the second class's score while it speaks for the first is how
    /// ONNX Runtime and its exporters have it.
    fn pair(&self, decision: f32) -> [f32; 2] {
        let mut pair = match self.post {
            Transform::None | Transform::Logistic => [-decision, decision],
            _ => [1.0 - decision, decision],
        };
        if matches!(self.post, Transform::Logistic | Transform::Probit) {
            self.post.apply(&mut pair);
        }
        pair
    }

    /// liblinear's label. Of two classes the second is taken as soon as any score is high enough: ONNX Runtime's reading.
    fn linear_label(&self, weights: &[f32], scores: &[f32]) -> usize {
        let (best, threshold) = (greatest(scores), if weights.iter().all(|weight| *weight >= 0.0) { 0.5 } else { 0.0 });
        let high = if threshold > 0.0 { scores[best] >= threshold } else { scores[best] > threshold };
        if scores.len() == 2 && high { 1 } else { best }
    }

    fn run_pairs(&self, pairs: &Pairs, input: &[f32], answer: &mut Answer) {
        let (mut likeness, mut decisions) = (Vec::new(), Vec::new());
        for rows in input.chunks(BLOCK * self.features) {
            pairs.vectors.alike(pairs.function, rows, &mut likeness);
            for row in likeness.chunks_exact(pairs.vectors.padded()) {
                pairs.decide(row, &mut decisions);
                self.judge(pairs, &decisions, answer);
            }
        }
    }

    /// The label and the scores of a row.
    fn judge(&self, pairs: &Pairs, decisions: &[f64], answer: &mut Answer) {
        answer.winners.push(pairs.vote(decisions));
        let begin = answer.scores.len();
        if !pairs.platt.is_empty() {
            answer.scores.extend(pairs.probabilities(decisions).into_iter().map(|p| p as f32));
            self.post.apply(&mut answer.scores[begin..]);
        } else if let [decision] = *decisions {
            answer.scores.extend(self.pair(decision as f32));
        } else {
            answer.scores.extend(decisions.iter().map(|decision| *decision as f32));
            self.post.apply(&mut answer.scores[begin..]);
        }
    }

    fn run_linear(&self, (weights, rho): (&[f32], f32), input: &[f32], answer: &mut Answer) {
        for row in input.chunks_exact(self.features) {
            let begin = answer.scores.len();
            answer.scores.extend(weights.chunks_exact(self.features).map(|weights| dot(row, weights) + rho));
            let scores = &mut answer.scores[begin..];
            answer.winners.push(self.linear_label(weights, scores));
            if scores.len() > 1 {
                self.post.apply(scores);
            }
        }
    }
}

struct Answer {
    winners: Vec<usize>,
    scores: Vec<f32>,
}

impl Kernel for SvmClassifier {
    const NAME: &'static str = "SVMClassifier";
    const OUTPUTS: usize = 2;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let labels = Labels::read(attributes, "classlabels_ints", "classlabels_strings")?;
        let (classes, post) = (labels.len(), transform(attributes)?);
        let per_class = attributes.ints("vectors_per_class")?;
        if !per_class.is_empty() {
            let pairs = Pairs::read(attributes, per_class, classes)?;
            let features = pairs.vectors.features();
            return Ok(Self { labels, post, features, machine: Machine::Pairs(pairs) });
        }
        let (weights, rho) = (attributes.floats("coefficients")?, attributes.floats("rho")?);
        if weights.is_empty() || weights.len() % classes != 0 {
            let found = weights.len();
            return Err(format!("attribute coefficients has {found} values; expected a multiple of {classes}, the classes"));
        }
        let Some(rho) = rho.first().copied() else { return Err("attribute rho is missing".to_owned()) };
        // Checked, though liblinear has but one.
        Function::read(attributes)?;
        let features = weights.len() / classes;
        Ok(Self { labels, post, features, machine: Machine::Linear { weights: weights.to_vec(), rho } })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.kind)?;
        if let Some(columns) = input.columns()? {
            self.check_columns(columns)?;
        }
        let rows = input.table()?.0;
        let scores = Fact::new(f32::datum_type(), [rows.clone(), self.width().to_dim()]);
        Ok(tvec!(Fact::new(self.labels.kind(), [rows]), scores))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (rows, columns) = table(inputs[0])?;
        self.check_columns(columns)?;
        let input = floats(inputs[0])?;
        let scores = Vec::with_capacity(elements(&[rows, self.width()], 4)?);
        let mut answer = Answer { winners: Vec::with_capacity(rows), scores };
        match &self.machine {
            Machine::Pairs(pairs) => self.run_pairs(pairs, &input, &mut answer),
            Machine::Linear { weights, rho } => self.run_linear((weights, *rho), &input, &mut answer),
        }
        Ok(tvec!(self.labels.of(&answer.winners)?, tensor(&[rows, self.width()], answer.scores)?))
    }
}
