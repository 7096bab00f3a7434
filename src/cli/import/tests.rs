//! Whole objects, as they are found in the wild; and a table of single fields.

use serde_json::json;

use super::*;

/// All that importing a text prints, and what it says beside.
fn imported(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.yaml");
    std::fs::write(&file, text).unwrap();
    let (documents, faults) = manifest::documents(&[file]);
    assert_eq!(faults, []);
    let mut shown = String::new();
    for document in &documents {
        match convert(document) {
            Outcome::Converted(one) => {
                let yaml = yaml(document, &one).unwrap();
                let reading = manifest::read_text(Path::new("out.yaml"), &yaml);
                assert_eq!((reading.diagnostics, reading.manifests.len()), (Vec::new(), 1), "{yaml}");
                shown += &yaml;
            }
            Outcome::Refused(refusal) => shown += &format!("{}: not converted: {refusal}\n", named(&document.value)),
            Outcome::Nothing(words) => shown += &format!("{}: not converted: {words}\n", named(&document.value)),
            Outcome::Other => shown += &format!("{}: left out\n", named(&document.value)),
        }
    }
    shown
}

#[test]
fn an_inference_service_with_everything() {
    insta::assert_snapshot!(imported(include_str!("tests/everything.yaml")));
}

#[test]
fn the_older_forms_and_what_is_not_served() {
    insta::assert_snapshot!(imported(include_str!("tests/forms.yaml")));
}

#[test]
fn models_of_seldon() {
    insta::assert_snapshot!(imported(include_str!("tests/seldon.yaml")));
}

/// The spec of a predictor with some fields, the autoscaler if there is one, and the notes.
fn predictor(fields: Value, annotations: Value) -> (Value, Value, Vec<String>) {
    let mut predictor =
        json!({"onnx": {"storageUri": "https://m/m.onnx", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}});
    for (name, value) in fields.as_object().unwrap() {
        predictor[name] = value.clone();
    }
    let object = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "m", "annotations": annotations}, "spec": {"predictor": predictor}});
    let (mut objects, notes) = kserve::convert(Foreign::new(object)).unwrap();
    let autoscaler = objects.drain(1..).next().unwrap_or_default();
    (objects[0]["spec"].take(), autoscaler["spec"].clone(), notes.iter().map(ToString::to_string).collect())
}

