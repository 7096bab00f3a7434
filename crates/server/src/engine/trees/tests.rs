//! The kernel against the plainest walk there is: from the root, one comparison after another, as the tests say.

use proptest::prelude::*;

use super::*;

/// Numbers that meet: thresholds and values are both taken from here.
const NUMBERS: [f64; 12] = [
    f64::NEG_INFINITY,
    f32::MIN as f64,
    -1.5,
    -f32::MIN_POSITIVE as f64,
    -0.0,
    0.0,
    1e-45_f32 as f64,
    0.5,
    1.0,
    1.000_000_119_209_289_6,
    f32::MAX as f64,
    f64::INFINITY,
];

fn number() -> impl Strategy<Value = f64> {
    prop::sample::select(NUMBERS.to_vec())
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        number().prop_map(Test::AtMost),
        number().prop_map(Test::Below),
        number().prop_map(Test::AtLeast),
        number().prop_map(Test::Above),
        number().prop_map(Test::Equal),
        number().prop_map(Test::Unequal),
        prop::collection::vec(number(), 1..7).prop_map(Test::Member),
    ]
}

/// A made-up node: whether it branches, and how.
type Seed = (bool, Test, bool, usize);

/// How many weights leaves have.
#[derive(Clone, Copy, Debug)]
enum Given {
    One,
    All,
    Some,
}

/// A tree grown from seeds: while there are any, open places become branches or leaves; then leaves.
fn tree(seeds: &[Seed], id: usize, given: Given, ensemble: &mut Ensemble) -> Tree {
    let mut tree = Tree { id: id as i64, root: 0, nodes: Vec::new() };
    let mut open = 1;
    let mut seeds = seeds.iter();
    while tree.nodes.len() < open {
        let at = tree.nodes.len();
        let kind = match seeds.next() {
            Some((branches, test, missing, feature)) if *branches || at == 0 => {
                open += 2;
                Kind::Branch(Branch { feature: *feature, test: test.clone(), missing: *missing, yes: open - 2, no: open - 1 })
            }
            _ => {
                let begin = ensemble.weights.len();
                let targets: Vec<usize> = match given {
                    Given::One => vec![id % ensemble.targets],
                    Given::All => (0..ensemble.targets).rev().collect(),
                    Given::Some => (0..ensemble.targets).filter(|target| (at + target).is_multiple_of(3)).collect(),
                };
                // Each leaf another number, of which any sum is exact.
                let value = |target: usize| ((id * 4096 + at * 16 + target + 1) as f64) / 8.0 - 700.0;
                ensemble.weights.extend(targets.into_iter().map(|target| Weight { target, value: value(target) }));
                Kind::Leaf(begin..ensemble.weights.len())
            }
        };
        tree.nodes.push(Node { id: at as i64, kind });
    }
    tree
}

/// Trees, what their leaves give, and how many targets there are.
fn ensemble() -> impl Strategy<Value = Ensemble> {
    let seed = (prop::bool::weighted(0.7), test(), any::<bool>(), 0_usize..5);
    let trees = prop::collection::vec(prop::collection::vec(seed, 0..40), 1..12);
    let given = prop::sample::select(vec![Given::One, Given::All, Given::Some]);
    let aggregate = prop::sample::select(vec![Aggregate::Sum, Aggregate::Average, Aggregate::Least, Aggregate::Greatest]);
    (trees, 1_usize..20, given, aggregate, any::<bool>()).prop_map(|(seeds, targets, given, aggregate, based)| {
        let mut ensemble = Ensemble { targets, aggregate, ..Ensemble::default() };
        if based {
            ensemble.base = (0..targets).map(|target| target as f64 / 4.0).collect();
            ensemble.base_first = aggregate == Aggregate::Sum && seeds.len().is_multiple_of(2);
        }
        ensemble.trees = seeds.iter().enumerate().map(|(id, seeds)| tree(seeds, id, given, &mut ensemble)).collect();
        ensemble
    })
}

fn answers(test: &Test, value: f64) -> bool {
    match test {
        Test::AtMost(other) => value <= *other,
        Test::Below(other) => value < *other,
        Test::AtLeast(other) => value >= *other,
        Test::Above(other) => value > *other,
        Test::Equal(other) => value == *other,
        Test::Unequal(other) => value != *other,
        Test::Member(others) => others.contains(&value),
    }
}

fn leaf(tree: &Tree, row: &[f64]) -> std::ops::Range<usize> {
    let mut at = tree.root;
    loop {
        match &tree.nodes[at].kind {
            Kind::Leaf(range) => return range.clone(),
            Kind::Branch(branch) => {
                let value = row[branch.feature];
                let yes = answers(&branch.test, value) || (branch.missing && value.is_nan());
                at = if yes { branch.yes } else { branch.no };
            }
        }
    }
}

