//! From what somebody wrote to what is to be: names filled in, durations and sizes read, the revision named. Every way to fail is
//! here; what comes out can be planned and launched without another check.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::{
    Artefact, Cache, CacheEmptyDir, Compute, Engine, EngineName, ModelDeployment, ModelDeploymentSpec, NetworkPolicyOptions,
    PodOptions, Reason, Resources, ServiceOptions, Serving,
};
use crate::claim::Claim;
use crate::location::{Key, Scheme};
use crate::plan::Capacity;
use crate::server_config::{BatchingConfig, ModelConfig, QueueConfig, ServerConfig, ServingConfig};
use crate::steps::{Step, WrittenStep};
use crate::units;

/// A deployment that can be planned and launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The object's name.
    pub name: String,
    /// The object's namespace, where it has one.
    pub namespace: Option<String>,
    /// The generation of the spec, where a cluster counts it.
    pub generation: Option<i64>,
    /// The revision that this spec makes.
    pub revision: String,
    /// What `revision` would be named after without the models, where there may be several: a server follows a change of those while
    /// it runs, if whoever launched it hands it on.
    pub shape: Option<String>,
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

impl Resolved {
    /// Whether a model is to be computed by ONNX Runtime, which only one of the server's images has.
    #[must_use]
    pub fn needs_onnx_runtime(&self) -> bool {
        self.config.models.iter().any(|model| model.engine.name == EngineName::OnnxRuntime)
    }
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
    let models = match (&spec.model, spec.models.as_slice()) {
        (Some(model), []) => {
            let name = model.name.as_deref().unwrap_or(&name);
            vec![config_of(0, "spec.model", (name, &model.artefact, spec.engine))?]
        }
        (None, models @ [_, ..]) => {
            let each = models.iter().enumerate();
            each.map(|(at, model)| {
                let engine = model.engine.unwrap_or(spec.engine);
                config_of(at, &format!("spec.models[{at}]"), (&model.name, &model.artefact, engine))
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
        revision: revision(&config, spec),
        shape: spec.model.is_none().then(|| revision(&ServerConfig { models: Vec::new(), ..config.clone() }, spec)),
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
        secrets: secrets(spec),
        claims: claims(spec),
        paused: spec.paused,
    })
}

/// A variable of the server's environment that the kubelet fills in from a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVariable {
    /// Its name.
    pub variable: String,
    /// The Secret's.
    pub secret: String,
    /// The key in the Secret.
    pub key: &'static str,
    /// Whether the Secret may be without it.
    pub optional: bool,
}

/// The keys that the store of an artefact reads from a Secret. The others, and those of `file:`, are not handed out.
fn keys(artefact: &Artefact) -> &'static [Key] {
    Scheme::of(&artefact.uri).map_or(&[], Scheme::keys)
}

/// The variable that holds the header for the store of the model at an index.
pub(crate) fn authorization_env(at: usize) -> String {
    format!("MODELYARD_AUTHORIZATION_{at}")
}

