//! Decision trees out of their attributes: each a list of nodes, the root first and every child behind its parent.

/// The trees of one operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Forest {
    pub(super) trees: Vec<Tree>,
    pub(super) aggregate: Aggregate,
    /// Added to the sums; may be empty.
    pub(super) base: Vec<f64>,
}

/// One tree. `nodes[0]` is its root.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    pub(super) id: i64,
    pub(super) nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Leaf(Vec<Weight>),
    Branch(Branch),
}

/// What a leaf gives to one target or class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight {
    pub(super) target: i64,
    pub(super) value: f64,
}

/// A question about one feature, and the positions that its answers lead to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub(super) feature: i64,
    pub(super) test: Test,
    /// Whether a missing value (NaN) is answered yes, where the comparison itself says no.
    pub(super) missing: bool,
    pub(super) yes: usize,
    pub(super) no: usize,
}

/// Is the value ...
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Equal(f64),
    /// True of NaN too.
    Unequal(f64),
    Member(Vec<f64>),
}

/// How the weights of several trees become a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    /// The least or the greatest.
    Extreme,
}

impl Test {
    pub(super) fn values(&self) -> &[f64] {
        match self {
            Self::AtMost(value)
            | Self::Below(value)
            | Self::AtLeast(value)
            | Self::Above(value)
            | Self::Equal(value)
            | Self::Unequal(value) => std::slice::from_ref(value),
            Self::Member(values) => values,
        }
    }

    /// The number that ai.onnx.ml 5 has for its kind.
    pub(super) const fn mode(&self) -> u8 {
        match self {
            Self::AtMost(_) => 0,
            Self::Below(_) => 1,
            Self::AtLeast(_) => 2,
            Self::Above(_) => 3,
            Self::Equal(_) => 4,
            Self::Unequal(_) => 5,
            Self::Member(_) => 6,
        }
    }

    /// The test of that number, but for members.
    pub(super) const fn of(mode: u8, value: f64) -> Option<Self> {
        Some(match mode {
            0 => Self::AtMost(value),
            1 => Self::Below(value),
            2 => Self::AtLeast(value),
            3 => Self::Above(value),
            4 => Self::Equal(value),
            5 => Self::Unequal(value),
            _ => return None,
        })
    }
}

impl Branch {
    /// How a missing value is answered.
    pub(super) const fn of_missing(&self) -> bool {
        self.missing || matches!(self.test, Test::Unequal(_))
    }
}

impl Forest {
    pub(super) fn count(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len()).sum()
    }

    pub(super) fn weights(&self) -> impl Iterator<Item = &Weight> {
        self.trees.iter().flat_map(|tree| &tree.nodes).flat_map(|node| match node {
            Node::Leaf(weights) => weights.as_slice(),
            Node::Branch(_) => &[],
        })
    }

    pub(super) fn weights_mut(&mut self) -> impl Iterator<Item = &mut Weight> {
        self.trees.iter_mut().flat_map(|tree| &mut tree.nodes).flat_map(|node| match node {
            Node::Leaf(weights) => weights.as_mut_slice(),
            Node::Branch(_) => &mut [],
        })
    }

    /// What the operators make of all weights together: whether none is negative, and whether they are for one class, and which. It
    /// decides what the one column of a classifier of two classes means, so it has to stay.
    pub(super) fn sense(&self) -> (bool, Option<i64>) {
        let first = self.weights().next().map(|one| one.target);
        let one = first.filter(|first| self.weights().all(|weight| weight.target == *first));
        (self.weights().all(|one| one.value >= 0.0), one)
    }
}

/// A tree of nodes that name their children in a list of another order: the root's first, each child behind its parent. `None` where
/// a node is reached twice or not at all, or leads nowhere.
pub(super) fn ordered(id: i64, nodes: &[Node], root: usize) -> Option<Tree> {
    let (mut order, mut place) = (vec![root], vec![usize::MAX; nodes.len()]);
    *place.get_mut(root)? = 0;
    let mut at = 0;
    while let Some(node) = order.get(at) {
        if let Node::Branch(branch) = &nodes[*node] {
            for child in [branch.yes, branch.no] {
                if *place.get(child)? != usize::MAX {
                    return None;
                }
                place[child] = order.len();
                order.push(child);
            }
        }
        at += 1;
    }
    let moved = |node: &usize| match &nodes[*node] {
        Node::Branch(branch) => Node::Branch(Branch { yes: place[branch.yes], no: place[branch.no], ..branch.clone() }),
        leaf @ Node::Leaf(_) => leaf.clone(),
    };
    (order.len() == nodes.len()).then(|| Tree { id, nodes: order.iter().map(moved).collect() })
}