#[test]
fn replicas_become_a_number_or_an_autoscaler() {
    let none = json!({});
    let class = |class: &str| json!({"serving.kserve.io/autoscalerClass": class});
    // fields, annotations; replicas, bounds and target of the autoscaler; how many notes
    for (fields, annotations, replicas, bounds, notes) in [
        (json!({}), &none, json!(1), Value::Null, 0),
        (json!({"minReplicas": 3}), &none, json!(3), Value::Null, 0),
        (json!({"minReplicas": 2, "maxReplicas": 2}), &none, json!(2), Value::Null, 0),
        (json!({"minReplicas": 2, "maxReplicas": 5}), &none, Value::Null, json!([2, 5, "cpu", 80]), 1),
        (
            json!({"maxReplicas": 5, "scaleTarget": 60, "scaleMetric": "memory"}),
            &none,
            Value::Null,
            json!([1, 5, "memory", 60]),
            1,
        ),
        (json!({"minReplicas": 0, "maxReplicas": 5}), &none, Value::Null, json!([1, 5, "cpu", 80]), 2),
        (json!({"minReplicas": 0}), &none, json!(1), Value::Null, 1),
        (
            json!({"maxReplicas": 5, "scaleTarget": 9, "scaleMetric": "concurrency"}),
            &none,
            Value::Null,
            json!([1, 5, "cpu", 80]),
            2,
        ),
        (json!({"minReplicas": 2, "maxReplicas": 5}), &class("none"), json!(2), Value::Null, 1),
        (json!({"minReplicas": 2, "maxReplicas": 5}), &class("external"), Value::Null, Value::Null, 1),
        (json!({"minReplicas": 2, "maxReplicas": 0}), &none, json!(2), Value::Null, 1),
        (json!({"minReplicas": 2}), &json!({"serving.kserve.io/stop": "true"}), json!(0), Value::Null, 1),
        (
            json!({"maxReplicas": 3}),
            &json!({"serving.kserve.io/targetUtilizationPercentage": "55", "serving.kserve.io/metrics": "memory"}),
            Value::Null,
            json!([1, 3, "memory", 55]),
            1,
        ),
        (json!({"minReplicas": "two"}), &none, json!(1), Value::Null, 1),
        (json!({"minReplicas": -1}), &none, json!(1), Value::Null, 1),
        (json!({"minReplicas": 3, "maxReplicas": 2}), &none, json!(3), Value::Null, 1),
        (json!({"maxReplicas": 6_000_000_000_i64}), &none, json!(1), Value::Null, 1),
        (json!({"maxReplicas": 5, "scaleTarget": -4}), &none, Value::Null, json!([1, 5, "cpu", 80]), 2),
        (json!({"maxReplicas": 5, "scaleTarget": 0}), &none, Value::Null, json!([1, 5, "cpu", 80]), 2),
        (json!({"maxReplicas": 5, "scaleTarget": "half"}), &none, Value::Null, json!([1, 5, "cpu", 80]), 2),
        (
            json!({"maxReplicas": 5, "scaleTarget": "-4", "scaleMetricType": "AverageValue"}),
            &none,
            Value::Null,
            json!([1, 5, "cpu", 80]),
            2,
        ),
        (
            json!({"maxReplicas": 5, "autoScaling": {"metrics": [{"type": "Resource", "resource": {"name": "memory", "target":
                {"type": "Utilization", "averageUtilization": 0}}}]}}),
            &none,
            Value::Null,
            json!([1, 5, "cpu", 80]),
            2,
        ),
        (
            json!({"maxReplicas": 3}),
            &json!({"serving.kserve.io/targetUtilizationPercentage": "-5"}),
            Value::Null,
            json!([1, 3, "cpu", 80]),
            2,
        ),
    ] {
        let (spec, autoscaler, told) = predictor(fields.clone(), annotations.clone());
        assert_eq!(spec["replicas"], replicas, "{fields}");
        let target = &autoscaler["metrics"][0]["resource"];
        let found = match &autoscaler {
            Value::Null => Value::Null,
            _ => json!([
                autoscaler["minReplicas"],
                autoscaler["maxReplicas"],
                target["name"],
                target["target"]["averageUtilization"]
            ]),
        };
        assert_eq!((found, told.len()), (bounds, notes), "{fields} {annotations}: {told:?}");
    }
}

