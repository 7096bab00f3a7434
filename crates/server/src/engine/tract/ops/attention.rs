//! `Attention` in the forms that tract answers wrongly or not at all: windows, causal masks after past keys, soft caps, caches of
//! several lengths, and the scores as an output. tract's own operator, which is faster, keeps the others.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel, Own};
use super::numbers::{dot, elements, floats, slice, tensor};
use super::softmax::of_tract;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// The inputs, by their place in the operator's definition.
const QUERY: usize = 0;
const KEY: usize = 1;
const VALUE: usize = 2;
const MASK: usize = 3;
const PAST_KEY: usize = 4;
const PAST_VALUE: usize = 5;
const LENGTHS: usize = 6;

/// The most heads: more than any network has, and few enough to multiply.
const MOST_HEADS: usize = 1 << 16;

/// The operator.
#[derive(Debug)]
pub(super) struct Attention {
    /// Heads of queries and of keys, where inputs have three dimensions.
    heads: Option<(usize, usize)>,
    causal: bool,
    scale: Option<f32>,
    softcap: f32,
    /// What the fourth output is.
    scores: Scores,
    /// How many keys before and after its own a query sees.
    before: Option<usize>,
    after: Option<usize>,
    places: [Option<usize>; LENGTHS + 1],
    wanted: Vec<usize>,
}

/// When the fourth output is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scores {
    Raw,
    Capped,
    Masked,
    Weights,
}

impl Attention {
    /// Whether tract answers this node rightly.
    fn is_tracts(&self) -> bool {
        let plain = self.softcap == 0.0 && self.before.is_none() && self.after.is_none();
        let past = self.places[PAST_KEY].is_some();
        plain && self.places[LENGTHS].is_none() && !self.wanted.contains(&3) && !(self.causal && past)
    }
}

/// tract's operator for a node, or ours.
pub(super) fn build(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let attention = Attention::read(&Attributes::of(node)).map_err(TractError::msg)?;
    match of_tract(Attention::NAME) {
        Some(tracts) if attention.is_tracts() => tracts(context, node),
        _ => Ok((expand(Own::plain(attention)), Vec::new())),
    }
}

impl Kernel for Attention {
    const NAME: &'static str = "Attention";

