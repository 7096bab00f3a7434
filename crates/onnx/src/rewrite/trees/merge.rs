//! Equal subtrees and equal trees. A branch both of whose ways are the same needs no question; trees that are the same are one with
//! its weights multiplied, where every sum of theirs is exact.

use std::collections::HashMap;

use super::forest::{Aggregate, Branch, Forest, Node, Test, Tree};

/// What a subtree is, by what it asks and gives: equal numbers for equal subtrees, across trees.
#[derive(Default)]
pub(super) struct Shapes {
    known: HashMap<Shape, usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Shape {
    Leaf(Vec<(i64, u64)>),
    Branch { feature: i64, mode: u8, values: Vec<u64>, missing: bool, ways: [usize; 2] },
}

impl Shapes {
    fn number(&mut self, shape: Shape) -> usize {
        let next = self.known.len();
        *self.known.entry(shape).or_insert(next)
    }

    fn of(&mut self, node: &Node, ways: impl Fn(&Branch) -> [usize; 2]) -> usize {
        match node {
            Node::Leaf(weights) => {
                self.number(Shape::Leaf(weights.iter().map(|one| (one.target, one.value.to_bits())).collect()))
            }
            Node::Branch(branch) => {
                let ways = ways(branch);
                if ways[0] == ways[1] {
                    return ways[0];
                }
                let values = branch.test.values().iter().map(|one| one.to_bits()).collect();
                let (feature, mode, missing) = (branch.feature, branch.test.mode(), branch.missing);
                self.number(Shape::Branch { feature, mode, values, missing, ways })
            }
        }
    }

    /// The tree without questions whose answers lead to the same, and its number.
    pub(super) fn merged(&mut self, tree: &Tree) -> (Tree, usize) {
        let (mut old, mut numbers) = (tree.nodes.clone(), vec![0; tree.nodes.len()]);
        for at in (0..old.len()).rev() {
            while let Some(branch) = joined(&old, &numbers, at) {
                old[at] = Node::Branch(branch);
            }
            numbers[at] = self.of(&old[at], |branch| [numbers[branch.yes], numbers[branch.no]]);
        }
        let mut order = vec![settled(&old, &numbers, 0)];
        let mut nodes = Vec::new();
        while let Some(at) = order.get(nodes.len()) {
            nodes.push(match &old[*at] {
                leaf @ Node::Leaf(_) => leaf.clone(),
                Node::Branch(branch) => {
                    let yes = order.len();
                    order.extend([branch.yes, branch.no].map(|at| settled(&old, &numbers, at)));
                    Node::Branch(Branch { yes, no: yes + 1, ..branch.clone() })
                }
            });
        }
        (Tree { id: tree.id, nodes }, numbers[0])
    }
}

/// The next node whose answers lead to different things.
fn settled(nodes: &[Node], numbers: &[usize], mut at: usize) -> usize {
    while let Node::Branch(branch) = &nodes[at] {
        if numbers[branch.yes] != numbers[branch.no] {
            break;
        }
        at = branch.yes;
    }
    at
}

/// One question for two about the same feature of which one has the same answer on either side of a limit: at most 2 leads to A, and at
/// most 3 after that to A too.
fn joined(nodes: &[Node], numbers: &[usize], at: usize) -> Option<Branch> {
    let Node::Branch(branch) = &nodes[at] else { return None };
    let Test::AtMost(limit) = &branch.test else { return None };
    let next = |place: usize| match &nodes[settled(nodes, numbers, place)] {
        Node::Branch(next) if next.feature == branch.feature => match &next.test {
            Test::AtMost(other) => Some((next, *other)),
            _ => None,
        },
        _ => None,
    };
    if let Some((next, further)) = next(branch.no)
        && further > *limit
        && numbers[next.yes] == numbers[branch.yes]
    {
        let missing = branch.missing || next.missing;
        return Some(Branch { test: Test::AtMost(further), missing, no: next.no, ..branch.clone() });
    }
    let (next, nearer) = next(branch.yes)?;
    let same = nearer < *limit && numbers[next.no] == numbers[branch.no];
    let missing = branch.missing && next.missing;
    same.then(|| Branch { test: Test::AtMost(nearer), missing, yes: next.yes, ..branch.clone() })
}

/// Makes trees of equal `numbers` one, where that changes no bit of any sum.
pub(super) fn fold_equal(forest: &mut Forest, numbers: &[usize]) {
    let multiplied = match forest.aggregate {
        Aggregate::Extreme => false,
        Aggregate::Sum if sums_exactly(forest) => true,
        Aggregate::Sum | Aggregate::Average => return,
    };
    let mut first: HashMap<usize, (usize, f64)> = HashMap::new();
    for (at, number) in numbers.iter().enumerate() {
        first.entry(*number).or_insert((at, 0.0)).1 += 1.0;
    }
    let mut at = 0;
    forest.trees.retain_mut(|tree| {
        let (place, times) = first[&numbers[at]];
        let keep = place == at;
        at += 1;
        if keep && multiplied {
            tree.nodes.iter_mut().for_each(|node| {
                if let Node::Leaf(weights) = node {
                    weights.iter_mut().for_each(|one| one.value *= times);
                }
            });
        }
        keep
    });
}

/// Whether all weights are multiples of one power of two so large that FP32 holds every sum of them, in whatever order they are added.
pub(super) fn sums_exactly(forest: &Forest) -> bool {
    let values = || forest.weights().map(|one| one.value).chain(forest.base.iter().copied());
    if values().any(|value| !value.is_finite()) {
        return false;
    }
    let quantum = values().filter(|value| *value != 0.0).map(quantum).fold(f64::INFINITY, f64::min);
    let largest = |tree: &Tree| {
        let leaf = |node: &Node| match node {
            Node::Leaf(weights) => weights.iter().map(|one| one.value.abs()).sum(),
            Node::Branch(_) => 0.0,
        };
        tree.nodes.iter().map(leaf).fold(0.0, f64::max)
    };
    let base: f64 = forest.base.iter().map(|one| one.abs()).fold(0.0, f64::max);
    let most = forest.trees.iter().map(largest).sum::<f64>() + base;
    !quantum.is_finite()
        || (quantum >= f64::from(f32::MIN_POSITIVE) && most <= quantum * f64::from(1_u32 << f32::MANTISSA_DIGITS))
}

/// The largest power of two that a number is a multiple of.
fn quantum(value: f64) -> f64 {
    const DIGITS: i32 = 52;
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> DIGITS & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << DIGITS) - 1);
    // Of a subnormal number nothing exact is said.
    if exponent == 0 {
        return 0.0;
    }
    let zeros = i32::try_from((fraction | 1 << DIGITS).trailing_zeros()).unwrap_or(0);
    2.0_f64.powi(exponent - 1023 - DIGITS + zeros)
}
