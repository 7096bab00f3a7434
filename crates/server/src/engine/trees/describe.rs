//! A tree ensemble as any source describes it: numbers, and which node leads where. Nothing here is checked yet.

use std::ops::Range;

/// Trees whose leaves add up to the values of a row.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Ensemble {
    pub(in crate::engine) trees: Vec<Tree>,
    /// What the leaves give; each leaf names a range of these.
    pub(in crate::engine) weights: Vec<Weight>,
    /// How many values a row is answered with.
    pub(in crate::engine) targets: usize,
    pub(in crate::engine) aggregate: Aggregate,
    /// Added to each target; empty, or one for each target.
    pub(in crate::engine) base: Vec<f64>,
    /// Whether a [`Aggregate::Sum`] begins with its base; else the base is added at the end. The same but for rounding.
    pub(in crate::engine) base_first: bool,
}

/// One tree. `root` and the children in its branches are positions in `nodes`.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Tree {
    /// The source's own name for it, for errors.
    pub(in crate::engine) id: i64,
    pub(in crate::engine) root: usize,
    pub(in crate::engine) nodes: Vec<Node>,
}

/// One node.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Node {
    /// The source's own name for it, for errors.
    pub(in crate::engine) id: i64,
    pub(in crate::engine) kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Kind {
    Branch(Branch),
    /// The weights that the leaf gives.
    Leaf(Range<usize>),
}

/// A question about one feature, and where its answers lead.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Branch {
    pub(in crate::engine) feature: usize,
    pub(in crate::engine) test: Test,
    /// Whether a missing value (NaN) goes the way of `yes`.
    pub(in crate::engine) missing: bool,
    pub(in crate::engine) yes: usize,
    pub(in crate::engine) no: usize,
}

/// The question: is the value ...
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Test {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Equal(f64),
    /// True of NaN too, as the comparison of numbers has it.
    Unequal(f64),
    Member(Vec<f64>),
}

impl Test {
    /// The numbers that it compares with.
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
}

/// What a leaf gives to one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) struct Weight {
    pub(in crate::engine) target: usize,
    pub(in crate::engine) value: f64,
}

/// How the trees' weights for one target become its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Aggregate {
    #[default]
    Sum,
    /// The sum divided by the number of trees.
    Average,
    Least,
    Greatest,
}

/// Why a description is no sound ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Fault {
    /// The tree and the node at fault, by the source's names; `None` where the whole is.
    pub(in crate::engine) node: Option<(i64, i64)>,
    /// What of it is wrong: the source knows the name that its format has for it.
    pub(in crate::engine) field: Field,
    /// What was found, and what was expected.
    pub(in crate::engine) said: String,
}

/// What a [`Fault`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Field {
    Trees,
    Targets,
    Base,
    Feature,
    Threshold,
    Yes,
    No,
    WeightTarget,
}