    fn outputs(&self) -> usize {
        self.wanted.len()
    }

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let heads = |name| attributes.has(name).then(|| attributes.size(name, 0, (1, MOST_HEADS))).transpose();
        let heads = match (heads("q_num_heads")?, heads("kv_num_heads")?) {
            (Some(query), Some(key)) => Some((query, key)),
            (None, None) => None,
            _ => return Err("one of q_num_heads and kv_num_heads is given; expected both or neither".to_owned()),
        };
        let window = |name: &str| match attributes.int(name, -1)? {
            -1 => Ok(None),
            size => usize::try_from(size).map(Some).map_err(|_| format!("attribute {name} is {size}; expected -1 or more")),
        };
        let scores = match attributes.int("qk_matmul_output_mode", 0)? {
            0 => Scores::Raw,
            1 => Scores::Capped,
            2 => Scores::Masked,
            3 => Scores::Weights,
            found => return Err(format!("attribute qk_matmul_output_mode is {found}; expected 0 to 3")),
        };
        let softcap = attributes.float("softcap", 0.0)?;
        if !(softcap >= 0.0 && softcap.is_finite()) {
            return Err(format!("attribute softcap is {softcap}; expected a number from 0"));
        }
        let precision = attributes.int("softmax_precision", 1)?;
        if !matches!(precision, 1 | 10 | 11 | 16) {
            return Err(format!("attribute softmax_precision is {precision}; expected 1, 10, 11 or 16"));
        }
        let places = attributes.places();
        if places[..3].contains(&None) {
            return Err("a query, a key and a value are expected".to_owned());
        }
        if places[PAST_KEY].is_some() != places[PAST_VALUE].is_some() {
            return Err("one of past_key and past_value is given; expected both or neither".to_owned());
        }
        Ok(Self {
            heads,
            causal: attributes.flag("is_causal", false)?,
            scale: attributes.has("scale").then(|| attributes.float("scale", 1.0)).transpose()?,
            softcap,
            scores,
            before: window("left_window_size")?,
            after: window("right_window_size")?,
            places,
            wanted: attributes.wanted(),
        })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let input = |at: usize| self.places[at].and_then(|at| inputs.get(at)).context("an input is missing");
        let kind = input(QUERY)?.kind;
        ensure!(matches!(kind, DatumType::F32 | DatumType::F16), "the query is {kind:?}; expected FP32 or FP16");
        let [batch, heads, queries, _] = self.split(&input(QUERY)?.shape, true)?;
        let [_, stored, keys, depth] = self.split(&input(KEY)?.shape, false)?;
        let [_, _, _, width] = self.split(&input(VALUE)?.shape, false)?;
        let past = match self.places[PAST_KEY] {
            Some(_) => input(PAST_KEY)?.shape.get(2).cloned().context("past_key has not four dimensions")?,
            None => 0.to_dim(),
        };
        let total = keys + past;
        let facts = self.wanted.iter().map(|output| match output {
            0 if self.heads.is_some() && input(QUERY)?.shape.len() == 3 => {
                Ok(Fact::new(kind, [batch.clone(), queries.clone(), heads.clone() * &width]))
            }
            0 => Ok(Fact::new(kind, [batch.clone(), heads.clone(), queries.clone(), width.clone()])),
            1 => Ok(Fact::new(kind, [batch.clone(), stored.clone(), total.clone(), depth.clone()])),
            2 => Ok(Fact::new(kind, [batch.clone(), stored.clone(), total.clone(), width.clone()])),
            3 => Ok(Fact::new(kind, [batch.clone(), heads.clone(), queries.clone(), total.clone()])),
            other => bail!("output {other} is asked for; Attention has four"),
        });
        facts.collect()
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = |at: usize| self.places[at].and_then(|at| inputs.get(at).copied());
        let given = |at: usize| input(at).context("an input is missing");
        let (query, key, value) = (given(QUERY)?, given(KEY)?, given(VALUE)?);
        let kind = query.datum_type();
        let whole = [floats(query)?, floats(key)?, floats(value)?];
        let past =
            [input(PAST_KEY), input(PAST_VALUE)].map(|past| past.map(|past| Ok((floats(past)?, past.shape()))).transpose());
        let [past_key, past_value]: [TractResult<Option<_>>; 2] = past;
        let (past_key, past_value) = (past_key?, past_value?);
        let query_rows = Rows::of(&whole[0], self.split(query.shape(), true)?)?.laid(query.rank() == 3);
        let key_rows = Rows::of(&whole[1], self.split(key.shape(), false)?)?.laid(key.rank() == 3);
        let value_rows = Rows::of(&whole[2], self.split(value.shape(), false)?)?.laid(value.rank() == 3);
        let keys = Cached::of(past_key.as_ref().map(|(data, shape)| (&**data, *shape)), key_rows)?;
        let values = Cached::of(past_value.as_ref().map(|(data, shape)| (&**data, *shape)), value_rows)?;
        let mask = input(MASK).map(|mask| Mask::of(mask, keys.count())).transpose()?;
        let lengths = input(LENGTHS).map(|lengths| lengths.cast_to::<i64>()).transpose()?;
        let lengths = lengths.as_deref().map(slice::<i64>).transpose()?;
        let run = Run { attention: self, query: query_rows, keys, values, mask, lengths };
        run.check()?;
        let (answer, scores) = run.answer()?;
        let [batch, heads, queries, _] = query_rows.shape;
        let width = run.values.rows.shape[3];
        let outputs = self.wanted.iter().map(|output| {
            let whole = match output {
                0 if query.rank() == 3 => {
                    tensor(&[batch, queries, heads * width], interleaved(&answer, query_rows.shape, width))?
                }
                0 => tensor(&[batch, heads, queries, width], answer.clone())?,
                1 => run.keys.whole()?,
                2 => run.values.whole()?,
                _ => tensor(&[batch, heads, queries, run.keys.count()], scores.clone())?,
            };
            Ok(whole.cast_to_dt(kind)?.into_owned())
        });
        outputs.collect()
    }
}

impl Attention {
    /// Batch, heads, rows and the size of a row.
    fn split<D: Clone + std::ops::Div<usize, Output = D> + From<usize>>(&self, shape: &[D], query: bool) -> TractResult<[D; 4]> {
        match shape {
            [batch, heads, rows, size] => Ok([batch.clone(), heads.clone(), rows.clone(), size.clone()]),
            [batch, rows, sizes] => {
                let (queries, keys) = self.heads.context("inputs of three dimensions need q_num_heads and kv_num_heads")?;
                let heads = if query { queries } else { keys };
                Ok([batch.clone(), D::from(heads), rows.clone(), sizes.clone() / heads])
            }
            _ => bail!("an input has {} dimensions; expected three or four", shape.len()),
        }
    }
}

/// Rows of several heads, of four dimensions, or of three where the heads of a row follow one another.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    shape: [usize; 4],
    interleaved: bool,
}

