//! Whether a description is a sound ensemble: every tree a tree, every number one that can be compared.

use super::describe::{Branch, Ensemble, Fault, Field, Kind, Node, Tree};

/// More targets than any model has, and few enough that a row's answer is small.
pub(in crate::engine) const MOST_TARGETS: usize = 1 << 16;

/// More features than any model has.
const MOST_FEATURES: usize = 1 << 28;

/// Nodes of the whole ensemble: their positions are held in 32 bits.
const MOST_NODES: usize = 1 << 30;

impl Ensemble {
    /// Checks it for rows of `columns` values, where that is known.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub(in crate::engine) fn check(&self, columns: Option<usize>) -> Result<(), Fault> {
        let whole = |field, said| Err(Fault { node: None, field, said });
        let Self { trees, targets, base, weights, .. } = self;
        if trees.is_empty() {
            return whole(Field::Trees, "there is no tree".to_owned());
        }
        if *targets == 0 || *targets > MOST_TARGETS {
            return whole(Field::Targets, format!("{targets}; expected 1 to {MOST_TARGETS}"));
        }
        if !base.is_empty() && base.len() != *targets {
            return whole(Field::Base, format!("{} values; expected {targets}, one for each target", base.len()));
        }
        let nodes = trees.iter().fold(0_usize, |all, tree| all.saturating_add(tree.nodes.len()));
        if nodes > MOST_NODES || weights.len() > MOST_NODES {
            return whole(Field::Trees, format!("{nodes} nodes; expected at most {MOST_NODES}"));
        }
        trees.iter().try_for_each(|tree| Walk { ensemble: self, tree, columns: columns.unwrap_or(MOST_FEATURES) }.check())
    }
}

/// One tree's check.
struct Walk<'a> {
    ensemble: &'a Ensemble,
    tree: &'a Tree,
    columns: usize,
}

impl Walk<'_> {
    /// Goes over all that the root leads to. Nodes that nothing leads to are never asked, and are not looked at.
    fn check(&self) -> Result<(), Fault> {
        let (nodes, id) = (&self.tree.nodes, self.tree.id);
        let Some(root) = nodes.get(self.tree.root) else {
            return Err(Fault { node: None, field: Field::Trees, said: format!("tree {id} has no root") });
        };
        let mut reached = vec![false; nodes.len()];
        reached[self.tree.root] = true;
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            match &node.kind {
                Kind::Leaf(_) => self.leaf(node)?,
                Kind::Branch(branch) => {
                    self.branch(node, branch)?;
                    for (field, child) in [(Field::Yes, branch.yes), (Field::No, branch.no)] {
                        let Some(next) = nodes.get(child) else {
                            let said = format!("{child}; the tree has {} nodes", nodes.len());
                            return Err(self.fault(node, field, said));
                        };
                        if std::mem::replace(&mut reached[child], true) {
                            let said = format!(
                                "leads to node {}, which is reached twice: trees have no cycles and share no nodes",
                                next.id
                            );
                            return Err(self.fault(node, field, said));
                        }
                        open.push(next);
                    }
                }
            }
        }
        Ok(())
    }

    fn branch(&self, node: &Node, branch: &Branch) -> Result<(), Fault> {
        if branch.feature >= self.columns {
            let said = format!("{}; expected 0 to {}", branch.feature, self.columns.saturating_sub(1));
            return Err(self.fault(node, Field::Feature, said));
        }
        if branch.test.values().iter().any(|value| value.is_nan()) {
            return Err(self.fault(node, Field::Threshold, "NaN, which nothing compares with".to_owned()));
        }
        Ok(())
    }

    fn leaf(&self, node: &Node) -> Result<(), Fault> {
        let Kind::Leaf(range) = &node.kind else { return Ok(()) };
        let Some(weights) = self.ensemble.weights.get(range.clone()) else {
            return Err(self.fault(node, Field::WeightTarget, format!("no such weights: {range:?}")));
        };
        match weights.iter().find(|weight| weight.target >= self.ensemble.targets) {
            Some(weight) => {
                let said = format!("{}; expected 0 to {}", weight.target, self.ensemble.targets - 1);
                Err(self.fault(node, Field::WeightTarget, said))
            }
            None => Ok(()),
        }
    }

    fn fault(&self, node: &Node, field: Field, said: String) -> Fault {
        Fault { node: Some((self.tree.id, node.id)), field, said }
    }
}
