//! Branches that the branches above them have decided already: of `x <= 3` within the yes of `x <= 2`, only one way is ever gone.

use std::collections::HashMap;

use super::forest::{Branch, Node, Test, Tree};

/// The values of one feature that may come to a node. More than those may be in it, never fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Region {
    low: f64,
    /// Whether `low` itself is in it.
    with_low: bool,
    high: f64,
    with_high: bool,
    /// Whether a missing value may come.
    missing: bool,
}

const ALL: Region = Region { low: f64::NEG_INFINITY, with_low: true, high: f64::INFINITY, with_high: true, missing: true };

impl Region {
    fn is_empty(&self) -> bool {
        self.low > self.high || (self.low >= self.high && !(self.with_low && self.with_high))
    }

    fn up_to(self, value: f64, with: bool) -> Self {
        match value < self.high || (value <= self.high && !with) {
            true => Self { high: value, with_high: with, ..self },
            false => self,
        }
    }

    fn from(self, value: f64, with: bool) -> Self {
        match value > self.low || (value >= self.low && !with) {
            true => Self { low: value, with_low: with, ..self },
            false => self,
        }
    }

    /// The numbers of it that a test says yes and no to.
    fn split(self, test: &Test) -> (Self, Self) {
        match test {
            Test::AtMost(value) => (self.up_to(*value, true), self.from(*value, false)),
            Test::Below(value) => (self.up_to(*value, false), self.from(*value, true)),
            Test::AtLeast(value) => (self.from(*value, true), self.up_to(*value, false)),
            Test::Above(value) => (self.from(*value, false), self.up_to(*value, true)),
            Test::Equal(_) | Test::Member(_) => self.members(test.values()),
            Test::Unequal(_) => {
                let (equal, other) = self.members(test.values());
                (other, equal)
            }
        }
    }

    /// What may be one of the values, and what may be none of them.
    fn members(self, values: &[f64]) -> (Self, Self) {
        let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), one| (a.min(*one), b.max(*one)));
        let inside = self.from(least, true).up_to(most, true);
        // A single number that is a member leaves nothing outside.
        let only = self.low >= self.high && values.contains(&self.low);
        let outside = if only { Self { with_low: false, ..self } } else { self };
        let none = !values.iter().any(|one| !self.from(*one, true).up_to(*one, true).is_empty());
        (if none { Self { low: 0.0, high: 0.0, with_low: false, ..self } } else { inside }, outside)
    }

    /// What goes either way; `None` where nothing at all does.
    fn ways(self, branch: &Branch) -> [Option<Self>; 2] {
        let (yes, no) = self.split(&branch.test);
        let missing = branch.of_missing();
        [(yes, missing), (no, !missing)].map(|(part, own)| {
            let part = Self { missing: self.missing && own, ..part };
            (part.missing || !part.is_empty()).then_some(part)
        })
    }
}

enum Act {
    /// Take the node over, to that place's yes or no.
    Visit(usize, Option<(usize, bool)>),
    /// From here on that feature lies there.
    Set(i64, Region),
}

/// The tree without branches of which one way is never gone.
pub(super) fn reachable(tree: &Tree) -> Tree {
    let mut regions: HashMap<i64, Region> = HashMap::new();
    let mut nodes: Vec<Node> = Vec::with_capacity(tree.nodes.len());
    let mut acts = vec![Act::Visit(0, None)];
    while let Some(act) = acts.pop() {
        let (mut at, from) = match act {
            Act::Set(feature, region) => {
                regions.insert(feature, region);
                continue;
            }
            Act::Visit(at, from) => (at, from),
        };
        // Down to the next node whose answer is open.
        let kept = loop {
            let Node::Branch(branch) = &tree.nodes[at] else { break None };
            let region = regions.get(&branch.feature).copied().unwrap_or(ALL);
            match region.ways(branch) {
                [Some(yes), Some(no)] => break Some((branch, region, [yes, no])),
                [Some(_), None] => at = branch.yes,
                _ => at = branch.no,
            }
        };
        let place = nodes.len();
        match (from, from.and_then(|(parent, _)| nodes.get_mut(parent))) {
            (Some((_, true)), Some(Node::Branch(parent))) => parent.yes = place,
            (Some((_, false)), Some(Node::Branch(parent))) => parent.no = place,
            _ => {}
        }
        nodes.push(tree.nodes[at].clone());
        if let Some((branch, region, [yes, no])) = kept {
            let feature = branch.feature;
            acts.push(Act::Set(feature, region));
            acts.push(Act::Visit(branch.no, Some((place, false))));
            acts.push(Act::Set(feature, no));
            acts.push(Act::Visit(branch.yes, Some((place, true))));
            acts.push(Act::Set(feature, yes));
        }
    }
    Tree { id: tree.id, nodes }
}
