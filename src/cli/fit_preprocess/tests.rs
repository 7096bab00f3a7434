//! Statistics against scikit-learn's (tests/fit/reference.py writes them), and what cannot be fitted.

use clap::Parser;
use modelyard_core::steps::Step;
use serde_json::{Value, json};

use super::Arguments;
use crate::inputs::Table;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn fitted(table: &str, flags: &[&str]) -> Result<Vec<Step>, String> {
    let line = Line::try_parse_from(["fit", "--data", "x.csv"].into_iter().chain(flags.iter().copied()))
        .map_err(|error| error.to_string())?;
    let columns = line.arguments.columns(&Table::parse(table.as_bytes()).unwrap());
    columns.and_then(|columns| line.arguments.steps(columns)).map_err(|error| format!("{error:#}"))
}

fn numbers(of: &Value) -> Vec<f64> {
    of.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
}

/// What a scaler makes of a number of its column `at`.
fn scaled(step: &Step, at: usize, x: f64) -> f64 {
    match step {
        Step::Standardise { mean: center, scale, .. } | Step::Robust { center, scale, .. } => (x - center[at]) / scale[at],
        Step::MinMax { min, max, .. } => (x - min[at]) / (max[at] - min[at]),
        other => panic!("{other:?} is no scaler"),
    }
}

#[test]
fn statistics_are_scikit_learns() {
    let reference: Value = serde_json::from_str(include_str!("../../../tests/fit/reference.json")).unwrap();
    let table = reference["table"].as_str().unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let flags: Vec<&str> = case["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();
        let steps = fitted(table, &flags).unwrap();
        let ops: Vec<&str> = steps.iter().map(Step::op).collect();
        assert_eq!(
            (&ops[..4], &ops[5..]),
            (&["Input", "Input", "Input", "Fill"][..], &["Fill", "OneHot", "OneHot", "Concat"][..])
        );
        let Step::Fill { columns, values, .. } = &steps[3] else { panic!("{:?}", steps[3]) };
        assert_eq!(columns, &["income"]);
        assert!((values[0] / case["fill"]["income"].as_f64().unwrap() - 1.0).abs() < 1e-13, "{values:?}");
        for (at, (probe, expected)) in
            case["probe"].as_array().unwrap().iter().zip(case["scaled"].as_array().unwrap()).enumerate()
        {
            for (x, expected) in numbers(probe).into_iter().zip(numbers(expected)) {
                let found = scaled(&steps[4], at, x);
                assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{flags:?} {at}: {found} is not {expected}");
            }
        }
        let Step::Fill { texts, .. } = &steps[5] else { panic!("{:?}", steps[5]) };
        assert_eq!(texts[0], case["fill"]["city"].as_str().unwrap());
        let (Step::OneHot { texts, .. }, Step::OneHot { values, .. }) = (&steps[6], &steps[7]) else { panic!("{steps:?}") };
        assert_eq!((json!(texts), values), (reference["cities"].clone(), &numbers(&reference["floors"])));
    }
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let table = "a,b,c\n1,x,\n2,y,\n";
    for (flags, message) in [
        (vec!["--target", "d"], "--target: the table has no column 'd'; it has a, b, c"),
        (vec!["--ignore", "a,e"], "--ignore: the table has no column 'e'"),
        (vec![], "column 'c': every cell is missing: leave it out with --ignore"),
        (vec!["--ignore", "a,b,c"], "no column is left"),
        (vec!["--numeric", "most"], "invalid value 'most'"),
    ] {
        let said = fitted(table, &flags).unwrap_err();
        assert!(said.contains(message), "{said}");
    }
    let many: String = (0..1001).map(|at| format!("word {at}\n")).collect();
    let said = fitted(&format!("a\n{many}"), &[]).unwrap_err();
    assert!(said.contains("column 'a' has 1001 different texts; expected 1000 at most"), "{said}");
    let said = fitted("a,b\n1e999,x\n", &[]).unwrap_err();
    assert!(said.contains("column 'a': it has the number inf"), "{said}");
}

#[test]
fn ordinals_and_strangers() {
    let steps = fitted("a\nx\ny\n", &["--categorical", "ordinal", "--unknown", "ignore"]).unwrap();
    let text = super::print::yaml(&steps, "Fitted.");
    assert_eq!(
        text,
        "# Fitted.\npreprocess:\n  - op: Input\n    columns: [\"a\"]\n    datatype: BYTES\n  - op: Ordinal\n    columns: [\"a\"]\n    \
         texts: [\"x\", \"y\"]\n    unknown: Value\n    unknownValue: -1\n  - op: Concat\n    columns: [\"a\"]\n    to: [\"input\"]\n"
    );
}

