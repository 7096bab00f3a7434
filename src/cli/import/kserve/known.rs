//! Fields without a counterpart, and what to do without them.

/// More about a field, where there is more to say; `form` is the predictor's field that has the model.
pub(super) fn words(path: &str, form: &str) -> Option<&'static str> {
    if let Some(field) = path.strip_prefix("spec.predictor.").and_then(|rest| rest.strip_prefix(form)?.strip_prefix('.')) {
        return of_model(field);
    }
    Some(match path {
        "metadata.ownerReferences" => "its owner would not know it",
        "metadata.finalizers" => "nothing has to be cleared up outside the cluster",
        "spec.transformer" => {
            "there are no transformers: clients send what the model takes, or a service of your own calls the model"
        }
        "spec.explainer" => "there are no explainers",
        "spec.canary" | "spec.predictor.canary" | "spec.predictor.canaryTrafficPercent" => {
            "there are no canaries yet: a change is rolled out whole, and the old revision serves until the new one does; modelyard \
             rollback goes back"
        }
        "spec.predictor.logger" => "requests are not logged: a gateway or a mesh can do that",
        "spec.predictor.containerConcurrency" => {
            "requests beyond serving.threads wait in a queue of serving.queue.maxLength, and past it are answered 503"
        }
        "spec.predictor.scaleTarget" | "spec.predictor.scaleMetric" | "spec.predictor.scaleMetricType" => {
            "nothing scales it: maxReplicas is not above minReplicas, or autoscalerClass says so"
        }
        "spec.predictor.autoScaling.metrics" => "only metrics of type Resource become a HorizontalPodAutoscaler",
        "spec.predictor.workerSpec" => "a model is served by one process, not by several nodes",
        "spec.predictor.terminationGracePeriodSeconds" => "it is serving.drainDelay + serving.requestTimeout + 5 s",
        "spec.predictor.securityContext" => "pods pass Pod Security's restricted as they are",
        "spec.predictor.volumes" | "spec.predictor.initContainers" | "spec.predictor.containers" => {
            "a pod has one container, and its cache as the one volume"
        }
        "spec.predictor.deploymentStrategy" => "it is rollout.capacity; a rollout surges by up to a quarter",
        _ => return None,
    })
}

fn of_model(field: &str) -> Option<&'static str> {
    Some(match field {
        "runtime" => "the server is modelyard-server",
        "runtimeVersion" | "image" => "the server's image is the operator's, or spec.serverImage",
        "modelFormat.version" => "the format is told by the file",
        "args" | "command" => "they are of another server; what ours can do is in spec.serving and spec.resources",
        "ports" => "every protocol is on one port: 80 of the Service",
        "livenessProbe" | "readinessProbe" | "startupProbe" => "the operator sets the probes",
        "volumeMounts" => "a pod has its cache as the one volume",
        "securityContext" => "pods pass Pod Security's restricted as they are",
        "storage" => "the Secret that it names has the keys of another system: model.secretRef names one with HTTP_AUTHORIZATION",
        "envFrom" => "variables are named one by one in pod.env",
        _ if field.starts_with("resources.") && field.ends_with("gpu") => "models run on CPU",
        "resources.claims" => "devices are not used",
        _ => return None,
    })
}

/// Whether an object is told field by field.
pub(super) fn is_open(path: &str, form: &str) -> bool {
    if let Some(below) = path.strip_prefix("spec.predictor.").and_then(|rest| rest.strip_prefix(form)) {
        return ["", ".modelFormat", ".resources", ".resources.requests", ".resources.limits"].contains(&below);
    }
    ["", "metadata", "spec", "spec.predictor", "spec.predictor.batcher", "spec.predictor.autoScaling"].contains(&path)
}
