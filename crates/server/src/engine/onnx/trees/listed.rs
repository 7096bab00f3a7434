//! TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 to 3): nodes as parallel lists, named by tree and node.

use std::collections::HashMap;

use super::numbers::Numbers;
use super::{Source, classes};
use crate::engine::onnx::attributes::Attributes;
use crate::engine::trees::{Aggregate, Branch, Ensemble, Field, Finish, Kind, Node, Test, Transform, Tree, Weight};

/// Reads a classifier.
pub(super) fn classifier(attributes: Attributes<'_>) -> Result<Source, String> {
    let labels = classes::labels(attributes)?;
    let lists = Lists::of(attributes, "class", labels.len())?;
    let (mut ensemble, double) = lists.ensemble(Aggregate::Sum)?;
    let finish = classes::finish(&mut ensemble, transform(attributes)?)?;
    Ok(Source { ensemble, finish, labels: Some(labels), double, as_input: false, name_of: |field| name_of(field, true) })
}

/// Reads a regressor.
pub(super) fn regressor(attributes: Attributes<'_>) -> Result<Source, String> {
    let targets = attributes.int("n_targets", 1)?;
    let targets = usize::try_from(targets).map_err(|_| format!("n_targets: {targets}; expected 1 or more"))?;
    let aggregate = match attributes.text("aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Least,
        "MAX" => Aggregate::Greatest,
        other => return Err(format!("aggregate_function: '{other}'; expected SUM, AVERAGE, MIN or MAX")),
    };
    let (ensemble, double) = Lists::of(attributes, "target", targets)?.ensemble(aggregate)?;
    let finish = Finish::Values(transform(attributes)?);
    Ok(Source { ensemble, finish, labels: None, double, as_input: false, name_of: |field| name_of(field, false) })
}

fn transform(attributes: Attributes<'_>) -> Result<Transform, String> {
    let name = attributes.text("post_transform", "NONE")?;
    let expected = "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT";
    Transform::named(name).ok_or_else(|| format!("post_transform: '{name}'; expected {expected}"))
}

const fn name_of(field: Field, classifier: bool) -> &'static str {
    match field {
        Field::Trees => "nodes_treeids",
        Field::Targets if classifier => "classlabels",
        Field::Targets => "n_targets",
        Field::Base => "base_values",
        Field::Feature => "nodes_featureids",
        Field::Threshold => "nodes_values",
        Field::Yes => "nodes_truenodeids",
        Field::No => "nodes_falsenodeids",
        Field::WeightTarget if classifier => "class_ids",
        Field::WeightTarget => "target_ids",
    }
}

/// The lists, each as long as those it belongs to.
struct Lists<'a> {
    trees: &'a [i64],
    nodes: &'a [i64],
    features: &'a [i64],
    modes: &'a [Vec<u8>],
    yes: &'a [i64],
    no: &'a [i64],
    missing: &'a [i64],
    values: Numbers,
    weights: WeightLists<'a>,
    base: Numbers,
    targets: usize,
}

struct WeightLists<'a> {
    /// `class` or `target`.
    what: &'static str,
    trees: &'a [i64],
    nodes: &'a [i64],
    ids: &'a [i64],
    values: Numbers,
}

impl<'a> Lists<'a> {
    fn of(attributes: Attributes<'a>, what: &'static str, targets: usize) -> Result<Self, String> {
        let of = |name: &str| attributes.ints(&format!("{what}_{name}"));
        let values = Numbers::listed(attributes, &format!("{what}_weights"))?;
        let weights = WeightLists { what, trees: of("treeids")?, nodes: of("nodeids")?, ids: of("ids")?, values };
        let lists = Self {
            trees: attributes.ints("nodes_treeids")?,
            nodes: attributes.ints("nodes_nodeids")?,
            features: attributes.ints("nodes_featureids")?,
            modes: attributes.bytes("nodes_modes")?,
            yes: attributes.ints("nodes_truenodeids")?,
            no: attributes.ints("nodes_falsenodeids")?,
            missing: attributes.ints("nodes_missing_value_tracks_true")?,
            values: Numbers::listed(attributes, "nodes_values")?,
            weights,
            base: Numbers::listed(attributes, "base_values")?,
            targets,
        };
        lists.check_lengths()?;
        Ok(lists)
    }