impl<'a> Rows<'a> {
    fn of(data: &'a [f32], shape: [usize; 4]) -> TractResult<Self> {
        let count = shape.iter().product::<usize>();
        ensure!(count == data.len(), "an input has {} elements; expected {shape:?} ({count})", data.len());
        Ok(Self { data, shape, interleaved: false })
    }

    const fn laid(self, interleaved: bool) -> Self {
        Self { interleaved, ..self }
    }

    fn row(&self, batch: usize, head: usize, row: usize) -> &'a [f32] {
        let [_, heads, rows, size] = self.shape;
        let at = if self.interleaved { (batch * rows + row) * heads + head } else { (batch * heads + head) * rows + row };
        &self.data[at * size..(at + 1) * size]
    }
}

/// The rows of the past, and the new ones.
struct Cached<'a> {
    past: Option<Rows<'a>>,
    rows: Rows<'a>,
}

impl<'a> Cached<'a> {
    fn of(past: Option<(&'a [f32], &[usize])>, rows: Rows<'a>) -> TractResult<Self> {
        let past = match past {
            Some((data, &[batch, heads, count, size])) => {
                let expected = rows.shape;
                ensure!(
                    [batch, heads, size] == [expected[0], expected[1], expected[3]],
                    "a past of shape {:?} does not go with new rows of {expected:?}",
                    [batch, heads, count, size]
                );
                Some(Rows::of(data, [batch, heads, count, size])?)
            }
            Some((_, shape)) => bail!("a past has {} dimensions; expected four", shape.len()),
            None => None,
        };
        Ok(Self { past, rows })
    }

    fn old(&self) -> usize {
        self.past.map_or(0, |past| past.shape[2])
    }

    fn count(&self) -> usize {
        self.old() + self.rows.shape[2]
    }

    fn row(&self, batch: usize, head: usize, row: usize) -> &'a [f32] {
        match self.past {
            Some(past) if row < past.shape[2] => past.row(batch, head, row),
            _ => self.rows.row(batch, head, row - self.old()),
        }
    }

    /// Past and new rows together.
    fn whole(&self) -> TractResult<Tensor> {
        let [batch, heads, _, size] = self.rows.shape;
        let shape = [batch, heads, self.count(), size];
        let mut all = Vec::with_capacity(elements(&shape, size_of::<f32>())?);
        for at in 0..batch * heads * self.count() {
            let (block, row) = (at / self.count(), at % self.count());
            all.extend_from_slice(self.row(block / heads, block % heads, row));
        }
        tensor(&shape, all)
    }
}

/// What is added to the scores; minus infinity where a key is not to be seen.
struct Mask {
    bias: Vec<f32>,
    shape: [usize; 4],
}

impl Mask {
    fn of(mask: &Tensor, keys: usize) -> TractResult<Self> {
        let rank = mask.rank();
        ensure!((1..=4).contains(&rank), "the mask has {rank} dimensions; expected one to four");
        let mut shape = [1; 4];
        shape[4 - rank..].copy_from_slice(mask.shape());
        ensure!(shape[3] <= keys, "the mask is for {} keys, and there are {keys}", shape[3]);
        let bias = if mask.datum_type() == bool::datum_type() {
            slice::<bool>(mask)?.iter().map(|seen| if *seen { 0.0 } else { f32::NEG_INFINITY }).collect()
        } else {
            floats(mask)?.into_owned()
        };
        Ok(Self { bias, shape })
    }

    /// The bias of one query; keys past its end are not seen.
    fn row(&self, place: [usize; 3]) -> TractResult<&[f32]> {
        let mut at = 0;
        for (size, place) in self.shape.iter().zip(place) {
            ensure!(*size == 1 || place < *size, "a mask of shape {:?} does not cover the scores", self.shape);
            at = at * size + if *size == 1 { 0 } else { place };
        }
        Ok(&self.bias[at * self.shape[3]..(at + 1) * self.shape[3]])
    }
}

/// One run, all inputs at hand.
struct Run<'a> {
    attention: &'a Attention,
    query: Rows<'a>,
    keys: Cached<'a>,
    values: Cached<'a>,
    mask: Option<Mask>,
    lengths: Option<&'a [i64]>,
}

