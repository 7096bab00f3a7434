//! From what runs back to what somebody could have written: the inverse of `resolve` and `render`, to go back to a revision whose
//! spec nobody has kept. The spec that comes out names the same revision, so going back starts no new one.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;

use crate::api::{Artefact, Batching, Compute, Model, NamedModel, Queue, Resources, SecretReference, Serving};
use crate::render::{CONTAINER, VERSION_ANNOTATION};
use crate::resolve::threads_allowed;
use crate::server_config::{ModelConfig, ServerConfig, ServingConfig};
use crate::units;

/// The fields of a spec that shape a revision and are the model's. `serverImage`, `pod` and `cache` shape one as well and belong to where
/// it runs: who goes back keeps them as they are now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// The one model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Or several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<NamedModel>,
    /// How requests are served.
    pub serving: Serving,
    /// CPU and memory of each replica.
    pub resources: Resources,
}

/// A Deployment that does not tell what it runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Deployment {deployment} does not tell what it serves: {message}")]
pub struct Unknown {
    /// The Deployment.
    pub deployment: String,
    /// What is missing.
    pub message: String,
}

/// What the Deployment of a revision of the ModelDeployment `name` was made from.
///
/// # Errors
/// It is not one of ours, or its configuration cannot be read.
pub fn unresolve_deployment(name: &str, deployment: &Deployment) -> Result<Shape, Unknown> {
    let unknown = |message: String| Unknown { deployment: deployment.metadata.name.clone().unwrap_or_default(), message };
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.iter().find(|container| container.name == CONTAINER));
    let container = container.ok_or_else(|| unknown(format!("it has no container {CONTAINER}")))?;
    let variable = container.env.iter().flatten().find(|variable| variable.name == "MODELYARD_CONFIG");
    let json = variable.and_then(|variable| variable.value.as_deref());
    let json = json.ok_or_else(|| unknown("it has no MODELYARD_CONFIG".to_owned()))?;
    let config = ServerConfig::from_json(json).map_err(|error| unknown(format!("MODELYARD_CONFIG: {error}")))?;
    let amounts = container.resources.as_ref();
    let resources = Resources {
        requests: amounts.and_then(|amounts| amounts.requests.as_ref()).map(compute).unwrap_or_default(),
        limits: amounts.and_then(|amounts| amounts.limits.as_ref()).map(compute),
    };
    let versioned = deployment.metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key(VERSION_ANNOTATION));
    let mut shape = unresolve(name, &config, &resources, versioned);
    let artefacts = shape.model.iter_mut().map(|model| &mut model.artefact);
    let artefacts = artefacts.chain(shape.models.iter_mut().map(|model| &mut model.artefact));
    for (artefact, model) in artefacts.zip(&config.models) {
        artefact.secret_ref = model.authorization_env.as_deref().and_then(|variable| secret(container, variable));
    }
    Ok(shape)
}

/// The Secret that a variable of the container comes from.
fn secret(container: &Container, variable: &str) -> Option<SecretReference> {
    let variable = container.env.iter().flatten().find(|one| one.name == variable)?;
    let key = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
    Some(SecretReference { name: key.name.clone() })
}

/// The fields from which `resolve` makes this configuration. `single`: they said `model`, not a list of one.
#[must_use]
pub fn unresolve(name: &str, config: &ServerConfig, resources: &Resources, single: bool) -> Shape {
    let (model, models) = match config.models.as_slice() {
        [one] if single => {
            let named = (one.name != name).then(|| one.name.clone());
            (Some(Model { name: named, artefact: artefact(one) }), Vec::new())
        }
        several => (None, several.iter().map(|one| NamedModel { name: one.name.clone(), artefact: artefact(one) }).collect()),
    };
    Shape { model, models, serving: serving(&config.serving, resources), resources: resources.clone() }
}

fn artefact(config: &ModelConfig) -> Artefact {
    let ModelConfig { name: _, uri, sha256, version, classes, authorization_env: _ } = config.clone();
    Artefact { uri, sha256, version, classes, secret_ref: None }
}

fn serving(config: &ServingConfig, resources: &Resources) -> Serving {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    // The CPU limit gives as many by itself.
    let given = threads_allowed(resources).ok().flatten();
    Serving {
        request_timeout: config.request_timeout.into(),
        max_request_bytes: Quantity(units::binary(config.max_request_bytes)),
        queue: Queue { max_length: count(config.queue.max_length) },
        batching: config
            .batching
            .as_ref()
            .map(|batching| Batching { max_size: count(batching.max_size), max_delay: batching.max_delay.into() }),
        threads: config.threads.filter(|threads| Some(*threads) != given).map(count),
        drain_delay: config.drain_delay.into(),
    }
}

