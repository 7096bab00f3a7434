//! From what somebody wrote to what is to be: names filled in, durations and sizes read, the revision named. Every way to fail is
//! here; what comes out can be planned and launched without another check.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::{
    Artefact, Cache, Compute, Engine, EngineName, ModelDeployment, ModelDeploymentSpec, NetworkPolicyOptions, PodOptions, Reason,
    Resources, ServiceOptions, Serving,
};
use crate::claim::Claim;
use crate::plan::Capacity;
use crate::server_config::{BatchingConfig, ModelConfig, QueueConfig, ServerConfig, ServingConfig};
use crate::steps::{Step, Widths, WrittenStep};
use crate::units;

mod revision;
mod secrets;

pub(crate) use revision::{digest, revision, revision_of_followers};
pub use secrets::SecretVariable;
use secrets::{Numbers, secrets};

/// A deployment that can be planned and launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The object's name.
    pub name: String,
    /// The object's namespace, where it has one.
    pub namespace: Option<String>,
    /// The generation of the spec, where a cluster counts it.
    pub generation: Option<i64>,
    /// The revision that this spec makes. Where there may be several models it is not of them: servers follow a change of those while
    /// they run.
    pub revision: String,
    /// The same of a release whose servers did not, where there may be several models.
    pub inline: Option<Box<Inline>>,
    /// The model's version, where there is one model.
    pub version: Option<i64>,
    /// Replicas wanted.
    pub replicas: u32,
    /// Whether a new revision may take room beside the old one.
    pub capacity: Capacity,
    /// Seconds in which a revision must get on.
    pub progress_deadline_seconds: i32,
    /// Retired revisions that are kept, to go back to.
    pub history: usize,
    /// What each replica serves, and how.
    pub config: ServerConfig,
    /// CPU and memory of each replica.
    pub resources: Resources,
    /// The image of the servers, where the spec names one.
    pub server_image: Option<String>,
    /// Where replicas run, and what is added to their pods.
    pub pod: PodOptions,
    /// The Service.
    pub service: ServiceOptions,
    /// The least replicas that stay, where the spec says.
    pub min_available: Option<IntOrString>,
    /// Where artefacts are kept.
    pub cache: Cache,
    /// Who may call, where that is restricted.
    pub network_policy: Option<NetworkPolicyOptions>,
    /// Variables of the server's environment that come from Secrets.
    pub secrets: Vec<SecretVariable>,
    /// Claims that models lie on, each once, by name.
    pub claims: Vec<String>,
    /// Nothing is to be changed.
    pub paused: bool,
}

/// A deployment of several models as releases made it whose servers got them once, at their start, with the pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Inline {
    /// The revision, which is of the models too.
    pub revision: String,
    /// What each replica serves: the same models, with other names of variables.
    pub config: ServerConfig,
    /// Those variables.
    pub secrets: Vec<SecretVariable>,
}

impl Resolved {
    /// Whether a model is to be computed by ONNX Runtime, which only one of the server's images has.
    #[must_use]
    pub fn needs_onnx_runtime(&self) -> bool {
        needs_onnx_runtime(&self.config)
    }

    /// Whether a model's name may lead to other bytes some day, or one may come whose name does: replicas are held to what the first one served.
    #[must_use]
    pub fn may_move(&self) -> bool {
        self.follows() || self.config.models.iter().any(ModelConfig::may_move)
    }

    /// Whether the servers follow their configuration: models come, go and change without another revision.
    #[must_use]
    pub const fn follows(&self) -> bool {
        self.inline.is_some()
    }
}

fn needs_onnx_runtime(config: &ServerConfig) -> bool {
    config.models.iter().any(|model| model.engine.name == EngineName::OnnxRuntime)
}

/// A spec that cannot be served: the user's to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Path of the field, such as `spec.models[1].name`.
    pub field: String,
    /// What was found, and what was expected.
    pub message: String,
}

impl Invalid {
    /// The reason in conditions, events and metrics.
    pub const REASON: Reason = Reason::InvalidSpec;

