//! Queries times keys, weighed, times values.

use tract_onnx::tract_hir::internal::*;

use super::super::numbers::{dot, elements};
use super::mask::{Mask, Sight};
use super::rows::{Cached, Rows};
use super::{Attention, Scores};

/// One run, all inputs at hand.
pub(super) struct Run<'a> {
    pub(super) attention: &'a Attention,
    pub(super) query: Rows<'a>,
    pub(super) keys: Cached<'a>,
    pub(super) values: Cached<'a>,
    pub(super) mask: Option<Mask>,
    pub(super) lengths: Option<&'a [i64]>,
}

impl Run<'_> {
    pub(super) fn check(&self) -> TractResult<()> {
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
    pub(super) fn answer(&self) -> TractResult<(Vec<f32>, Vec<f32>)> {
        let [batch, heads, queries, depth] = self.query.shape;
        let (keys, width) = (self.keys.count(), self.values.rows.shape[3]);
        let mut answer = Vec::with_capacity(elements(&[batch, heads, queries, width], size_of::<f32>())?);
        let mut kept = Vec::with_capacity(elements(&[batch, heads, queries, keys], size_of::<f32>())?);
        let (share, scale) = (heads / self.keys.rows.shape[1], self.attention.scale.unwrap_or(1.0 / (depth as f32).sqrt()));
        let mut scores = vec![0.0; keys];
        let Attention { causal, before, after, .. } = *self.attention;
        let sight = Sight { causal, before, after, old: self.keys.old(), queries, lengths: self.lengths };
        for at in 0..batch * heads * queries {
            let place = [at / queries / heads, at / queries % heads, at % queries];
            let [row, head, query] = place;
            let asks = self.query.row(row, head, query);
            scores
                .iter_mut()
                .enumerate()
                .for_each(|(key, score)| *score = scale * dot(asks, self.keys.row(row, head / share, key)));
            self.weigh(&sight, place, (&mut scores, &mut kept))?;
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
    fn weigh(&self, sight: &Sight<'_>, place: [usize; 3], (scores, kept): (&mut [f32], &mut Vec<f32>)) -> TractResult<()> {
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
            let bias = if sight.reaches((place[0], place[2]), key) { given } else { f32::NEG_INFINITY };
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
}
