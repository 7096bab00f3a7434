//! `evaluate`: figures, limits, and what cannot be evaluated.

use super::*;

/// Rows whose class is where the score is, but for the last.
pub(crate) fn dataset(folder: &Path) -> String {
    let mut text = "a,b,c,d,animal\n".to_owned();
    for row in 0..40 {
        let class = row % 3;
        let cells: Vec<&str> = (0..4).map(|column| if column == class + 1 { "2.5" } else { "0" }).collect();
        let label = if row == 39 { "ox" } else { ["cat", "dog", "ox"][class] };
        text.push_str(&format!("{},{label}\n", cells.join(",")));
    }
    file(folder, "animals.csv", text)
}

#[test]
fn a_classifier_is_evaluated() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    for protocol in PROTOCOLS {
        let mut arguments = vec!["evaluate", "tiny", "--data", &data, "--labels", "animal", "--batch-size", "7", "-o", "json"];
        arguments.extend(["--protocol", protocol, "--classes", "cat,dog,ox"]);
        let found = document(&fake, &arguments);
        assert_eq!((&found["task"], &found["rows"]), (&json!("classification"), &json!(40)));
        assert_eq!(found["metrics"]["accuracy"], json!(39.0 / 40.0));
        assert_eq!(found["confusion"]["counts"], json!([[13, 0, 0], [0, 13, 0], [1, 0, 13]]));
        assert_eq!(found["undefined"], json!({}));
        assert!(found["metrics"]["latency_p99_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn limits_become_exit_codes_and_figures_a_page() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let page: PathBuf = folder.path().join("report.html");
    let base = ["evaluate", "tiny", "--data", &data, "--labels", "animal"];
    let kept = ["--fail-under", "accuracy=0.9", "--fail-over", "log_loss=1", "--report", page.to_str().unwrap()];
    let shown = stdout(&fake, &[&base[..], &kept[..]].concat());
    assert!(shown.contains("tiny version 1: classification of 40 rows") && shown.contains("confusion matrix"), "{shown}");
    let page = std::fs::read_to_string(page).unwrap();
    for words in
        ["<svg role=\"img\" aria-label=\"Confusion matrix\"", "ox taken for cat: 1 of 14", "aria-label=\"ROC\"", "Calibration"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("http") && !page.contains("<script"), "the page must need nothing else");
    let broken = ["--fail-under", "accuracy=0.99", "--fail-under", "f1_macro=0.5"];
    let error = refusal(&fake, &[&base[..], &broken[..]].concat());
    assert!(error.ends_with("failed: accuracy is 0.975, below 0.99\n"), "{error}");
    let error = refusal(&fake, &[&base[..], &["--fail-under", "r2=0.5"]].concat());
    assert!(error.contains("no figure 'r2' of this classification; there are accuracy, "), "{error}");
    let error = refusal(&fake, &["evaluate", "tiny", "--data", &data, "--labels", "species"]);
    assert!(error.contains(".csv: no column 'species' for --labels; the file holds 'a', 'b', 'c', 'd', 'animal'"), "{error}");
}

#[test]
fn a_limit_of_no_known_figure_is_refused_before_anything_is_sent() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let base = ["evaluate", "tiny", "--data", &data, "--labels", "animal", "--fail-under"];
    let error = misuse(&fake, &[&base[..], &["accuracyy=0.5"]].concat());
    assert!(error.starts_with("error: --fail-under accuracyy: no such figure of an evaluation; there are accuracy, "), "{error}");
    let error = misuse(&fake, &[&base[..], &["r2=0.5", "--task", "classification"]].concat());
    assert!(error.starts_with("error: --fail-under r2: no such figure of a classification"), "{error}");
    assert_eq!(fake.requests.infers.load(Ordering::Relaxed), 0);
}

#[test]
fn an_undefined_figure_is_null_with_its_reason() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let data = file(folder.path(), "two.csv", "a,b,c,d,y\n1,0,0,0,0\n0,0,3,0,1\n");
    let found = document(&fake, &["evaluate", "tiny", "--data", &data, "-o", "json"]);
    assert_eq!(found["metrics"]["roc_auc_ovr_macro"], Value::Null);
    assert_eq!(found["undefined"]["roc_auc_ovr_macro"], "class 'ox': no row is of the class: ROC AUC needs both");
    let error = refusal(&fake, &["evaluate", "tiny", "--data", &data, "--fail-under", "roc_auc_ovr_macro=0.5"]);
    assert!(error.contains("roc_auc_ovr_macro is undefined: class 'ox'"), "{error}");
}

#[test]
fn a_class_named_twice_is_refused_before_anything_is_sent() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let error = misuse(&fake, &["evaluate", "tiny", "--data", &data, "--labels", "animal", "--classes", "cat,dog,cat"]);
    assert_eq!(error, "error: --classes: 'cat' is written twice; expected a name of its own for each class\n");
    assert_eq!(fake.requests.infers.load(Ordering::Relaxed), 0);
}

#[test]
fn a_report_is_a_file() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let error = misuse(&fake, &["evaluate", "tiny", "--data", &data, "--labels", "animal", "--report", "-"]);
    assert_eq!(error, "error: --report -: expected a file, such as report.html; the figures are on standard output\n");
    assert_eq!(fake.requests.infers.load(Ordering::Relaxed), 0);
}