#[test]
fn each_field_has_its_counterpart() {
    for (fields, path, value) in [
        (json!({"timeout": 60}), "/serving/requestTimeout", json!("60s")),
        (
            json!({"model": {"modelFormat": {"name": "ONNX"}, "storageUri": "https://m/other.onnx"}}),
            "/model/uri",
            json!("https://m/other.onnx"),
        ),
        (
            json!({"batcher": {"maxBatchSize": 8, "maxLatency": 20}}),
            "/serving/batching",
            json!({"maxSize": 8, "maxDelay": "20ms"}),
        ),
        (json!({"batcher": {}, "timeout": 4}), "/serving/batching/maxDelay", json!("5ms")),
        (json!({"deploymentStrategy": {"type": "Recreate"}}), "/rollout/capacity", json!("Replace")),
        (json!({"deploymentStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}), "/rollout/capacity", json!("Surge")),
        (json!({"nodeSelector": {"a": "b"}}), "/pod/nodeSelector/a", json!("b")),
        (json!({"labels": {"team": "x"}}), "/pod/labels/team", json!("x")),
        (json!({"serviceAccountName": "models"}), "/pod/serviceAccountName", json!("models")),
        (
            json!({"onnx": {"storageUri": "https://m/m.onnx", "resources": {"requests": {"cpu": 2}}}}),
            "/resources/requests",
            json!({"cpu": 2, "memory": "128Mi"}),
        ),
    ] {
        let (spec, _, _) = predictor(fields.clone(), json!({}));
        assert_eq!(spec.pointer(path), Some(&value), "{fields}");
    }
}

#[test]
fn a_batcher_becomes_batching_or_says_why_not() {
    let batching = |rows: i64, wait: &str| json!({"maxSize": rows, "maxDelay": wait});
    for (batcher, found, words) in [
        (json!({"maxBatchSize": 1, "maxLatency": 10}), Value::Null, "batcher: changed: maxBatchSize is 1, which is no batching"),
        (json!({"maxBatchSize": 0}), batching(32, "5000ms"), "maxBatchSize 0 is outside 1..=65536: 32 instead"),
        (json!({"maxBatchSize": 99_999}), batching(65_536, "5000ms"), "maxBatchSize 99999 is outside 1..=65536: 65536 instead"),
        (
            json!({"maxBatchSize": "x"}),
            batching(32, "5000ms"),
            "maxBatchSize: no counterpart: expected a whole number, found the string x",
        ),
        (json!({"maxLatency": -1}), batching(32, "5ms"), "maxLatency -1 ms is below 0: 5 ms instead"),
        (json!({"timeout": 60}), batching(32, "5000ms"), "batcher.timeout: no counterpart: a batch has no limit of its own"),
        (json!(5), Value::Null, "batcher: no counterpart: expected an object, found the number 5"),
    ] {
        let (spec, _, notes) = predictor(json!({"batcher": batcher}), json!({}));
        assert_eq!(spec["serving"]["batching"], found, "{batcher}");
        assert!(notes.join("\n").contains(words), "{notes:?} has no {words}");
    }
    for (timeout, words) in [(json!("abc"), "found the string abc"), (json!(0), "expected 1 second or more, found 0")] {
        let (spec, _, notes) = predictor(json!({"timeout": timeout}), json!({}));
        assert_eq!(spec["serving"], Value::Null);
        assert!(notes.join("\n").contains(words), "{notes:?} has no {words}");
    }
}

#[test]
fn what_cannot_be_converted_says_why() {
    for (predictor, words) in [
        (json!({}), "spec.predictor: expected model or one of"),
        (
            json!({"containers": [{"name": "kserve-container", "image": "mine"}]}),
            "spec.predictor.containers: a container of its own",
        ),
        (
            json!({"sklearn": {"storageUri": "gs://b/m"}}),
            "spec.predictor.sklearn: sklearn is not served here: export the model to ONNX with skl2onnx",
        ),
        (
            json!({"model": {"modelFormat": {"name": "mlflow"}}}),
            "spec.predictor.model.modelFormat.name: mlflow is not served here",
        ),
        (
            json!({"model": {"storageUri": "https://m/m.onnx"}}),
            "spec.predictor.model.modelFormat.name: expected the name of a format",
        ),
        (json!([1]), "spec.predictor: expected a predictor, found a list"),
        (
            json!({"model": {"modelFormat": "onnx", "storageUri": "https://m/m.onnx"}}),
            "spec.predictor.model.modelFormat: expected an object, found the string onnx",
        ),
        (json!({"onnx": {"storageUri": 5}}), "spec.predictor.onnx.storageUri: expected the model's address, found the number 5"),
        (json!({"onnx": {"storageUri": "s3://b"}}), "spec.predictor.onnx.storageUri: expected s3://BUCKET/KEY, found 's3://b'"),
        (
            json!({"onnx": {}, "storageUris": "https://m/a.onnx"}),
            "storageUris: expected a list with one address, found the string",
        ),
        (json!({"onnx": {}}), "spec.predictor.onnx.storageUri: expected the model's address, found none"),
        (json!({"onnx": {"storageUri": "oci://r/m:1"}}), "spec.predictor.onnx.storageUri: oci://r/m:1 has no counterpart"),
        (
            json!({"onnx": {}, "storageUris": [{"uri": "https://m/a.onnx"}, {"uri": "https://m/b.onnx"}]}),
            "found 2: a model is one artefact",
        ),
        (json!({"onnx": {"storage": {"key": "k", "path": "p"}}}), "spec.predictor.onnx.storage: the bucket is in a Secret"),
        (
            json!({"onnx": {"storageUri": "https://m/m.onnx", "resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}}),
            "the ModelDeployment would have spec.resources: Invalid value",
        ),
    ] {
        let value = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "m"},
            "spec": {"predictor": predictor}});
        match convert(&Written { file: "in.yaml".into(), line: 1, value }) {
            Outcome::Refused(refusal) => assert!(refusal.to_string().contains(words), "{refusal} has no {words}"),
            _ => panic!("{predictor} was converted"),
        }
    }
}

#[test]
fn metadata_that_is_none_is_described() {
    for (metadata, words) in [
        (json!(5), "metadata: expected an object, found the number 5"),
        (json!({"name": 5}), "metadata.name: expected a name, found the number 5"),
        (json!({}), "metadata.name: expected a name, found none"),
    ] {
        let value = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata});
        match convert(&Written { file: "in.yaml".into(), line: 1, value }) {
            Outcome::Refused(refusal) => assert_eq!(refusal.to_string(), words),
            _ => panic!("{words}: converted"),
        }
    }
}
