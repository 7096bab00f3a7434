//! KServe's InferenceService (`serving.kserve.io/v1beta1`): the predictor's model, how many of it run, and where.

use serde_json::Value;

use super::draft::Draft;
use super::foreign::{Foreign, Note, Refusal};

mod annotations;
mod known;
mod model;
mod pod;
mod scale;

pub(super) const GROUP: &str = "serving.kserve.io";

/// What its kinds other than InferenceService are to us.
pub(super) fn other(kind: &str) -> &'static str {
    match kind {
        "ServingRuntime" | "ClusterServingRuntime" => "the server is modelyard-server: there is no runtime to choose",
        "InferenceGraph" => "there are no graphs: a client calls one model after the other",
        "TrainedModel" => "several models in one server are spec.models of one ModelDeployment",
        "LocalModelCache" | "LocalModelNodeGroup" => "a cache that replicas share is spec.cache.persistentVolumeClaim",
        "ClusterStorageContainer" => "the stores are those that docs/stores.md lists: there are no plug-ins",
        _ => "it has no counterpart",
    }
}

/// The ModelDeployment, and a HorizontalPodAutoscaler where there was one.
pub(super) fn convert(mut object: Foreign) -> Result<(Vec<Value>, Vec<Note>), Refusal> {
    let version = object.text("apiVersion").unwrap_or_default();
    if version != format!("{GROUP}/v1beta1") {
        return Err(Refusal::new("apiVersion", format!("expected {GROUP}/v1beta1, found {version}")));
    }
    object.take("kind");
    let mut draft = Draft::of(&mut object)?;
    let form = model::form(&object)?;
    model::model(&mut object, &mut draft, form)?;
    let asked = annotations::read(&mut object, &mut draft);
    let autoscaler = scale::replicas(&mut object, &mut draft, &asked);
    model::resources(&mut object, &mut draft, form);
    scale::serving(&mut object, &mut draft);
    pod::pod(&mut object, &mut draft, form);
    let notes = object.finish(|path| known::words(path, form), |path| known::is_open(path, form));
    Ok((std::iter::once(draft.finish()).chain(autoscaler).collect(), notes))
}
