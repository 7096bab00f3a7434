//! The shape that a `Reshape` is given, entry by entry: a constant, or put together of constants and of what the run finds.

use super::walk::View;
use crate::proto::NodeProto;

/// An entry of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Is(i64),
    /// Each run computes it.
    Open,
}

impl Size {
    /// A size that is one, and not -1 or 0.
    pub(super) fn fixed(self) -> Option<usize> {
        match self {
            Self::Is(size) => usize::try_from(size).ok().filter(|size| *size > 0),
            Self::Open => None,
        }
    }
}

/// The entries from the last to the first, as far as it is known how many there are.
pub(super) fn sizes(view: &View<'_>, node: &NodeProto) -> Vec<Size> {
    pieces(view, node).into_iter().flat_map(|(_, sizes)| sizes).collect()
}

/// The entries from the last to the first, by the input of the `Concat` that they come from (0 where there is none).
pub(super) fn pieces(view: &View<'_>, node: &NodeProto) -> Vec<(usize, Vec<Size>)> {
    let reversed = |values: Vec<i64>| values.into_iter().rev().map(Size::Is).collect();
    if let Some(values) = view.integers(node, 1) {
        return vec![(0, reversed(values))];
    }
    let Some(concat) = concat(view, node).map(|at| &view.graph.node[at]) else { return Vec::new() };
    let mut found = Vec::new();
    for slot in (0..concat.input.len()).rev() {
        let one = || view.rank(&concat.input[slot]) == Some(1) && view.size(&concat.input[slot], 1) == Some(1);
        let piece = match view.integers(concat, slot) {
            Some(values) => reversed(values),
            None if one() => vec![Size::Open],
            None => return found,
        };
        found.push((slot, piece));
    }
    found
}

/// The `Concat` that puts a Reshape's shape together.
pub(super) fn concat(view: &View<'_>, node: &NodeProto) -> Option<usize> {
    let at = *view.makers.get(node.input_at(1)?)?;
    view.graph.node[at].is("Concat").then_some(at)
}