    fn new(field: impl Into<String>, message: impl ToString) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

/// Resolves a deployment.
///
/// `file:` paths stay as they are written: who launches the server knows where they start.
///
/// # Errors
/// Names the first field that is wrong. After the schema and the CEL rules there is little left: an object that reached the
/// cluster before a rule did, and numbers beyond every machine.
pub fn resolve(object: &ModelDeployment) -> Result<Resolved, Invalid> {
    let name = object.metadata.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Invalid::new("metadata.name", "expected a name, found none"))?;
    let spec = &object.spec;
    let several = !spec.models.is_empty();
    let numbers = if several { Numbers::by_secret(spec) } else { Numbers::ByModel };
    let models = match (&spec.model, spec.models.as_slice()) {
        (Some(model), []) => {
            let name = model.name.as_deref().unwrap_or(&name);
            vec![config_of((0, &numbers), "spec.model", (name, &model.artefact, spec.engine))?]
        }
        (None, models @ [_, ..]) => {
            let each = models.iter().enumerate();
            each.map(|(at, model)| {
                let engine = model.engine.unwrap_or(spec.engine);
                config_of((at, &numbers), &format!("spec.models[{at}]"), (&model.name, &model.artefact, engine))
            })
            .collect::<Result<_, _>>()?
        }
        (Some(_), _) => return Err(Invalid::new("spec", "expected one of model and models, found both")),
        (None, _) => return Err(Invalid::new("spec", "expected one of model and models, found neither")),
    };
    let replicas = u32::try_from(spec.replicas)
        .map_err(|_| Invalid::new("spec.replicas", format!("expected 0 or more, found {}", spec.replicas)))?;
    check(&spec.resources)?;
    let config = ServerConfig { models, serving: serving(&spec.serving, &spec.resources)? };
    config.check().map_err(|wrong| {
        let field = if spec.model.is_some() { wrong.field.replacen("models[0]", "model", 1) } else { wrong.field };
        Invalid::new(format!("spec.{field}"), wrong.message)
    })?;
    let deadline = std::time::Duration::from(spec.rollout.progress_deadline).as_secs();
    Ok(Resolved {
        revision: if several { revision_of_followers(&config, spec) } else { revision(&config, spec) },
        inline: several.then(|| Box::new(inline(&config, spec))),
        version: spec.model.as_ref().map(|model| model.artefact.version),
        name,
        namespace: object.metadata.namespace.clone(),
        generation: object.metadata.generation,
        replicas,
        capacity: spec.rollout.capacity,
        progress_deadline_seconds: i32::try_from(deadline).unwrap_or(i32::MAX),
        history: usize::try_from(spec.rollout.revision_history_limit).unwrap_or(0),
        config,
        resources: spec.resources.clone(),
        server_image: spec.server_image.clone(),
        pod: spec.pod.clone(),
        service: spec.service.clone(),
        min_available: spec.availability.min_available.clone(),
        cache: spec.cache.clone(),
        network_policy: spec.network_policy.clone(),
        secrets: secrets(spec, &numbers),
        claims: claims(spec),
        paused: spec.paused,
    })
}

/// The same models, for servers that get them once.
fn inline(config: &ServerConfig, spec: &ModelDeploymentSpec) -> Inline {
    let mut config = config.clone();
    for (at, (model, artefact)) in config.models.iter_mut().zip(artefacts(spec)).enumerate() {
        (model.authorization_env, model.credentials_env) = Numbers::ByModel.env(at, artefact);
    }
    Inline { revision: revision(&config, spec), secrets: secrets(spec, &Numbers::ByModel), config }
}

/// The artefacts, in the order of the server's models.
fn artefacts(spec: &ModelDeploymentSpec) -> impl Iterator<Item = &Artefact> {
    spec.model.iter().map(|model| &model.artefact).chain(spec.models.iter().map(|model| &model.artefact))
}

/// The claims that models lie on.
fn claims(spec: &ModelDeploymentSpec) -> Vec<String> {
    let named: BTreeSet<_> = artefacts(spec).filter_map(|one| Some(Claim::of(&one.uri)?.ok()?.name)).collect();
    named.into_iter().collect()
}

