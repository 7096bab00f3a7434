//! Boxes of a picture's file, models that declare nothing, and what is refused. What is kept is compared with ONNX Runtime's beside
//! the other steps.

use bytes::Bytes;
use modelyard_core::steps::Step;
use modelyard_wire::{DataType, Tensor};
use serde_json::{Value, json};

use super::super::column::{Refused, Table};
use super::super::scope::Scope;
use super::compile;

fn of(fields: &Value) -> Step {
    let mut step = fields.clone();
    step["op"] = json!("Boxes");
    let step: Step = serde_json::from_value(step).unwrap();
    step.check().unwrap();
    step
}

/// What a step makes of columns of FP32, named a, b, c.
fn run(fields: &Value, columns: &[(Vec<i64>, Tensor)]) -> Result<Vec<Tensor>, Refused> {
    let mut scope = Scope::default();
    for (name, (shape, _)) in ["a", "b", "c"].iter().zip(columns) {
        scope.add(name, DataType::Fp32, shape.clone()).unwrap();
    }
    let step = of(fields);
    let action = compile(&step, &mut scope, &[]).unwrap().unwrap();
    let mut table = Table::of(columns.iter().map(|(_, tensor)| tensor.clone()), scope.slots());
    action.run(&mut table)?;
    let made = step.made().into_iter().map(|name| {
        let port = scope.port(&name).unwrap();
        let tensor = table.take(port.slot).tensor(port.datatype).unwrap();
        assert!(port.spec().check(&tensor).is_ok(), "{name}: {:?} is not {:?}", tensor.shape(), port.shape);
        tensor
    });
    Ok(made.collect())
}

fn numbers(shape: &[usize], numbers: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), numbers).unwrap()
}

#[test]
fn boxes_become_pixels_of_the_file() {
    // A file of 200 x 100 in the middle of 64 x 64: 64 x 32, 16 from above. The second fills 64 x 64, cut out of 128 x 64.
    let frames =
        numbers(&[2, 8], &[0.0, 16.0, 64.0, 32.0, 64.0, 64.0, 200.0, 100.0, -32.0, 0.0, 128.0, 64.0, 64.0, 64.0, 200.0, 100.0]);
    let corners = [16.0, 24.0, 48.0, 100.0, 0.9];
    let relative = [0.25, 0.375, 0.75, 1.5625, 0.9];
    for (values, fields) in [(corners, json!({})), (relative, json!({"relative": true}))] {
        let mut step = json!({"columns": ["a"], "format": "XYXY", "outputFormat": "XYXY", "maxBoxes": 1, "frame": "b"});
        step.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let model = numbers(&[2, 1, 5], &[values, values].concat());
        let found = run(&step, &[(vec![-1, 1, 5], model), (vec![-1, 8], frames.clone())]).unwrap();
        // Below its edge there is nothing of the file.
        assert_eq!(found[0].to_f64().unwrap(), [50.0, 25.0, 150.0, 100.0, 75.0, 37.5, 125.0, 100.0]);
    }
}

#[test]
fn names_are_those_of_the_step_or_the_models() {
    let mut scope = Scope::default();
    scope.add("a", DataType::Fp32, vec![-1, 2, 6]).unwrap();
    let to = json!(["b", "s", "c", "n", "l"]);
    let classes = ["cat".to_owned(), "dog".to_owned()];
    let step = of(&json!({"columns": ["a"], "to": to, "maxBoxes": 3}));
    assert_eq!(
        compile(&step, &mut scope.clone(), &[]).err().unwrap(),
        "column 'a': nothing names its classes: write texts, or the model's classes"
    );
    let three = of(&json!({"columns": ["a"], "to": to, "texts": ["x", "y", "z"]}));
    assert_eq!(compile(&three, &mut scope.clone(), &[]).err().unwrap(), "column 'a': it has 2 scores, there are 3 names");
    let action = compile(&step, &mut scope, &classes).unwrap().unwrap();
    let two = numbers(&[1, 2, 6], &[5.0, 5.0, 2.0, 2.0, 0.1, 0.8, 50.0, 50.0, 2.0, 2.0, 0.9, 0.3]);
    let mut table = Table::of([two], scope.slots());
    action.run(&mut table).unwrap();
    assert_eq!(table.texts(scope.port("l").unwrap().slot), [Bytes::from("cat"), Bytes::from("dog"), Bytes::new()]);
}

