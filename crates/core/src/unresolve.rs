//! From what runs back to what somebody could have written: the inverse of `resolve` and `render`, to go back to a revision whose
//! spec nobody has kept. The spec that comes out names the same revision, so going back starts no new one.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;

use crate::api::is_default;
use crate::api::{
    Artefact, Availability, Batching, Cache, CacheClaim, CacheEmptyDir, Compute, Engine, Model, ModelDeploymentSpec, NamedModel,
    PodOptions, Queue, Resources, Rollout, SecretReference, ServiceOptions, Serving,
};
use crate::claim::{Claim, MOUNTED};
use crate::pins::RESTARTED_AT;
use crate::render::{CONFIG_FILE, CONTAINER, PINS_VARIABLE, RESTARTED_AT_VARIABLE, REVISION_LABEL, VERSION_ANNOTATION};
use crate::resolve::{revision, revision_of_followers, threads_allowed};
use crate::server_config::{ModelConfig, ServerConfig, ServingConfig};
use crate::steps::{Step, WrittenStep};
use crate::units;

/// Annotations of a pod template that are not the spec's: the operator's, and that of a restart.
const NOT_OF_THE_SPEC: [&str; 2] = ["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes", RESTARTED_AT];
/// Beginnings of labels, and of variables, that are the operator's.
const OWN_LABELS: [&str; 2] = ["modelyard.dev/", "app.kubernetes.io/"];
const OWN_VARIABLES: [&str; 7] = [
    "MODELYARD_CONFIG",
    "MODELYARD_CACHE_DIR",
    "MODELYARD_LOG_FORMAT",
    "MODELYARD_AUTHORIZATION_",
    "MODELYARD_STORE_",
    PINS_VARIABLE,
    RESTARTED_AT_VARIABLE,
];

/// The fields of a spec that shape a revision; the others are not the revision's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// The one model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Or several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<NamedModel>,
    /// What computes the models, and how they are loaded.
    #[serde(skip_serializing_if = "is_default")]
    pub engine: Engine,
    /// How requests are served.
    pub serving: Serving,
    /// CPU and memory of each replica.
    pub resources: Resources,
    /// The image of the servers, where the spec named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_image: Option<String>,
    /// Where replicas run, and what is added to their pods.
    pub pod: PodOptions,
    /// Where artefacts are kept.
    pub cache: Cache,
}

impl Shape {
    /// The names of the fields in a spec.
    pub const FIELDS: [&str; 8] = ["model", "models", "engine", "serving", "resources", "serverImage", "pod", "cache"];

    /// Gives a spec this shape; what does not shape a revision stays.
    pub fn give(self, spec: &mut ModelDeploymentSpec) {
        (spec.model, spec.models, spec.engine) = (self.model, self.models, self.engine);
        (spec.serving, spec.resources) = (self.serving, self.resources);
        (spec.server_image, spec.pod, spec.cache) = (self.server_image, self.pod, self.cache);
    }

    /// A spec of this shape alone.
    fn spec(&self) -> ModelDeploymentSpec {
        let Self { model, models, engine, serving, resources, server_image, pod, cache } = self.clone();
        ModelDeploymentSpec {
            model,
            models,
            engine,
            serving,
            replicas: 1,
            resources,
            rollout: Rollout::default(),
            server_image,
            pod,
            service: ServiceOptions::default(),
            availability: Availability::default(),
            cache,
            network_policy: None,
            paused: false,
        }
    }
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

/// Whether the servers of a revision follow their configuration, which is in the ConfigMap of the Deployment's name then.
#[must_use]
pub fn follows(deployment: &Deployment) -> bool {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.iter().find(|container| container.name == CONTAINER));
    container.and_then(config_of).is_some_and(|config| config.starts_with('@'))
}

/// What a server is told to serve: the configuration, or @ and the file that holds it.
fn config_of(container: &Container) -> Option<&str> {
    container.env.iter().flatten().find(|variable| variable.name == "MODELYARD_CONFIG")?.value.as_deref()
}

/// What the Deployment of a revision of the ModelDeployment `name` was made from, with the models that its servers had last:
/// `configuration` is what they follow, where they do.
///
/// # Errors
/// It is not one of ours, or its configuration cannot be read.
pub fn unresolve(name: &str, deployment: &Deployment, configuration: Option<&ConfigMap>) -> Result<Shape, Unknown> {
    let metadata = &deployment.metadata;
    let unknown = |message: String| Unknown { deployment: metadata.name.clone().unwrap_or_default(), message };
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let found = template.and_then(|template| {
        let pod = template.spec.as_ref()?;
        Some((template, pod, pod.containers.iter().find(|container| container.name == CONTAINER)?))
    });
    let (template, pod, container) = found.ok_or_else(|| unknown(format!("it has no container {CONTAINER}")))?;
    let json = config_of(container).ok_or_else(|| unknown("it has no MODELYARD_CONFIG".to_owned()))?;
    let follows = json.starts_with('@');
    let (json, place) = if follows {
        let file = configuration.and_then(|one| one.data.as_ref()?.get(CONFIG_FILE));
        let missing =
            || unknown(format!("its servers follow a ConfigMap of its name, which is not there or has no {CONFIG_FILE}"));
        (file.ok_or_else(missing)?.as_str(), "its ConfigMap")
    } else {
        (json, "MODELYARD_CONFIG")
    };
    let config = ServerConfig::from_json(json).map_err(|error| unknown(format!("{place}: {error}")))?;
    let amounts = container.resources.as_ref();
    let resources = Resources {
        requests: amounts.and_then(|amounts| amounts.requests.as_ref()).map(compute).unwrap_or_default(),
        limits: amounts.and_then(|amounts| amounts.limits.as_ref()).map(compute),
    };
    let single = metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key(VERSION_ANNOTATION));
    let (model, models) = models(name, &config, container, single);
    let serving = serving(&config.serving, &resources);
    let shape = Shape {
        model,
        models,
        engine: shared_engine(&config),
        serving,
        resources,
        server_image: None,
        pod: pod_options(template, pod, container),
        cache: cache(pod),
    };
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL)).map_or("", String::as_str);
    let named = if follows { revision_of_followers } else { revision };
    Ok(settled(shape, container, label, |spec| named(&config, spec)))
}

