//! `Attention` in the forms that tract answers wrongly or not at all: windows, causal masks after past keys, soft caps, caches of
//! several lengths, and the scores as an output. tract's own operator, which is faster, keeps the others.
//!
//! Here the node is read and its inputs are laid out; [`rows`] are queries, keys and values, [`mask`] is who sees whom, [`product`] computes.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel, Own};
use super::numbers::{floats, slice, tensor};
use super::repair::Known;
use super::softmax::of_tract;
use crate::engine::onnx::attributes::{Attributes, Wrong};

mod mask;
mod product;
mod rows;

use mask::Mask;
use product::Run;
use rows::{Cached, Rows, interleaved};

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

    fn known(&self, inputs: &[Known]) -> Known {
        // A mask's minus infinities hide keys, and a query that sees none answers zeros.
        let safe = |(at, known): (usize, &Known)| !known.lacks() || (self.places[MASK] == Some(at) && known.only_hides());
        let scale = self.scale.is_none_or(f32::is_finite) && !self.wanted.contains(&3);
        if scale && inputs.iter().enumerate().all(safe) { Known::FINITE } else { Known::ANYTHING }
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