/// What the variables begin with that hold the Secret for any other store.
fn credentials_env(at: usize) -> String {
    format!("MODELYARD_STORE_{at}_")
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

/// The artefacts that have a Secret: their index, and its name.
fn with_secrets(spec: &ModelDeploymentSpec) -> impl Iterator<Item = (usize, &Artefact, &String)> {
    artefacts(spec).enumerate().filter_map(|(at, artefact)| Some((at, artefact, &artefact.secret_ref.as_ref()?.name)))
}

/// What shapes a revision: which Secret is for which model. The keys of it that a store reads do not: a release that reads one more
/// makes no new revision.
fn secret_names(spec: &ModelDeploymentSpec) -> Vec<(String, String)> {
    let env = |at, artefact| if keys(artefact).is_empty() { authorization_env(at) } else { credentials_env(at) };
    with_secrets(spec).map(|(at, artefact, secret)| (env(at, artefact), secret.clone())).collect()
}

/// The variables that the server's environment needs from Secrets.
fn secrets(spec: &ModelDeploymentSpec) -> Vec<SecretVariable> {
    let variables = with_secrets(spec).flat_map(|(at, artefact, secret)| match keys(artefact) {
        [] => {
            let variable = authorization_env(at);
            vec![SecretVariable { variable, secret: secret.clone(), key: "HTTP_AUTHORIZATION", optional: false }]
        }
        keys => {
            let variable = |key: &Key| SecretVariable {
                variable: key.variable(&credentials_env(at)),
                secret: secret.clone(),
                key: key.name,
                optional: !key.required,
            };
            keys.iter().map(variable).collect()
        }
    });
    variables.collect()
}

fn config_of(at: usize, field: &str, (name, artefact, engine): (&str, &Artefact, Engine)) -> Result<ModelConfig, Invalid> {
    let claim = Claim::of(&artefact.uri).transpose().map_err(|wrong| Invalid::new(format!("{field}.uri"), wrong))?;
    Ok(ModelConfig {
        authorization_env: artefact.secret_ref.as_ref().filter(|_| keys(artefact).is_empty()).map(|_| authorization_env(at)),
        credentials_env: artefact.secret_ref.as_ref().filter(|_| !keys(artefact).is_empty()).map(|_| credentials_env(at)),
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
    let each = written.iter().enumerate().map(|(at, step)| {
        step.step().map_err(|misfit| {
            let dot = if misfit.field.is_empty() { "" } else { "." };
            Invalid::new(format!("{field}[{at}]{dot}{}", misfit.field), misfit.message)
        })
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

/// Names what shapes a replica: its whole server configuration (`drainDelay` too, or a change of it would reach nobody), its
/// resources, its image if the spec names one, and what the spec says of its pod and cache. The number of replicas does not shape one.
///
/// The name is the beginning of the SHA-256 of that as JSON with sorted keys, so it does not depend on the order of fields; a
/// field that a later release adds must stay out of the JSON while it has its default, or that release would restart every model.
pub(crate) fn revision(config: &ServerConfig, spec: &ModelDeploymentSpec) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape<'a> {
        config: &'a ServerConfig,
        resources: &'a Resources,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_image: Option<&'a String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pod: Option<&'a PodOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache: Option<&'a Cache>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<(String, String)>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        claims: Vec<String>,
    }
    let cache = Cache {
        empty_dir: spec.cache.empty_dir.as_ref().map(|dir| CacheEmptyDir { size_limit: in_one_spelling(&dir.size_limit) }),
        ..spec.cache.clone()
    };
    let shape = Shape {
        config,
        resources: &each_in_one_spelling(&spec.resources),
        server_image: spec.server_image.as_ref(),
        pod: Some(&spec.pod).filter(|pod| **pod != PodOptions::default()),
        cache: Some(&cache).filter(|cache| **cache != Cache::default()),
        secrets: secret_names(spec),
        claims: claims(spec),
    };
    digest(&shape)
}

/// Ten hexadecimal digits that name a value, whatever the order of its fields.
pub(crate) fn digest(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).map(sorted).unwrap_or_default();
    let sum = Sha256::digest(value.to_string());
    sum.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// `1000m` and `1` are the same amount and shape the same replica; the API server itself writes the one for the other.
fn in_one_spelling(amount: &Option<Quantity>) -> Option<Quantity> {
    amount.as_ref().map(|amount| units::canonical(&amount.0).map_or_else(|_| amount.clone(), Quantity))
}

fn each_in_one_spelling(resources: &Resources) -> Resources {
    let compute = |compute: &Compute| Compute { cpu: in_one_spelling(&compute.cpu), memory: in_one_spelling(&compute.memory) };
    Resources { requests: compute(&resources.requests), limits: resources.limits.as_ref().map(compute) }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests;