#[test]
fn candidates_are_the_best_ones() {
    let model: Vec<f32> =
        (0..50_u8).flat_map(|at| [f32::from(at) * 10.0, 0.0, 4.0, 4.0, 0.3 + f32::from(at % 7) / 10.0]).collect();
    let of = |candidates: i32| {
        let step = json!({"columns": ["a"], "maxBoxes": 50, "candidates": candidates});
        let found = run(&step, &[(vec![-1, 50, 5], numbers(&[1, 50, 5], &model))]).unwrap();
        (found[3].to_f64().unwrap()[0], found[1].to_f64().unwrap())
    };
    let (all, scores) = of(1000);
    let (few, best) = of(9);
    assert_eq!((all, few), (50.0, 9.0));
    assert_eq!(scores[..9], best[..9]);
}

#[test]
fn what_does_not_fit_is_said_when_it_is_known() {
    for (shapes, fields, message) in [
        (vec![vec![-1, 84]], json!({}), "column 'a': expected [-1, boxes, values]"),
        (
            vec![vec![-1, 8, 4]],
            json!({}),
            "column 'a': expected 4 values a box and a score for each class; its shape is [-1, 8, 4]",
        ),
        (vec![vec![-1, 8, 5]], json!({"objectness": true}), "expected 5 values a box and a score for each class"),
        (vec![vec![-1, 8, 5], vec![-1, 8, 2]], json!({}), "column 'a': expected 4 values a box, it has 5"),
        (vec![vec![-1, 8, 4], vec![-1, 9, 2]], json!({}), "column 'b': it has scores of 9 boxes, there are 8"),
        (
            vec![vec![-1, 8, 5], vec![-1, 2]],
            json!({"frame": "b"}),
            "column 'b': expected a frame, which Image makes, [-1, 8]; its shape is [-1, 2]",
        ),
        (vec![vec![-1, 8, 5]], json!({"frame": "z"}), "column 'z': it is not here"),
        (vec![vec![-1, 8, 5]], json!({"to": ["x", "y", "a", "n"]}), "column 'a': there is one of this name already"),
    ] {
        let mut scope = Scope::default();
        let names = ["a", "b"];
        for (name, shape) in names.iter().zip(&shapes) {
            scope.add(name, DataType::Fp32, shape.clone()).unwrap();
        }
        let mut step = json!({"columns": if fields["frame"].is_null() { names[..shapes.len()].to_vec() } else { vec!["a"] }});
        step.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let said = compile(&of(&step), &mut scope, &[]).err().unwrap();
        assert!(said.contains(message), "{shapes:?}: {said}");
    }
    let refused = run(&json!({"columns": ["a"]}), &[(vec![-1, -1, -1], numbers(&[1, 2, 4], &[0.0; 8]))]).unwrap_err();
    assert!(
        refused.message.starts_with("expected 4 values a box and at least one score; the boxes are [1, 2, 4]"),
        "{refused:?}"
    );
    let apart = [(vec![-1, -1, 4], numbers(&[1, 2, 4], &[0.0; 8])), (vec![-1, -1, 1], numbers(&[1, 3, 1], &[0.0; 3]))];
    let refused = run(&json!({"columns": ["a", "b"]}), &apart).unwrap_err();
    assert!(refused.message.contains("the boxes are [1, 2, 4], the scores [1, 3, 1] in all"), "{refused:?}");
    let none = run(&json!({"columns": ["a"], "maxBoxes": 2}), &[(vec![-1, -1, 5], numbers(&[2, 0, 5], &[]))]).unwrap();
    assert_eq!((none[0].shape(), none[2].to_f64().unwrap()), ([2, 2, 4].as_slice(), vec![-1.0; 4]));
}