fn compute(amounts: &BTreeMap<String, Quantity>) -> Compute {
    Compute { cpu: amounts.get("cpu").cloned(), memory: amounts.get("memory").cloned() }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Observed, plan};
    use crate::render::{Owner, render};
    use crate::resolve::{Resolved, resolve};

    fn resolved(spec: Value) -> Resolved {
        let mut object = json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "mnist"}, "spec": spec});
        crate::schema::schemas()[0].complete(&mut object);
        assert_eq!(crate::schema::schemas()[0].violations(&object), [], "{object}");
        resolve(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn deployment(resolved: &Resolved) -> Deployment {
        let plan = plan(resolved, &Observed::default(), Timestamp::UNIX_EPOCH);
        render(resolved, &plan, Owner { namespace: "n", uid: "u", server_image: "i" }, 3).deployment
    }

    /// A spec as people write them: some fields, not all.
    fn specs() -> impl Strategy<Value = Value> {
        let model =
            ("[a-z]{1,5}", 1..9_i64, proptest::option::of("[0-9a-fA-F]{64}"), proptest::collection::vec("[a-z]{0,3}", 0..3));
        let artefact = model.prop_map(|(uri, version, sum, classes)| {
            let mut value = json!({"uri": format!("https://{uri}/m.onnx"), "version": version, "classes": classes});
            sum.into_iter().for_each(|sum| value["sha256"] = json!(sum));
            if version > 5 {
                value["secretRef"] = json!({"name": "store"});
            }
            value
        });
        let amount = prop_oneof![Just("1"), Just("1000m"), Just("2.5"), Just("1500m"), Just("3")];
        let bytes = prop_oneof![Just("1Gi"), Just("1024Mi"), Just("1500M"), Just("2e9")];
        let limits = proptest::option::of((amount, bytes));
        let serving =
            (1..100_000_u64, 1..9_999_999_999_u64, 1..1_000_000, proptest::option::of(1..9), proptest::option::of(2..99));
        (proptest::collection::vec(artefact, 1..4), any::<bool>(), limits, serving).prop_map(
            |(artefacts, single, limits, serving)| {
                let (millis, bytes, queue, threads, batch) = serving;
                let mut spec = json!({"serving": {
                    "requestTimeout": format!("{}ms", millis + 5), "maxRequestBytes": bytes.to_string(),
                    "queue": {"maxLength": queue}, "drainDelay": format!("{millis}us"),
                }});
                threads.into_iter().for_each(|threads| spec["serving"]["threads"] = json!(threads));
                batch.into_iter().for_each(|size| spec["serving"]["batching"] = json!({"maxSize": size}));
                limits
                    .into_iter()
                    .for_each(|(cpu, memory)| spec["resources"] = json!({"limits": {"cpu": cpu, "memory": memory}}));
                if single {
                    spec["model"] = artefacts[0].clone();
                } else {
                    let named = artefacts.into_iter().enumerate().map(|(index, mut one)| {
                        one["name"] = json!(format!("m{index}"));
                        one
                    });
                    spec["models"] = named.collect();
                }
                spec
            },
        )
    }

    proptest! {
        #[test]
        fn what_comes_back_names_the_same_revision(spec in specs()) {
            let before = resolved(spec);
            let shape = unresolve_deployment("mnist", &deployment(&before)).unwrap();
            let after = resolved(serde_json::to_value(&shape).unwrap());
            prop_assert_eq!(&after.config, &before.config);
            prop_assert_eq!((&after.revision, after.version), (&before.revision, before.version));
        }
    }

    #[test]
    fn quantities_that_the_api_server_respells_name_the_same_revision() {
        let before = resolved(json!({"model": {"uri": "file:m"}, "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}));
        let mut stored = deployment(&before);
        let container = &mut stored.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0];
        let limits = container.resources.as_mut().unwrap().limits.as_mut().unwrap();
        *limits = [("cpu", "1"), ("memory", "1Gi")].map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).into();
        let shape = unresolve_deployment("mnist", &stored).unwrap();
        assert_eq!(resolved(serde_json::to_value(shape).unwrap()).revision, before.revision);
    }

    #[test]
    fn what_is_not_ours_says_what_is_missing() {
        let mut other = deployment(&resolved(json!({"model": {"uri": "file:m"}})));
        let container = &mut other.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0];
        container.env = None;
        assert!(unresolve_deployment("mnist", &other).unwrap_err().to_string().ends_with("it has no MODELYARD_CONFIG"));
        other.spec = None;
        assert!(unresolve_deployment("mnist", &other).unwrap_err().to_string().ends_with("it has no container server"));
    }
}
