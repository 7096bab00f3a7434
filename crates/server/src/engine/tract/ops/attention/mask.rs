//! Who sees whom: the mask that a node is given, and what windows, causality and lengths leave.

use tract_onnx::tract_hir::internal::*;

use super::super::numbers::{floats, slice};

/// What is added to the scores; minus infinity where a key is not to be seen.
pub(super) struct Mask {
    bias: Vec<f32>,
    shape: [usize; 4],
}

impl Mask {
    pub(super) fn of(mask: &Tensor, keys: usize) -> TractResult<Self> {
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
    pub(super) fn row(&self, place: [usize; 3]) -> TractResult<&[f32]> {
        let mut at = 0;
        for (size, place) in self.shape.iter().zip(place) {
            ensure!(*size == 1 || place < *size, "a mask of shape {:?} does not cover the scores", self.shape);
            at = at * size + if *size == 1 { 0 } else { place };
        }
        Ok(&self.bias[at * self.shape[3]..(at + 1) * self.shape[3]])
    }
}

/// Which keys a query may see, masks apart.
pub(super) struct Sight<'a> {
    pub(super) causal: bool,
    /// How many keys before and after its own a query sees.
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
    /// Keys that were there before.
    pub(super) old: usize,
    pub(super) queries: usize,
    /// Keys of each batch, where they are told.
    pub(super) lengths: Option<&'a [i64]>,
}

impl Sight<'_> {
    /// Whether a query, by batch and place, sees a key.
    pub(super) fn reaches(&self, (batch, query): (usize, usize), key: usize) -> bool {
        let length = self.lengths.map(|lengths| lengths[batch]);
        // Where the query stands among the keys: after those that were there before.
        let before = length.map_or(self.old as i64, |length| length.saturating_sub(self.queries as i64));
        let ahead = (key as i64).saturating_sub(before.saturating_add(query as i64));
        let within =
            |reach: Option<usize>, distance: i64| reach.is_none_or(|reach| distance <= i64::try_from(reach).unwrap_or(i64::MAX));
        !(self.causal && ahead > 0)
            && within(self.after, ahead)
            && within(self.before, ahead.saturating_neg())
            && length.is_none_or(|length| (key as i64) < length)
    }
}
