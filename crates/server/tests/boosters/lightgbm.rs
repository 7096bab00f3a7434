//! LightGBM's own files: what they answer, worked by hand, and which are refused. `make test-models` compares trained models with
//! the library itself.

use super::{near, opened, run};

/// `trees` trees, each with two branches: x0 <= 1.5 (missing: as `decision` says) gives the first leaf; else x1 <= 0 the second, or
/// the third.
fn model(objective: &str, trees_per_iteration: usize, decision: u8, leaves: &[[f64; 3]]) -> String {
    let head = format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration={trees_per_iteration}\nmax_feature_idx=1\nobjective={objective}\n"
    );
    let tree = |(at, [a, b, c]): (usize, &[f64; 3])| {
        format!(
            "Tree={at}\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 1\nthreshold=1.5 0\ndecision_type={decision} 2\nleft_child=-1 -2\n\
             right_child=1 -3\nleaf_value={a} {b} {c}\nis_linear=0\nshrinkage=1\n\n"
        )
    };
    let trees: String = leaves.iter().enumerate().map(tree).collect();
    format!("{head}\n{trees}end of trees\n\nparameters:\n[boosting: gbdt]\nend of parameters\n")
}

const ROWS: [f32; 8] = [1.5, 0.0, 1.6, 0.0, 2.0, 1.0, f32::NAN, 1.0];

fn answers(text: &str) -> Vec<Vec<f64>> {
    super::answers(text, &ROWS)
}

const ONE: [[f64; 3]; 1] = [[1.0, 2.0, 4.0]];

#[test]
fn missing_values_go_where_the_file_says() {
    // Bits: 1 is the default left, the next two say what is missing: nothing (NaN is 0 then), or NaN.
    assert_eq!(answers(&model("regression", 1, 0, &ONE)), [[1.0, 2.0, 4.0, 1.0]]);
    assert_eq!(answers(&model("regression", 1, 8, &ONE)), [[1.0, 2.0, 4.0, 4.0]]);
    assert_eq!(answers(&model("regression", 1, 10, &ONE)), [[1.0, 2.0, 4.0, 1.0]]);
    let facts = opened(&model("regression", 1, 0, &ONE)).unwrap().facts().clone();
    assert_eq!((facts.platform, facts.engine, &*facts.producer), ("lightgbm_text", "Trees", "LightGBM v4"));
}

#[test]
fn objectives_say_what_sums_mean() {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let halves = [[-0.5, 0.5, 0.0]];
    let binary = answers(&model("binary sigmoid:2", 1, 8, &halves));
    near(&binary[0], &[0.0, 1.0, 0.0, 0.0]);
    near(&binary[1], &[logistic(1.0), logistic(-1.0), logistic(-1.0), logistic(1.0), 0.5, 0.5, 0.5, 0.5]);
    near(&answers(&model("poisson", 1, 8, &halves))[0], &[-0.5, 0.5, 0.0, 0.0].map(f64::exp));
    let multi = answers(&model("multiclass num_class:2", 2, 8, &[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]));
    near(&multi[0], &[0.0, 0.0, 1.0, 1.0]);
    near(&multi[1][..4], &[logistic(1.0), logistic(-1.0), 0.5, 0.5]);
    // A forest's answer is the mean.
    let forest =
        model("regression", 1, 8, &[[1.0, 2.0, 4.0], [3.0, 4.0, 8.0]]).replacen("objective=", "average_output\nobjective=", 1);
    assert_eq!(answers(&forest), [[2.0, 3.0, 6.0, 6.0]]);
}

#[test]
fn categories_and_bare_leaves() {
    // 1 and 33 are in the set.
    let set = model("regression", 1, 1, &ONE)
        .replace("num_cat=0", "num_cat=1\ncat_boundaries=0 2\ncat_threshold=2 2")
        .replace("threshold=1.5 0", "threshold=0 0");
    let engine = opened(&set).unwrap();
    let outputs = run(&*engine, &[1.0, 1.0, 33.0, 1.0, 2.0, 1.0, f32::NAN, 0.0]);
    assert_eq!(outputs[0].to_f64().unwrap(), [1.0, 1.0, 4.0, 2.0]);
    let bare = "tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx=1\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=7\n";
    assert_eq!(answers(bare), [[7.0; 4]]);
}

#[test]
fn what_is_not_honoured_or_sound_is_refused_by_name() {
    let good = model("regression", 1, 8, &ONE);
    for (from, to, words) in [
        ("objective=regression", "objective=regression sqrt", "objective 'regression sqrt' (reg_sqrt) is not supported"),
        ("objective=regression", "objective=cross_entropy_lambda", "objective 'cross_entropy_lambda' is not supported"),
        ("is_linear=0", "is_linear=1", "linear_tree"),
        ("decision_type=8 2", "decision_type=6 2", "zero_as_missing"),
        ("decision_type=8 2", "decision_type=1 2", "tree 0, node 0: cat_boundaries: there is no set 1.5"),
        ("num_leaves=3", "num_leaves=4", "tree 0: leaf_value: 3 numbers; expected 4"),
        ("num_leaves=3", "num_leaves=x", "tree 0: num_leaves: 'x' is not a number of that kind"),
        ("num_leaves=3\n", "", "tree 0: num_leaves is missing"),
        ("threshold=1.5 0", "threshold=nan 0", "tree 0, node 0: threshold: NaN"),
        ("threshold=1.5 0", "threshold=1.5", "tree 0: threshold: 1 numbers; expected 2"),
        ("split_feature=0 1", "split_feature=0 2", "tree 0, node 1: split_feature: 2; expected 0 to 1"),
        ("left_child=-1 -2", "left_child=0 -2", "tree 0, node 0: left_child and right_child: leads to node 0"),
        ("left_child=-1 -2", "left_child=-9 -2", "tree 0, node 0: left_child and right_child: 10; the tree has 5 nodes"),
        ("num_cat=0", "num_cat=99999999999", "tree 0: cat_boundaries: 0 numbers"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=99999999999", "num_tree_per_iteration: 99999999999; expected 1 to"),
        ("max_feature_idx=1", "max_feature_idx=-1", "max_feature_idx: '-1' is not a number"),
        ("Tree=0", "Tree_0=", "Tree: there is no tree"),
    ] {
        assert!(good.contains(from), "{from}");
        let said = opened(&good.replace(from, to)).err().unwrap_or_else(|| panic!("{to} was loaded"));
        assert!(said.contains(words), "{to}: {said}");
    }
}

#[test]
fn a_file_that_was_cut_or_is_of_another_format_is_refused() {
    let two = model("regression", 1, 8, &[[1.0, 2.0, 4.0], [3.0, 4.0, 8.0]]).replace("\nTree=0", "tree_sizes=180 180\n\nTree=0");
    assert_eq!(answers(&two), [[4.0, 6.0, 12.0, 12.0]]);
    let said = |text: &str| opened(text).err().unwrap_or_else(|| panic!("{text} was loaded"));
    let between = said(&two[..two.find("Tree=1").unwrap()]);
    assert!(between.contains("tree_sizes lists 2 trees, found 1"), "{between}");
    let within = said(&two[..two.rfind("is_linear").unwrap()]);
    assert!(within.contains("there is no line 'end of trees'"), "{within}");
    let future = said(&two.replace("version=v4", "version=v9"));
    assert!(future.contains("version 'v9' of LightGBM's format; expected v2, v3 or v4"), "{future}");
}