    fn check_lengths(&self) -> Result<(), String> {
        let count = self.nodes.len();
        if count == 0 {
            return Err("nodes_nodeids is empty: there is no tree".to_owned());
        }
        let optional = if self.missing.is_empty() { count } else { self.missing.len() };
        for (name, found) in [
            ("nodes_treeids", self.trees.len()),
            ("nodes_featureids", self.features.len()),
            ("nodes_modes", self.modes.len()),
            ("nodes_values", self.values.values.len()),
            ("nodes_truenodeids", self.yes.len()),
            ("nodes_falsenodeids", self.no.len()),
            ("nodes_missing_value_tracks_true", optional),
        ] {
            if found != count {
                return Err(format!("{name}: {found} entries; expected {count}, one for each of nodes_nodeids"));
            }
        }
        let WeightLists { what, trees, nodes, ids, values } = &self.weights;
        for (name, found) in [("treeids", trees.len()), ("nodeids", nodes.len()), ("weights", values.values.len())] {
            if found != ids.len() {
                return Err(format!("{what}_{name}: {found} entries; expected {}, one for each of {what}_ids", ids.len()));
            }
        }
        Ok(())
    }

    /// The ensemble, and whether anything in it is FP64.
    fn ensemble(&self, aggregate: Aggregate) -> Result<(Ensemble, bool), String> {
        let places = Places::of(self.trees, self.nodes)?;
        let (weights, ranges) = self.weights.sorted(&places, self.targets)?;
        let mut trees: Vec<Tree> = places.trees.iter().map(|tree| Tree { id: tree.id, ..Tree::default() }).collect();
        let mut has_parent: Vec<Vec<bool>> = places.trees.iter().map(|tree| vec![false; tree.count]).collect();
        for (at, tree) in places.of.iter().enumerate() {
            let kind = match self.test(at)? {
                None => Kind::Leaf(ranges[at]..ranges[at + 1]),
                Some(test) => {
                    let branch = self.branch(at, test, &places.trees[*tree])?;
                    has_parent[*tree][branch.yes] = true;
                    has_parent[*tree][branch.no] = true;
                    Kind::Branch(branch)
                }
            };
            trees[*tree].nodes.push(Node { id: self.nodes[at], kind });
        }
        for (tree, has_parent) in trees.iter_mut().zip(has_parent) {
            tree.root = root(&tree.nodes, &has_parent);
        }
        let double = self.values.double || self.weights.values.double || self.base.double;
        let Self { base, targets, .. } = self;
        let base = base.values.clone();
        Ok((Ensemble { trees, weights, targets: *targets, aggregate, base, base_first: false }, double))
    }

    /// A node's test; `None` for a leaf.
    fn test(&self, at: usize) -> Result<Option<Test>, String> {
        let value = self.values.values[at];
        Ok(Some(match self.modes[at].as_slice() {
            b"LEAF" => return Ok(None),
            b"BRANCH_LEQ" => Test::AtMost(value),
            b"BRANCH_LT" => Test::Below(value),
            b"BRANCH_GTE" => Test::AtLeast(value),
            b"BRANCH_GT" => Test::Above(value),
            b"BRANCH_EQ" => Test::Equal(value),
            b"BRANCH_NEQ" => Test::Unequal(value),
            other => {
                let found: String = String::from_utf8_lossy(other).chars().take(40).collect();
                return Err(self.fault(at, "nodes_modes", &format!("'{found}' is no mode of a node")));
            }
        }))
    }

    fn branch(&self, at: usize, test: Test, tree: &TreePlaces) -> Result<Branch, String> {
        let child = |name: &str, id: i64| {
            tree.place(id).ok_or_else(|| self.fault(at, name, &format!("leads to node {id}, which the tree has not")))
        };
        let (yes, no) = (child("nodes_truenodeids", self.yes[at])?, child("nodes_falsenodeids", self.no[at])?);
        let feature = usize::try_from(self.features[at]);
        let feature =
            feature.map_err(|_| self.fault(at, "nodes_featureids", &format!("{}; expected 0 or more", self.features[at])))?;
        Ok(Branch { feature, test, missing: self.missing.get(at).is_some_and(|one| *one != 0), yes, no })
    }

