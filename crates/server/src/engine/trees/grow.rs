//! A tree's nodes in the order of their depth, each a plain comparison, the two that follow it side by side.
//!
//! A node whose test takes several comparisons becomes several; where they meet again, its child stands there once for each way
//! in, and all those lead on to the same two.

use std::ops::Range;

use super::cut::{Cut, Side};
use super::describe::{Kind, Tree};
use super::real::Real;

/// A place in the laid-out tree.
#[derive(Clone, Debug)]
pub(super) struct Draft<T> {
    pub(super) threshold: T,
    pub(super) feature: u32,
    /// Where the place of the values at most `threshold` is, within the tree; that of the others is next to it. A leaf leads to
    /// itself.
    pub(super) below: u32,
    pub(super) missing_below: bool,
    /// A leaf's weights.
    pub(super) leaf: Option<Range<usize>>,
}

/// A laid-out tree.
pub(super) struct Grown<T> {
    pub(super) places: Vec<Draft<T>>,
    /// Comparisons from the root to the nearest leaf.
    pub(super) least: u32,
    /// Comparisons from the root to the farthest leaf.
    pub(super) most: u32,
}

/// What is yet to be laid out.
enum Open<T> {
    Node(usize),
    /// Comparisons of this node's test.
    Within(usize, Cut<T>),
    Done,
}

struct Growth<'a, T> {
    tree: &'a Tree,
    open: Vec<Open<T>>,
    /// Where each node was laid out first.
    first: Vec<Option<usize>>,
    /// Comparisons on the shortest and the longest way to each node.
    depths: Vec<(u32, u32)>,
}

/// Lays out a tree that has been checked.
pub(super) fn grow<T: Real>(tree: &Tree) -> Grown<T> {
    let count = tree.nodes.len();
    let mut growth =
        Growth { tree, open: vec![Open::Node(tree.root)], first: vec![None; count], depths: vec![(u32::MAX, 0); count] };
    growth.depths[tree.root] = (0, 0);
    let mut places: Vec<Draft<T>> = Vec::with_capacity(count);
    let (mut least, mut most) = (u32::MAX, 0);
    while places.len() < growth.open.len() {
        let at = places.len();
        let draft = match std::mem::replace(&mut growth.open[at], Open::Done) {
            Open::Node(node) => match (&tree.nodes[node].kind, growth.first[node]) {
                (Kind::Leaf(range), _) => {
                    let (near, far) = growth.depths[node];
                    (least, most) = (least.min(near), most.max(far));
                    leaf(at, range.clone())
                }
                (Kind::Branch(_), Some(first)) => Draft::clone(&places[first]),
                (Kind::Branch(branch), None) => {
                    growth.first[node] = Some(at);
                    let cut = Cut::of(&branch.test, branch.missing);
                    growth.deepen(node, &cut, 1);
                    growth.branch(node, cut)
                }
            },
            Open::Within(node, cut) => growth.branch(node, cut),
            Open::Done => leaf(at, 0..0),
        };
        places.push(draft);
    }
    Grown { places, least: least.min(most), most }
}

/// A leaf at `at`: nothing is above infinity, so whoever is there stays.
fn leaf<T: Real>(at: usize, range: Range<usize>) -> Draft<T> {
    Draft { threshold: T::INFINITY, feature: 0, below: position(at), missing_below: true, leaf: Some(range) }
}

/// The check bounds the number of nodes far below this.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl<T: Real> Growth<'_, T> {
    /// The comparison of `cut`, with room for what follows it.
    fn branch(&mut self, node: usize, cut: Cut<T>) -> Draft<T> {
        let below = position(self.open.len());
        let feature = if let Kind::Branch(branch) = &self.tree.nodes[node].kind { position(branch.feature) } else { 0 };
        for side in [cut.below, cut.above] {
            let next = match (side, &self.tree.nodes[node].kind) {
                (Side::Cut(cut), _) => Open::Within(node, *cut),
                (Side::Yes, Kind::Branch(branch)) => Open::Node(branch.yes),
                (Side::No, Kind::Branch(branch)) => Open::Node(branch.no),
                (_, Kind::Leaf(_)) => Open::Done,
            };
            self.open.push(next);
        }
        Draft { threshold: cut.threshold, feature, below, missing_below: cut.missing_below, leaf: None }
    }

    /// Notes how far the children of `node` are: `depth` comparisons behind it, or more.
    fn deepen(&mut self, node: usize, cut: &Cut<T>, depth: u32) {
        let Kind::Branch(branch) = &self.tree.nodes[node].kind else { return };
        let (near, far) = self.depths[node];
        for side in [&cut.below, &cut.above] {
            let child = match side {
                Side::Cut(cut) => {
                    self.deepen(node, cut, depth + 1);
                    continue;
                }
                Side::Yes => branch.yes,
                Side::No => branch.no,
            };
            let known = &mut self.depths[child];
            *known = (known.0.min(near + depth), known.1.max(far + depth));
        }
    }
}