/// What a pod does not tell is whether its image and its spread are the operator's or the spec's: the revision's name does.
fn settled(shape: Shape, container: &Container, label: &str, revision: impl Fn(&ModelDeploymentSpec) -> String) -> Shape {
    let with = |image: &Option<String>, spread: bool| {
        let mut shape = shape.clone();
        shape.server_image.clone_from(image);
        if !spread {
            shape.pod.topology_spread_constraints.clear();
        }
        shape
    };
    let guesses = [(&None, false), (&container.image, false), (&None, true), (&container.image, true)];
    let mut guesses = guesses.map(|(image, spread)| with(image, spread)).into_iter();
    let named = guesses.find(|guess| revision(&guess.spec()) == label);
    named.unwrap_or_else(|| with(&None, false))
}

/// The models, as `model` if the spec said that, else as `models`.
fn models(name: &str, config: &ServerConfig, container: &Container, single: bool) -> (Option<Model>, Vec<NamedModel>) {
    match config.models.as_slice() {
        [one] if single => {
            let named = (one.name != name).then(|| one.name.clone());
            (Some(Model { name: named, artefact: artefact(one, container) }), Vec::new())
        }
        several => {
            let shared = shared_engine(config);
            let several = several.iter().map(|one| NamedModel {
                name: one.name.clone(),
                artefact: artefact(one, container),
                engine: Some(one.engine.into()).filter(|own| *own != shared),
            });
            (None, several.collect())
        }
    }
}

/// The engine of the first model: as good a guess as any of what the object says for all.
fn shared_engine(config: &ServerConfig) -> Engine {
    config.models.first().map_or_else(Engine::default, |model| model.engine.into())
}

fn artefact(config: &ModelConfig, container: &Container) -> Artefact {
    let ModelConfig {
        name: _,
        uri,
        sha256,
        format,
        version,
        classes,
        preprocess,
        postprocess,
        authorization_env,
        credentials_env,
        engine: _,
        stamp: _,
    } = config.clone();
    let is_its = |name: &str| {
        authorization_env.as_deref() == Some(name) || credentials_env.as_deref().is_some_and(|prefix| name.starts_with(prefix))
    };
    let secret_ref =
        container.env.iter().flatten().find(|variable| is_its(&variable.name)).and_then(|variable| {
            Some(SecretReference { name: variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name.clone() })
        });
    let mounted = |claim: &Claim| {
        let place = format!("{MOUNTED}/{}", claim.name);
        container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == place)
    };
    let uri = Claim::of_file(&uri).filter(mounted).map_or(uri, |claim| claim.uri());
    let written = |steps: &[Step]| steps.iter().map(WrittenStep::from).collect();
    let (preprocess, postprocess) = (written(&preprocess), written(&postprocess));
    Artefact { uri, sha256, format, version, classes, preprocess, postprocess, secret_ref }
}

fn pod_options(template: &PodTemplateSpec, pod: &PodSpec, container: &Container) -> PodOptions {
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels.unwrap_or_default();
    labels.retain(|key, _| !OWN_LABELS.iter().any(|own| key.starts_with(own)));
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.retain(|key, _| !NOT_OF_THE_SPEC.contains(&key.as_str()));
    let mut env = container.env.clone().unwrap_or_default();
    env.retain(|variable| !OWN_VARIABLES.iter().any(|own| variable.name.starts_with(own)));
    PodOptions {
        labels,
        annotations,
        node_selector: pod.node_selector.clone().unwrap_or_default(),
        tolerations: pod.tolerations.clone().unwrap_or_default(),
        affinity: pod.affinity.clone(),
        topology_spread_constraints: pod.topology_spread_constraints.clone().unwrap_or_default(),
        priority_class_name: pod.priority_class_name.clone(),
        runtime_class_name: pod.runtime_class_name.clone(),
        service_account_name: pod.service_account_name.clone(),
        image_pull_secrets: pod.image_pull_secrets.clone().unwrap_or_default(),
        env,
    }
}

fn cache(pod: &PodSpec) -> Cache {
    let volume = pod.volumes.iter().flatten().find(|volume| volume.name == "cache");
    let claim = volume.and_then(|volume| volume.persistent_volume_claim.as_ref());
    let limit = volume.and_then(|volume| volume.empty_dir.as_ref()?.size_limit.clone());
    Cache {
        empty_dir: limit.map(|limit| CacheEmptyDir { size_limit: Some(limit) }),
        persistent_volume_claim: claim.map(|claim| CacheClaim { claim_name: claim.claim_name.clone() }),
    }
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
        memory_budget: config.memory_budget.map(|bytes| Quantity(units::binary(bytes))),
    }
}

fn compute(amounts: &BTreeMap<String, Quantity>) -> Compute {
    Compute { cpu: amounts.get("cpu").cloned(), memory: amounts.get("memory").cloned() }
}

#[cfg(test)]
mod tests;