    fn fault(&self, at: usize, attribute: &str, said: &str) -> String {
        format!("tree {}, node {}: {attribute}: {said}", self.trees[at], self.nodes[at])
    }
}

/// The node listed first, as everybody writes it; or the one branch that nothing leads to. Where there is none there is a cycle,
/// which the check finds from the first.
fn root(nodes: &[Node], has_parent: &[bool]) -> usize {
    let is_root = |at: &usize| !has_parent[*at] && matches!(nodes[*at].kind, Kind::Branch(_));
    let mut roots = (0..nodes.len()).filter(is_root);
    match (has_parent.first(), roots.next(), roots.next()) {
        (Some(true), Some(root), None) => root,
        _ => 0,
    }
}

impl WeightLists<'_> {
    /// The weights in the order of the nodes they belong to, and where those of each node begin; one more at the end.
    fn sorted(&self, places: &Places, targets: usize) -> Result<(Vec<Weight>, Vec<usize>), String> {
        let what = self.what;
        let mut owners = Vec::with_capacity(self.ids.len());
        let mut begins = vec![0; places.of.len() + 1];
        for (at, (tree, node)) in self.trees.iter().zip(self.nodes).enumerate() {
            let Some(owner) = places.listed(*tree, *node) else {
                return Err(format!("tree {tree}, node {node}: {what}_nodeids: no such node"));
            };
            if usize::try_from(self.ids[at]).is_ok_and(|id| id < targets) {
                owners.push(owner);
                begins[owner + 1] += 1;
            } else {
                let (found, last) = (self.ids[at], targets.saturating_sub(1));
                return Err(format!("tree {tree}, node {node}: {what}_ids: {found}; expected 0 to {last}"));
            }
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut next = begins.clone();
        let mut weights = vec![Weight { target: 0, value: 0.0 }; owners.len()];
        for ((owner, id), value) in owners.into_iter().zip(self.ids).zip(&self.values.values) {
            weights[next[owner]] = Weight { target: usize::try_from(*id).unwrap_or(0), value: *value };
            next[owner] += 1;
        }
        Ok((weights, begins))
    }
}

/// Where each node stands in its tree.
struct Places {
    trees: Vec<TreePlaces>,
    numbers: HashMap<i64, usize>,
    /// By position in the lists: the tree.
    of: Vec<usize>,
}

struct TreePlaces {
    id: i64,
    count: usize,
    /// Positions in the lists, by place in the tree.
    listed: Vec<usize>,
    /// Places by the nodes' names; empty while the names are the places.
    names: HashMap<i64, usize>,
}

impl TreePlaces {
    fn place(&self, id: i64) -> Option<usize> {
        match usize::try_from(id) {
            _ if !self.names.is_empty() => self.names.get(&id).copied(),
            Ok(place) if place < self.count => Some(place),
            _ => None,
        }
    }

    /// Takes in a node; whether its name is new.
    fn push(&mut self, id: i64, at: usize) -> bool {
        let place = self.count;
        self.count += 1;
        self.listed.push(at);
        if self.names.is_empty() {
            if usize::try_from(id) == Ok(place) {
                return true;
            }
            self.names = (0..place).map(|place| (i64::try_from(place).unwrap_or(i64::MAX), place)).collect();
        }
        self.names.insert(id, place).is_none()
    }
}

impl Places {
    fn of(trees: &[i64], nodes: &[i64]) -> Result<Self, String> {
        let mut places = Self { trees: Vec::new(), numbers: HashMap::new(), of: Vec::with_capacity(nodes.len()) };
        for (at, (tree, node)) in trees.iter().zip(nodes).enumerate() {
            let next = places.trees.len();
            let number = *places.numbers.entry(*tree).or_insert(next);
            if number == next {
                places.trees.push(TreePlaces { id: *tree, count: 0, listed: Vec::new(), names: HashMap::new() });
            }
            if !places.trees[number].push(*node, at) {
                return Err(format!("tree {tree}, node {node}: nodes_nodeids: the node is listed twice"));
            }
            places.of.push(number);
        }
        Ok(places)
    }

    /// A node's position in the lists.
    fn listed(&self, tree: i64, node: i64) -> Option<usize> {
        let tree = &self.trees[*self.numbers.get(&tree)?];
        tree.listed.get(tree.place(node)?).copied()
    }
}
