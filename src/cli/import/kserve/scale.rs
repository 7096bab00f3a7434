//! How many replicas, how a change is carried out, and how requests are treated.

use serde_json::{Value, json};

use super::super::draft::Draft;
use super::super::foreign::Foreign;
use super::annotations::Asked;

/// What KServe's HorizontalPodAutoscaler aims at, in percent of the CPU request.
const TARGET: i64 = 80;

/// `spec.replicas`, or a HorizontalPodAutoscaler in its place.
pub(super) fn replicas(object: &mut Foreign, draft: &mut Draft, asked: &Asked) -> Option<Value> {
    let least = object.number("spec.predictor.minReplicas");
    let most = object.number("spec.predictor.maxReplicas");
    if asked.stop {
        object.changed("metadata.annotations['serving.kserve.io/stop']", "is replicas: 0");
    }
    if least == Some(0) && !asked.stop {
        let words = "nothing starts a replica when a request comes: one runs always; kubectl scale takes it to 0 by hand";
        object.lost("spec.predictor.minReplicas", words);
    }
    let floor = least.unwrap_or(1).max(1);
    let by_others = matches!(asked.class.as_deref(), Some("none" | "external"));
    match most {
        Some(0) => object.lost("spec.predictor.maxReplicas", "0, no limit: an autoscaler of Kubernetes needs one"),
        Some(most) if most > floor && by_others => {
            object.lost("spec.predictor.maxReplicas", "autoscalerClass says that nothing of KServe's scales it");
        }
        _ => {}
    }
    let scaled = most.filter(|most| *most > floor && !by_others);
    if asked.stop {
        draft.set(&["replicas"], 0);
    } else if scaled.is_none() && !(by_others && asked.class.as_deref() == Some("external")) {
        draft.set(&["replicas"], floor);
    }
    scaled.map(|most| autoscaler(object, draft, asked, (floor, most)))
}

fn autoscaler(object: &mut Foreign, draft: &Draft, asked: &Asked, (least, most): (i64, i64)) -> Value {
    let metrics = metrics(object).unwrap_or_else(|| vec![metric(object, asked)]);
    let mut spec = json!({
        "scaleTargetRef": { "apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment", "name": draft.name },
        "minReplicas": least, "maxReplicas": most, "metrics": metrics,
    });
    if let Some(behavior) = object.take("spec.predictor.autoScaling.behavior") {
        spec["behavior"] = behavior;
    }
    let mut metadata = json!({ "name": draft.name });
    if let Some(namespace) = draft.namespace() {
        metadata["namespace"] = namespace.clone();
    }
    object.changed("spec.predictor.maxReplicas", "is a HorizontalPodAutoscaler of its own, below");
    json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec })
}

/// `autoScaling.metrics`, of which those of resources are Kubernetes' own.
fn metrics(object: &mut Foreign) -> Option<Vec<Value>> {
    let path = "spec.predictor.autoScaling.metrics";
    let list = object.peek(path)?.as_array()?.clone();
    if list.is_empty() || !list.iter().all(|metric| metric["type"] == "Resource") {
        return None;
    }
    object.take(path);
    Some(list)
}

/// The one metric of `scaleMetric` and `scaleTarget`.
fn metric(object: &mut Foreign, asked: &Asked) -> Value {
    let named = object.text("spec.predictor.scaleMetric");
    let kind = object.text("spec.predictor.scaleMetricType");
    let target = object.take("spec.predictor.scaleTarget");
    let name = match named.as_deref() {
        Some(name @ ("cpu" | "memory")) => name.to_owned(),
        Some(name) => {
            let words =
                format!("{name} is no measure that Kubernetes has: the autoscaler below goes by CPU, {TARGET} % of the request");
            object.lost("spec.predictor.scaleMetric", words);
            let target = json!({ "type": "Utilization", "averageUtilization": TARGET });
            return json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
        }
        None => asked.metric.clone().unwrap_or_else(|| "cpu".to_owned()),
    };
    let target = match (kind.as_deref(), target) {
        (Some("AverageValue"), Some(amount)) => json!({ "type": "AverageValue", "averageValue": amount }),
        (_, target) => {
            let percent = target.as_ref().and_then(Value::as_i64).or(asked.target).unwrap_or(TARGET);
            json!({ "type": "Utilization", "averageUtilization": percent })
        }
    };
    json!({ "type": "Resource", "resource": { "name": name, "target": target } })
}

/// `spec.serving` and `spec.rollout`.
pub(super) fn serving(object: &mut Foreign, draft: &mut Draft) {
    let timeout = object.number("spec.predictor.timeout").filter(|seconds| *seconds > 0);
    if let Some(seconds) = timeout {
        draft.set(&["serving", "requestTimeout"], format!("{seconds}s"));
    }
    batching(object, draft, timeout.unwrap_or(30).saturating_mul(1000));
    strategy(object, draft);
}

/// KServe's batcher waits in milliseconds; a wait that is as long as the request may take answers too late.
fn batching(object: &mut Foreign, draft: &mut Draft, timeout: i64) {
    if object.peek("spec.predictor.batcher").is_none() {
        return;
    }
    let rows = object.number("spec.predictor.batcher.maxBatchSize").unwrap_or(32).clamp(2, 65_536);
    let wait = object.number("spec.predictor.batcher.maxLatency").unwrap_or(5_000).max(0);
    object.take("spec.predictor.batcher.timeout");
    let kept = if wait < timeout { wait } else { 5 };
    let mut words = "runs in the server itself, only for models whose first dimension is a batch".to_owned();
    if kept != wait {
        words += &format!("; maxLatency {wait} ms is longer than a request may take: {kept} ms instead");
    }
    object.changed("spec.predictor.batcher", words);
    draft.set(&["serving", "batching"], json!({ "maxSize": rows, "maxDelay": format!("{kept}ms") }));
}

fn strategy(object: &mut Foreign, draft: &mut Draft) {
    let path = "spec.predictor.deploymentStrategy";
    let none = |value: Option<&Value>| value.is_some_and(|value| value == 0 || value == "0" || value == "0%");
    let (surge, missing) = ("rollingUpdate.maxSurge", "rollingUpdate.maxUnavailable");
    let recreated = object.peek(&format!("{path}.type")).is_some_and(|kind| kind == "Recreate");
    let capacity = if recreated || none(object.peek(&format!("{path}.{surge}"))) {
        "Replace"
    } else if none(object.peek(&format!("{path}.{missing}"))) {
        "Surge"
    } else {
        return;
    };
    object.take(path);
    object.changed(path, format!("is rollout.capacity: {capacity}, in steps of a quarter"));
    draft.set(&["rollout", "capacity"], capacity);
}