fn plainly(ensemble: &Ensemble, row: &[f64]) -> Vec<f64> {
    let target = |target: usize| {
        let leaves = ensemble.trees.iter().flat_map(|tree| &ensemble.weights[leaf(tree, row)]);
        let given = leaves.filter(|weight| weight.target == target).map(|weight| weight.value);
        let value = match ensemble.aggregate {
            Aggregate::Sum => given.sum(),
            Aggregate::Average => given.sum::<f64>() / ensemble.trees.len() as f64,
            Aggregate::Least => given.reduce(f64::min).unwrap_or(0.0),
            Aggregate::Greatest => given.reduce(f64::max).unwrap_or(0.0),
        };
        value + ensemble.base.get(target).unwrap_or(&0.0)
    };
    (0..ensemble.targets).map(target).collect()
}

fn all(model: &Model, rows: Rows<'_>, width: usize) -> Vec<f64> {
    model.run(rows, width, &|| true).unwrap().scores.into_f64()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_row_finds_its_leaves(
        ensemble in ensemble(),
        values in prop::collection::vec(prop_oneof![4 => number(), 1 => Just(f64::NAN)], 5 * 70),
        missing in any::<bool>(),
        count in 1_usize..70,
    ) {
        let values: Vec<f64> = values.into_iter().take(count * 5).map(|x| if x.is_nan() && !missing { 0.0 } else { x }).collect();
        let expected: Vec<f64> = values.chunks(5).flat_map(|row| plainly(&ensemble, row)).collect();
        let finish = Finish::Values(Transform::None);
        let double = Model::build(&ensemble, finish, Precision::Double, Some(5)).unwrap();
        prop_assert_eq!(&all(&double, Rows::F64(&values), 5), &expected);
        let single = Model::build(&ensemble, finish, Precision::Single, None).unwrap();
        let near = values.iter().map(|value| *value as f32).collect::<Vec<_>>();
        // One row after another, and all together: the same, and but for an average's division exact.
        let apart: Vec<f64> = near.chunks(5).flat_map(|row| all(&single, Rows::F32(row), 5)).collect();
        let raw: Vec<[u8; 4]> = near.iter().map(|value| value.to_le_bytes()).collect();
        prop_assert_eq!(&all(&single, Rows::Raw32(&raw), 5), &apart);
        let close = apart.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0));
        prop_assert!(close, "{apart:?} {expected:?}");
        if ensemble.aggregate != Aggregate::Average {
            prop_assert_eq!(&apart, &expected);
        }
    }
}

/// One tree: a branch of `test`, to the weights 1 (yes) and 0 (no).
fn stump(test: Test) -> Ensemble {
    let branch = Branch { feature: 0, test, missing: false, yes: 1, no: 2 };
    let kinds = [Kind::Branch(branch), Kind::Leaf(0..1), Kind::Leaf(1..2)];
    let nodes = kinds.into_iter().enumerate().map(|(id, kind)| Node { id: id as i64, kind }).collect();
    let weights = [1.0, 0.0].map(|value| Weight { target: 0, value }).to_vec();
    Ensemble { trees: vec![Tree { id: 7, root: 0, nodes }], weights, targets: 1, ..Ensemble::default() }
}

fn fault(change: impl FnOnce(&mut Ensemble)) -> Fault {
    let mut ensemble = stump(Test::AtMost(0.0));
    change(&mut ensemble);
    Model::build(&ensemble, Finish::Values(Transform::None), Precision::Single, Some(3)).err().unwrap()
}

fn change_branch(ensemble: &mut Ensemble, change: impl FnOnce(&mut Branch)) {
    if let Kind::Branch(branch) = &mut ensemble.trees[0].nodes[0].kind {
        change(branch);
    }
}

#[test]
fn faults_name_the_node_and_the_field() {
    let of_root = |change: fn(&mut Branch)| {
        let fault = fault(|ensemble| change_branch(ensemble, change));
        assert_eq!(fault.node, Some((7, 0)));
        (fault.field, fault.said)
    };
    assert_eq!(of_root(|branch| branch.feature = 3), (Field::Feature, "3; expected 0 to 2".to_owned()));
    assert_eq!(of_root(|branch| branch.yes = 3), (Field::Yes, "3; the tree has 3 nodes".to_owned()));
    let cycle = of_root(|branch| branch.no = 0);
    assert!(cycle.0 == Field::No && cycle.1.contains("node 0, which is reached twice"), "{cycle:?}");
    let shared = of_root(|branch| branch.no = 1);
    assert!(shared.0 == Field::No && shared.1.contains("node 1, which is reached twice"), "{shared:?}");
    assert_eq!(of_root(|branch| branch.test = Test::Below(f64::NAN)).0, Field::Threshold);
    assert_eq!(of_root(|branch| branch.test = Test::Member(vec![1.0, f64::NAN])).0, Field::Threshold);
    let target = fault(|ensemble| ensemble.weights[1].target = 1);
    assert_eq!((target.node, target.field), (Some((7, 2)), Field::WeightTarget));
    for (field, change) in [
        (Field::Trees, (|ensemble| ensemble.trees.clear()) as fn(&mut Ensemble)),
        (Field::Trees, |ensemble| ensemble.trees[0].nodes.clear()),
        (Field::Targets, |ensemble| ensemble.targets = 0),
        (Field::Targets, |ensemble| ensemble.targets = 1_000_000_000),
        (Field::Base, |ensemble| ensemble.base = vec![1.0, 2.0]),
    ] {
        let found = fault(change);
        assert_eq!((found.node, found.field), (None, field));
    }
}

