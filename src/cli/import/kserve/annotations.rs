//! Labels and annotations: those that say how to serve are read, those of pods go to the pods, the others stay where they are.

use serde_json::{Map, Value, json};

use super::super::draft::{Draft, key, split};
use super::super::foreign::Foreign;

/// What annotations ask of the number of replicas.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// `autoscalerClass`: none or external where nothing of KServe's scales.
    pub(super) class: Option<String>,
    /// The HorizontalPodAutoscaler's metric.
    pub(super) metric: Option<String>,
    /// And its target, in percent.
    pub(super) target: Option<i64>,
    /// It is stopped.
    pub(super) stop: bool,
}

/// Prefixes of annotations that others read at pods. KServe hands all annotations on to them.
const OF_PODS: [&str; 8] = [
    "sidecar.istio.io/",
    "proxy.istio.io/",
    "traffic.sidecar.istio.io/",
    "linkerd.io/",
    "config.linkerd.io/",
    "iam.amazonaws.com/",
    "vault.hashicorp.com/",
    "cluster-autoscaler.kubernetes.io/",
];

pub(super) fn read(object: &mut Foreign, draft: &mut Draft) -> Asked {
    labels(object, draft);
    let mut asked = Asked::default();
    let all = object.map("metadata.annotations");
    // What kubectl has written is about the old object.
    let (_, all) = split(all, |key| key == "kubectl.kubernetes.io/last-applied-configuration");
    let (theirs, rest) = split(all, is_theirs);
    let (of_pods, kept) = split(rest, |key| OF_PODS.iter().any(|prefix| key.starts_with(prefix)));
    draft.set_metadata("annotations", kept);
    for (name, value) in of_pods {
        object.changed(key("annotations", &name), "goes to the pods, which is where it is read");
        draft.set(&["pod", "annotations", &name], value);
    }
    for (name, value) in theirs {
        setting(object, draft, &mut asked, &name, &value);
    }
    asked
}

fn is_theirs(key: &str) -> bool {
    ["serving.kserve.io/", "storage.kserve.io/", "prometheus.kserve.io/", "serving.knative.dev/", "autoscaling.knative.dev/"]
        .iter()
        .any(|prefix| key.starts_with(prefix))
}

fn setting(object: &mut Foreign, draft: &mut Draft, asked: &mut Asked, name: &str, value: &Value) {
    let at = key("annotations", name);
    let text = value.as_str().unwrap_or_default();
    match (name.split_once('/').map_or("", |(_, name)| name), text) {
        // A Deployment and a Service each is what a ModelDeployment makes.
        ("deploymentMode", "Standard" | "RawDeployment") => {}
        ("deploymentMode", mode) => {
            object.lost(at, format!("{mode}: it becomes a Deployment and a Service; nothing is in front of them"))
        }
        ("autoscalerClass", "hpa" | "none" | "external") => asked.class = Some(text.to_owned()),
        ("autoscalerClass", "keda") => {
            asked.class = Some("external".to_owned());
            object.changed(at, "write a ScaledObject whose scaleTargetRef is the ModelDeployment: it has the scale subresource");
        }
        ("autoscalerClass", class) => {
            object.lost(at, format!("{class}: requests are no measure for a HorizontalPodAutoscaler here"))
        }
        ("metrics", "cpu" | "memory") => asked.metric = Some(text.to_owned()),
        ("targetUtilizationPercentage", number) => match number.parse::<i32>() {
            Ok(percent) if percent > 0 => asked.target = Some(percent.into()),
            _ => object.lost(at, format!("expected a number within 1..={}, found '{number}'", i32::MAX)),
        },
        ("stop", "true") => asked.stop = true,
        ("stop", _) => {}
        ("enable-prometheus-scraping", "true") => {
            object.changed(at, "becomes the annotations that Prometheus reads; the chart's PodMonitor is the other way");
            let scrape = [("scrape", "true"), ("port", "9090"), ("path", "/metrics")];
            scrape
                .iter()
                .for_each(|(field, value)| draft.set(&["pod", "annotations", &format!("prometheus.io/{field}")], *value));
        }
        ("enable-prometheus-scraping", _) => {}
        ("storageSecretName", secret) => {
            object.lost(
                at,
                format!("{secret} has the keys of another system: a Secret with HTTP_AUTHORIZATION is named in model.secretRef"),
            );
        }
        ("readonly", _) => object.lost(at, "there is no claim to write to"),
        ("port" | "path", _) if name.starts_with("prometheus.") => object.lost(at, "metrics are at port 9090, /metrics"),
        _ if name.starts_with("autoscaling.knative.dev/") => {
            object.lost(at, "there is no autoscaling by requests: spec.replicas, or a HorizontalPodAutoscaler");
        }
        _ => object.lost(at, ""),
    }
}

fn labels(object: &mut Foreign, draft: &mut Draft) {
    let all = object.map("metadata.labels");
    let (theirs, kept) = split(all, |key| {
        key.starts_with("serving.kserve.io/") || key.contains("knative.dev/") || key.starts_with("networking.kserve.io/")
    });
    draft.set_metadata("labels", kept);
    for (name, value) in theirs {
        // A Service of type ClusterIP is just that.
        if name.ends_with("/visibility") && value == "cluster-local" {
            continue;
        }
        object.lost(key("labels", &name), "");
    }
}

/// Labels or annotations of the component, which are those of its pods.
pub(super) fn of_component(object: &mut Foreign, draft: &mut Draft, field: &str) {
    let (refused, kept): (Map<String, Value>, Map<String, Value>) =
        split(object.map(&format!("spec.predictor.{field}")), |key| {
            field == "labels" && (key.starts_with("modelyard.dev/") || key.starts_with("app.kubernetes.io/"))
        });
    for (name, _) in refused {
        object.lost(format!("spec.predictor.{field}['{name}']"), "labels under that prefix are the operator's");
    }
    for (name, value) in kept {
        draft.set(&["pod", field, &name], json!(value));
    }
}