fn config_of(
    (at, numbers): (usize, &Numbers<'_>),
    field: &str,
    (name, artefact, engine): (&str, &Artefact, Engine),
) -> Result<ModelConfig, Invalid> {
    let (authorization_env, credentials_env) = numbers.env(at, artefact);
    let claim = Claim::of(&artefact.uri).transpose().map_err(|wrong| Invalid::new(format!("{field}.uri"), wrong))?;
    Ok(ModelConfig {
        authorization_env,
        credentials_env,
        name: name.to_owned(),
        uri: claim.map_or_else(|| artefact.uri.clone(), |claim| claim.file()),
        format: artefact.format,
        sha256: artefact.sha256.as_ref().map(|sum| sum.to_ascii_lowercase()),
        version: artefact.version,
        classes: artefact.classes.clone(),
        preprocess: steps(&format!("{field}.preprocess"), &artefact.preprocess)?,
        postprocess: steps(&format!("{field}.postprocess"), &artefact.postprocess)?,
        engine: engine.into(),
        stamp: None,
    })
}

/// The steps of a list, each with the fields of its operation and no others.
fn steps(field: &str, written: &[WrittenStep]) -> Result<Vec<Step>, Invalid> {
    let mut widths = Widths::default();
    let each = written.iter().enumerate().map(|(at, step)| {
        let step = step.step().map_err(|misfit| {
            let dot = if misfit.field.is_empty() { "" } else { "." };
            Invalid::new(format!("{field}[{at}]{dot}{}", misfit.field), misfit.message)
        })?;
        widths.follow(&step).map_err(|wrong| Invalid::new(format!("{field}[{at}].{}", wrong.field), wrong.message))?;
        Ok(step)
    });
    each.collect()
}

fn serving(spec: &Serving, resources: &Resources) -> Result<ServingConfig, Invalid> {
    let duration = |field: &str, value: kube::core::Duration| {
        if value.is_negative() {
            return Err(Invalid::new(format!("spec.serving.{field}"), format!("expected 0s or more, found {value}")));
        }
        Ok(std::time::Duration::from(value))
    };
    let count = |field: &str, value: i32| {
        u32::try_from(value)
            .map_err(|_| Invalid::new(format!("spec.serving.{field}"), format!("expected 1 or more, found {value}")))
    };
    let batching = match &spec.batching {
        Some(batching) => Some(BatchingConfig {
            max_size: count("batching.maxSize", batching.max_size)?,
            max_delay: duration("batching.maxDelay", batching.max_delay)?,
        }),
        None => None,
    };
    let written = spec.threads.map(|threads| count("threads", threads)).transpose()?;
    let allowed = threads_allowed(resources)?;
    Ok(ServingConfig {
        request_timeout: duration("requestTimeout", spec.request_timeout)?,
        max_request_bytes: units::whole(&spec.max_request_bytes.0)
            .map_err(|error| Invalid::new("spec.serving.maxRequestBytes", error))?,
        queue: QueueConfig { max_length: count("queue.maxLength", spec.queue.max_length)? },
        batching,
        threads: written.map_or(allowed, |threads| Some(allowed.map_or(threads, |most| threads.min(most)))),
        drain_delay: duration("drainDelay", spec.drain_delay)?,
        memory_budget: match &spec.memory_budget {
            Some(budget) => Some(budget_of(budget, resources)?),
            None => None,
        },
    })
}

/// Bytes for the models, fewer than the server may have in all.
fn budget_of(budget: &Quantity, resources: &Resources) -> Result<u64, Invalid> {
    let wrong = |message: String| Invalid::new("spec.serving.memoryBudget", message);
    let bytes = units::whole(&budget.0).map_err(|error| wrong(error.to_string()))?;
    let limit = resources.limits.as_ref().and_then(|limits| limits.memory.as_ref());
    let most = limit.map(|limit| units::whole(&limit.0)).transpose();
    match most.map_err(|error| Invalid::new("spec.resources.limits.memory", error))? {
        Some(most) if bytes >= most => Err(wrong(format!(
            "expected less than resources.limits.memory, since the server and its requests need memory too; found {} of {}",
            units::binary(bytes),
            units::binary(most)
        ))),
        _ if bytes == 0 => Err(wrong("expected more than 0".to_owned())),
        _ => Ok(bytes),
    }
}

/// The CPU limit as a number of threads, rounded up; at least one.
pub(crate) fn threads_allowed(resources: &Resources) -> Result<Option<u32>, Invalid> {
    let Some(cpu) = resources.limits.as_ref().and_then(|limits| limits.cpu.as_ref()) else { return Ok(None) };
    let cores = units::whole(&cpu.0).map_err(|error| Invalid::new("spec.resources.limits.cpu", error))?;
    Ok(Some(u32::try_from(cores).unwrap_or(u32::MAX).max(1)))
}

/// Every amount can be read, and no request is above its limit.
fn check(resources: &Resources) -> Result<(), Invalid> {
    let none = Compute::default();
    let (requests, limits) = (&resources.requests, resources.limits.as_ref().unwrap_or(&none));
    for (name, request, limit) in [("cpu", &requests.cpu, &limits.cpu), ("memory", &requests.memory, &limits.memory)] {
        let read = |list: &str, amount: &Option<Quantity>| match amount {
            Some(amount) => {
                units::milli(&amount.0).map(Some).map_err(|error| Invalid::new(format!("spec.resources.{list}.{name}"), error))
            }
            None => Ok(None),
        };
        if let (Some(asked), Some(most)) = (read("requests", request)?, read("limits", limit)?)
            && asked > most
        {
            return Err(Invalid::new(format!("spec.resources.requests.{name}"), format!("expected at most limits.{name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