impl Run<'_> {
    fn check(&self) -> TractResult<()> {
        let ([batch, heads, _, depth], [batches, stored, rows, size]) = (self.query.shape, self.keys.rows.shape);
        ensure!(
            batch == batches && depth == size,
            "queries {:?} do not go with keys {:?}",
            self.query.shape,
            self.keys.rows.shape
        );
        let values = self.values.rows.shape;
        ensure!(values[..3] == [batch, stored, rows], "values {values:?} do not go with keys {:?}", self.keys.rows.shape);
        ensure!(self.keys.old() == self.values.old(), "the pasts of keys and values differ in length");
        ensure!(stored > 0 && heads % stored == 0, "{heads} heads of queries are no multiple of {stored} heads of keys");
        if let Some(lengths) = self.lengths {
            ensure!(lengths.len() == batch, "nonpad_kv_seqlen has {} elements; expected {batch}", lengths.len());
        }
        Ok(())
    }

    /// The answers, `batch x heads x queries x width`, and the scores as they are asked for.
    fn answer(&self) -> TractResult<(Vec<f32>, Vec<f32>)> {
        let [batch, heads, queries, depth] = self.query.shape;
        let (keys, width) = (self.keys.count(), self.values.rows.shape[3]);
        let mut answer = Vec::with_capacity(elements(&[batch, heads, queries, width], size_of::<f32>())?);
        let mut kept = Vec::with_capacity(elements(&[batch, heads, queries, keys], size_of::<f32>())?);
        let (share, scale) = (heads / self.keys.rows.shape[1], self.attention.scale.unwrap_or(1.0 / (depth as f32).sqrt()));
        let mut scores = vec![0.0; keys];
        for at in 0..batch * heads * queries {
            let place = [at / queries / heads, at / queries % heads, at % queries];
            let [row, head, query] = place;
            let asks = self.query.row(row, head, query);
            scores
                .iter_mut()
                .enumerate()
                .for_each(|(key, score)| *score = scale * dot(asks, self.keys.row(row, head / share, key)));
            self.weigh(place, &mut scores, &mut kept)?;
            let begin = answer.len();
            answer.resize(begin + width, 0.0);
            for (key, weight) in scores.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
                let value = self.values.row(row, head / share, key);
                answer[begin..].iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        Ok((answer, kept))
    }

    /// From products to weights; the scores of the step that is asked for are kept.
    fn weigh(&self, place: [usize; 3], scores: &mut [f32], kept: &mut Vec<f32>) -> TractResult<()> {
        let Attention { softcap, scores: wanted, .. } = *self.attention;
        if wanted == Scores::Raw {
            kept.extend_from_slice(scores);
        }
        if softcap > 0.0 {
            scores.iter_mut().for_each(|score| *score = softcap * (*score / softcap).tanh());
        }
        if wanted == Scores::Capped {
            kept.extend_from_slice(scores);
        }
        let mask = self.mask.as_ref().map(|mask| mask.row(place)).transpose()?;
        let mut sees_any = false;
        for (key, score) in scores.iter_mut().enumerate() {
            let given = mask.map_or(0.0, |mask| mask.get(key).copied().unwrap_or(f32::NEG_INFINITY));
            let bias = if self.sees(place, key) { given } else { f32::NEG_INFINITY };
            sees_any |= bias != f32::NEG_INFINITY;
            *score = if bias == f32::NEG_INFINITY { bias } else { *score + bias };
        }
        if wanted == Scores::Masked {
            kept.extend_from_slice(scores);
        }
        // A query that sees no key answers zeros.
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        scores.iter_mut().for_each(|score| *score = if sees_any { (*score - most).exp() } else { 0.0 });
        let sum: f32 = scores.iter().sum();
        if sum != 0.0 {
            scores.iter_mut().for_each(|score| *score /= sum);
        }
        if wanted == Scores::Weights {
            kept.extend_from_slice(scores);
        }
        Ok(())
    }

    /// Whether a query sees a key, masks apart.
    fn sees(&self, [row, _, query]: [usize; 3], key: usize) -> bool {
        let length = self.lengths.map(|lengths| lengths[row]);
        // Where the query stands among the keys: after those that were there before.
        let before = length.map_or(self.keys.old() as i64, |length| length.saturating_sub(self.query.shape[2] as i64));
        let ahead = (key as i64).saturating_sub(before.saturating_add(query as i64));
        let within =
            |reach: Option<usize>, distance: i64| reach.is_none_or(|reach| distance <= i64::try_from(reach).unwrap_or(i64::MAX));
        !(self.attention.causal && ahead > 0)
            && within(self.attention.after, ahead)
            && within(self.attention.before, ahead.saturating_neg())
            && length.is_none_or(|length| (key as i64) < length)
    }
}

/// `batch x heads x queries x width` with the heads of a query beside one another.
fn interleaved(answer: &[f32], [batch, heads, queries, _]: [usize; 4], width: usize) -> Vec<f32> {
    let rows = Rows { data: answer, shape: [batch, heads, queries, width], interleaved: false };
    (0..batch * queries * heads)
        .flat_map(|at| rows.row(at / heads / queries, at % heads, at / heads % queries))
        .copied()
        .collect()
}