#[test]
fn neighbouring_numbers_are_told_apart() {
    let one = 1.0_f32;
    let around = [one.next_down(), one, one.next_up(), f32::NAN];
    for (test, expected) in [
        (Test::AtMost(1.0), [1.0, 1.0, 0.0, 0.0]),
        (Test::Below(1.0), [1.0, 0.0, 0.0, 0.0]),
        (Test::AtLeast(1.0), [0.0, 1.0, 1.0, 0.0]),
        (Test::Above(1.0), [0.0, 0.0, 1.0, 0.0]),
        (Test::Equal(1.0), [0.0, 1.0, 0.0, 0.0]),
        (Test::Unequal(1.0), [1.0, 0.0, 1.0, 1.0]),
        (Test::Member(vec![one.next_up().into(), one.next_down().into()]), [1.0, 0.0, 1.0, 0.0]),
    ] {
        let model = Model::build(&stump(test.clone()), Finish::Values(Transform::None), Precision::Single, None).unwrap();
        assert_eq!(all(&model, Rows::F32(&around), 1), expected, "{test:?}");
    }
}

/// What `finish` makes of these sums.
fn finished(finish: Finish, sums: &[f64]) -> (Vec<usize>, Vec<f64>) {
    let leaf = Node { id: 0, kind: Kind::Leaf(0..sums.len()) };
    let weights = sums.iter().enumerate().map(|(target, value)| Weight { target, value: *value }).collect();
    let trees = vec![Tree { id: 0, root: 0, nodes: vec![leaf] }];
    let ensemble = Ensemble { trees, weights, targets: sums.len(), ..Ensemble::default() };
    let answer = Model::build(&ensemble, finish, Precision::Double, None).unwrap().run(Rows::F64(&[0.0]), 1, &|| true).unwrap();
    (answer.best, answer.scores.into_f64())
}

#[test]
fn sums_become_answers_by_their_formulas() {
    let e = std::f64::consts::E;
    let close = |found: Vec<f64>, expected: &[f64]| {
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5) && found.len() == expected.len(),
            "{found:?} {expected:?}"
        );
    };
    let values = |transform, sums: &[f64]| finished(Finish::Values(transform), sums).1;
    close(values(Transform::Softmax, &[0.0, 1.0]), &[1.0 / (1.0 + e), e / (1.0 + e)]);
    close(values(Transform::Logistic, &[0.0, -800.0]), &[0.5, 0.0]);
    close(values(Transform::SoftmaxZero, &[0.0, 2.0, 2.0]), &[0.0, 0.5, 0.5]);
    // As ONNX Runtime 1.32 answers.
    assert!(values(Transform::SoftmaxZero, &[0.0, 0.0]).iter().all(|x| x.is_nan()));
    // As ONNX Runtime answers: the quantiles of 0.5, and of 0.6 by the same approximation.
    close(values(Transform::Probit, &[0.5, 0.6]), &[0.0, 0.253_353_5]);
    // A single value is transformed by PROBIT alone.
    close(values(Transform::Logistic, &[3.0]), &[3.0]);
    close(values(Transform::Probit, &[0.4]), &[-0.253_353_5]);
    let (best, scores) = finished(Finish::Classes(Columns::Each, Transform::None), &[0.2, 0.7, 0.7]);
    assert_eq!(best, [1]);
    close(scores, &[0.2, 0.7, 0.7]);
    for (columns, transform, sum, expected) in [
        (Columns::Deciding { positive: true }, Transform::None, 0.5, (0, [0.5, 0.5])),
        (Columns::Deciding { positive: true }, Transform::None, 0.6, (1, [0.4, 0.6])),
        (Columns::Deciding { positive: true }, Transform::Logistic, 0.3, (0, [0.425_557, 0.574_443])),
        (Columns::Deciding { positive: false }, Transform::None, 0.3, (1, [-0.3, 0.3])),
        (Columns::Deciding { positive: false }, Transform::Logistic, -0.3, (0, [0.574_443, 0.425_557])),
        (Columns::SecondOnly { positive: true }, Transform::None, 0.6, (1, [0.0, 0.6])),
        (Columns::SecondOnly { positive: false }, Transform::Softmax, 0.3, (1, [0.425_557, 0.574_443])),
    ] {
        let (best, scores) = finished(Finish::Classes(columns, transform), &[sum]);
        assert_eq!(best, [expected.0], "{columns:?} {transform:?}");
        close(scores, &expected.1);
    }
}

#[test]
fn a_run_ends_when_it_should() {
    let model = Model::build(&stump(Test::AtMost(0.0)), Finish::Values(Transform::None), Precision::Single, None).unwrap();
    assert_eq!(model.run(Rows::F32(&[0.0; 9]), 1, &|| false), None);
}
