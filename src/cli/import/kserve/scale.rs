//! How many replicas, how a change is carried out, and how requests are treated.

use modelyard_core::units;
use serde_json::{Value, json};

use super::super::draft::Draft;
use super::super::foreign::{Foreign, described};
use super::annotations::Asked;

/// What KServe's HorizontalPodAutoscaler aims at, in percent of the CPU request.
const TARGET: i64 = 80;

/// Kubernetes counts replicas and percents in 32 bits.
const MOST: i64 = i32::MAX as i64;

/// `spec.replicas`, or a HorizontalPodAutoscaler in its place.
pub(super) fn replicas(object: &mut Foreign, draft: &mut Draft, asked: &Asked) -> Option<Value> {
    let least = count(object, "spec.predictor.minReplicas");
    let most = count(object, "spec.predictor.maxReplicas");
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
        Some(most) if most < floor => {
            object.lost("spec.predictor.maxReplicas", format!("{most} is below minReplicas, {floor}: nothing scales it"));
        }
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

/// A number of replicas; one that Kubernetes refuses is lost.
fn count(object: &mut Foreign, path: &str) -> Option<i64> {
    let found = object.number(path)?;
    if !(0..=MOST).contains(&found) {
        object.lost(path, format!("expected a number within 0..={MOST}, found {found}"));
        return None;
    }
    Some(found)
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
    let percent = |metric: &Value| metric["resource"]["target"]["averageUtilization"].clone();
    if let Some(refused) = list.iter().map(percent).find(|percent| !percent.is_null() && !is_percent(percent)) {
        object.lost(path, format!("averageUtilization {refused} is outside 1..={MOST}: the autoscaler below does without it"));
        return None;
    }
    Some(list)
}

/// Whether Kubernetes takes it as the target of a utilization.
fn is_percent(target: &Value) -> bool {
    target.as_i64().is_some_and(|percent| (1..=MOST).contains(&percent))
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
    let usual = asked.target.unwrap_or(TARGET);
    let target = match (kind.as_deref(), target) {
        (Some("AverageValue"), Some(amount)) if is_amount(&amount) => json!({ "type": "AverageValue", "averageValue": amount }),
        (Some("AverageValue"), Some(amount)) => refused(object, &amount, "a quantity above 0", usual),
        (_, Some(percent)) if !is_percent(&percent) => refused(object, &percent, &format!("a number within 1..={MOST}"), usual),
        (_, percent) => {
            let percent = percent.as_ref().and_then(Value::as_i64).unwrap_or(usual);
            json!({ "type": "Utilization", "averageUtilization": percent })
        }
    };
    json!({ "type": "Resource", "resource": { "name": name, "target": target } })
}

/// The usual target, in place of one that Kubernetes refuses.
fn refused(object: &mut Foreign, found: &Value, expected: &str, usual: i64) -> Value {
    let words = format!("expected {expected}, found {}: the autoscaler below aims at {usual} % of the request", described(found));
    object.lost("spec.predictor.scaleTarget", words);
    json!({ "type": "Utilization", "averageUtilization": usual })
}

fn is_amount(amount: &Value) -> bool {
    let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
    units::milli(&text).is_ok_and(|thousandths| thousandths > 0)
}

/// `spec.serving` and `spec.rollout`.
pub(super) fn serving(object: &mut Foreign, draft: &mut Draft) {
    let mut timeout = object.number("spec.predictor.timeout");
    if let Some(seconds) = timeout.take_if(|seconds| *seconds < 1) {
        object.lost("spec.predictor.timeout", format!("expected 1 second or more, found {seconds}: requestTimeout is 30s"));
    }
    if let Some(seconds) = timeout {
        draft.set(&["serving", "requestTimeout"], format!("{seconds}s"));
    }
    batching(object, draft, timeout.unwrap_or(30).saturating_mul(1000));
    strategy(object, draft);
}

/// KServe's batcher waits in milliseconds; a wait that is as long as the request may take answers too late.
fn batching(object: &mut Foreign, draft: &mut Draft, timeout: i64) {
    let path = "spec.predictor.batcher";
    let Some(found) = object.peek(path) else { return };
    if !found.is_object() {
        let words = format!("expected an object, found {}", described(found));
        object.take(path);
        object.lost(path, words);
        return;
    }
    let rows = object.number(&format!("{path}.maxBatchSize"));
    let wait = object.number(&format!("{path}.maxLatency"));
    if object.take(&format!("{path}.timeout")).is_some() {
        object.lost(format!("{path}.timeout"), "a batch has no limit of its own: serving.requestTimeout is that of each request");
    }
    if rows == Some(1) {
        object.changed(path, "maxBatchSize is 1, which is no batching: serving.batching is left out");
        return;
    }
    // There, 0 and less stand for the default.
    let kept_rows = rows.filter(|rows| *rows > 0).unwrap_or(32).clamp(2, 65_536);
    let wait = wait.unwrap_or(5_000);
    let kept = if (0..timeout).contains(&wait) { wait } else { 5 };
    let mut words = "runs in the server itself, only for models whose first dimension is a batch".to_owned();
    if let Some(rows) = rows.filter(|rows| *rows != kept_rows) {
        words += &format!("; maxBatchSize {rows} is outside 1..=65536: {kept_rows} instead");
    }
    if wait < 0 {
        words += &format!("; maxLatency {wait} ms is below 0: {kept} ms instead");
    } else if kept != wait {
        words += &format!("; maxLatency {wait} ms is longer than a request may take: {kept} ms instead");
    }
    object.changed(path, words);
    draft.set(&["serving", "batching"], json!({ "maxSize": kept_rows, "maxDelay": format!("{kept}ms") }));
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