#[test]
fn categories_of_numbers_are_whole_numbers_or_texts_of_which_it_is_told() {
    let read = |cells: &str| {
        let table = Table::parse(format!("floor,x\n{}\n", cells.replace(' ', ",1\n") + ",1").as_bytes()).unwrap();
        let line = Line::try_parse_from(["fit", "--data", "x.csv", "--categories", "floor", "--ignore", "x"]).unwrap();
        let columns = line.arguments.columns(&table).unwrap();
        let notes = super::notes(&columns);
        let steps = line.arguments.steps(columns).unwrap();
        (notes, steps.iter().map(|step| serde_json::to_value(step).unwrap()).collect::<Vec<_>>())
    };
    let (notes, steps) = read("10 -2 1 10");
    assert_eq!(notes, [""; 0]);
    assert_eq!(steps[0], json!({"op": "Input", "columns": ["floor"], "datatype": "INT64"}));
    assert_eq!(steps[1], json!({"op": "OneHot", "columns": ["floor"], "values": [-2.0, 1.0, 10.0]}));
    for cells in ["01 02 10", "1.5 2 3", "1  2", "9007199254740993 1"] {
        let (notes, steps) = read(cells);
        assert!(notes.len() == 1 && notes[0].starts_with("column 'floor': its numbers are taken as texts, since"), "{notes:?}");
        assert!(
            notes[0].ends_with(&format!("as texts (BYTES): \"{}\"", cells.split(' ').next().unwrap())) || cells.ends_with(" 1"),
            "{notes:?}"
        );
        assert_eq!(steps[0], json!({"op": "Input", "columns": ["floor"], "datatype": "BYTES"}), "{cells}");
    }
    assert_eq!(read("a b 1").0, [""; 0], "texts are what they look like");
    let rules = |flags: &[&str]| {
        let steps = fitted("floor\n2\n1\n", &[&["--categories", "floor", "--expect", "refuse"], flags].concat()).unwrap();
        steps.iter().find(|step| matches!(step, Step::Expect { .. })).map(|step| serde_json::to_value(step).unwrap())
    };
    assert_eq!(rules(&[]), Some(json!({"op": "Expect", "columns": ["floor"], "values": [1.0, 2.0]})));
    assert_eq!(rules(&["--unknown", "ignore"]), None);
    let many: String = (0..1001).map(|at| format!("{at}\n")).collect();
    let said = fitted(&format!("a\n{many}"), &["--categories", "a"]).unwrap_err();
    assert!(said.contains("column 'a' has 1001 different numbers; expected 1000 at most"), "{said}");
}

#[test]
fn rules_are_those_that_the_data_keeps() {
    let table = "age,income,city,paid\n20,1000,Oslo,no\n40,,bergen,yes\n60,5000,Oslo,no\n";
    let rules = |flags: &[&str]| -> Vec<Value> {
        let steps = fitted(table, &[&["--target", "paid", "--expect"], flags].concat()).unwrap();
        assert_eq!(steps.iter().map(Step::op).collect::<Vec<_>>()[..2], ["Input", "Input"]);
        let rules = steps.iter().filter(|step| matches!(step, Step::Expect { .. }));
        rules.map(|step| serde_json::to_value(step).unwrap()).collect()
    };
    let age = json!({"op": "Expect", "columns": ["age"], "min": [20.0], "max": [60.0], "notNull": true});
    let income = json!({"op": "Expect", "columns": ["income"], "min": [1000.0], "max": [5000.0]});
    let city = json!({"op": "Expect", "columns": ["city"], "texts": ["Oslo", "bergen"], "notNull": true});
    assert_eq!(rules(&["refuse"]), [age, income, city]);
    let flagged = rules(&["flag", "--margin", "0.25", "--unknown", "ignore"]);
    assert_eq!(
        flagged,
        [
            json!({"op": "Expect", "columns": ["age"], "min": [10.0], "max": [70.0], "notNull": true, "otherwise": "Flag", "to": ["age_unexpected"]}),
            json!({"op": "Expect", "columns": ["income"], "min": [0.0], "max": [6000.0], "otherwise": "Flag", "to": ["income_unexpected"]}),
            json!({"op": "Expect", "columns": ["city"], "notNull": true, "otherwise": "Flag", "to": ["city_unexpected"]}),
        ]
    );
    for (flags, message) in [
        (vec!["--margin", "1"], "--expect <WHAT>"),
        (vec!["--expect", "refuse", "--margin=-0.1"], "--margin: expected 0 or more, found -0.1"),
        (vec!["--expect", "refuse", "--margin", "NaN"], "--margin: expected 0 or more, found NaN"),
        (vec!["--expect", "warn"], "invalid value 'warn'"),
    ] {
        let said = fitted(table, &flags).unwrap_err();
        assert!(said.contains(message), "{said}");
    }
    // A rule of nothing is none.
    assert_eq!(fitted("a\nx\n\"\"\n", &["--expect", "refuse", "--unknown", "ignore"]).unwrap().len(), 4);
}
