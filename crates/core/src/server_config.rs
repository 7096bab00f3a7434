//! The one contract between what launches an inference server (the operator's renderer, local mode) and the server:
//! a JSON document, handed over by `--config` or `MODELYARD_CONFIG`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::{Engine, EngineName, Format, Isolation, SelfCheck, is_default};
use crate::digest::sha256;
use crate::location::Scheme;
use crate::location::oci::Reference;
use crate::pins::is_fixed;
use crate::resolve::digest;
use crate::steps::Step;

/// What one server serves, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerConfig {
    /// The models, at least one; names are unique.
    pub models: Vec<ModelConfig>,
    /// Limits and scheduling.
    #[serde(default)]
    pub serving: ServingConfig,
}

/// One model: where it comes from, and the name and version it answers to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelConfig {
    /// The name in URLs; no `/` and no `:`.
    pub name: String,
    /// `file:` (absolute, or relative to the working directory), or an address in a store ([`Scheme`]).
    pub uri: String,
    /// The SHA-256 of the artefact's bytes, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What the file is, where its first bytes are not to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The version in URLs and answers, at least 1.
    #[serde(default = "first_version")]
    pub version: i64,
    /// Class names, by index of the last dimension of a classifier's scores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Steps before the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preprocess: Vec<Step>,
    /// Steps after the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postprocess: Vec<Step>,
    /// The variable of the server's environment that holds the `Authorization` header for the model's store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_env: Option<String>,
    /// What the names of the variables begin with that hold the Secret of the model's store, where that is not `http(s):`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_env: Option<String>,
    /// What computes it, and how it is loaded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub engine: EngineConfig,
    /// Of the bytes behind the uri, where somebody follows them: with another one, a server that serves the model loads it anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
}

/// What computes a model, and how it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Which engine computes it.
    pub name: EngineName,
    /// What it goes through before it is taken in.
    pub isolation: Isolation,
    /// Whether it must agree with itself before it is ready.
    #[serde(skip_serializing_if = "is_default")]
    pub self_check: SelfCheck,
}

impl From<Engine> for EngineConfig {
    fn from(Engine { name, isolation, self_check }: Engine) -> Self {
        Self { name, isolation, self_check }
    }
}

impl From<EngineConfig> for Engine {
    fn from(EngineConfig { name, isolation, self_check }: EngineConfig) -> Self {
        Self { name, isolation, self_check }
    }
}

/// Limits and scheduling of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServingConfig {
    /// Past it a request is answered 504 / DEADLINE_EXCEEDED; a client's shorter deadline wins.
    #[serde(with = "go_duration")]
    pub request_timeout: Duration,
    /// Decoded bytes of one request's body; past it 413 / RESOURCE_EXHAUSTED.
    pub max_request_bytes: u64,
    /// Requests waiting for a thread; past it 503 / UNAVAILABLE.
    pub queue: QueueConfig,
    /// Rows of several requests in one run; absent: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batching: Option<BatchingConfig>,
    /// Worker threads; absent: from the cgroup's CPU quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// After SIGTERM: not ready, yet still serving, this long; then what is in flight finishes.
    #[serde(with = "go_duration")]
    pub drain_delay: Duration,
    /// Bytes of memory that the loaded models may take together; absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_budget: Option<u64>,
}

/// The queue before the threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Requests of one model that may wait.
    pub max_length: u32,
}

/// Dynamic batching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchingConfig {
    /// Rows in one run at most.
    pub max_size: u32,
    /// How long the oldest row waits for company.
    #[serde(default = "max_delay", with = "go_duration")]
    pub max_delay: Duration,
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            max_request_bytes: 64 << 20,
            queue: QueueConfig::default(),
            batching: None,
            threads: None,
            drain_delay: Duration::from_secs(5),
            memory_budget: None,
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { max_length: 1000 }
    }
}

/// What a deployment's `spec.serving.batching.maxDelay` is if it is left out.
const fn max_delay() -> Duration {
    Duration::from_millis(5)
}

const fn first_version() -> i64 {
    1
}

/// A configuration that cannot be served; the message names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidConfig {
    /// Path of the field, such as `models[1].name`.
    pub field: String,
    /// What was found, and what was expected.
    pub message: String,
}

impl ModelConfig {
    /// A model of that name at that uri, everything else as if nobody said anything.
    #[must_use]
    pub const fn of(name: String, uri: String) -> Self {
        Self {
            name,
            uri,
            sha256: None,
            format: None,
            version: first_version(),
            classes: Vec::new(),
            preprocess: Vec::new(),
            postprocess: Vec::new(),
            authorization_env: None,
            credentials_env: None,
            engine: EngineConfig { name: EngineName::Auto, isolation: Isolation::Process, self_check: SelfCheck::Enabled },
            stamp: None,
        }
    }

    /// Ten hexadecimal digits that name which bytes are asked for: of the uri, and of what says that it means others than before.
    #[must_use]
    pub fn named(&self) -> String {
        digest(&(&self.uri, &self.sha256, self.version, &self.stamp))
    }

    /// Whether its uri may lead to other bytes some day.
    #[must_use]
    pub fn may_move(&self) -> bool {
        !is_fixed(&self.uri, self.sha256.as_deref())
    }
}

impl ServerConfig {
    /// Reads the JSON document and checks it.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn from_json(json: &str) -> Result<Self, InvalidConfig> {
        let config: Self = serde_json::from_str(json)
            .map_err(|error| InvalidConfig { field: "config".to_owned(), message: error.to_string() })?;
        config.check()?;
        Ok(config)
    }

    /// The document as JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The SHA-256 of that JSON, in hexadecimal: a server that follows a file names what it follows so.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(self.to_json())
    }

    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let wrong = |field: String, message: String| Err(InvalidConfig { field, message });
        if self.models.is_empty() {
            return wrong("models".to_owned(), "expected at least one model, found none".to_owned());
        }
        for (index, model) in self.models.iter().enumerate() {
            let field = |name: &str| format!("models[{index}].{name}");
            if model.name.is_empty() || model.name.contains(['/', ':']) {
                return wrong(field("name"), format!("expected a name without '/' and ':', found '{}'", model.name));
            }
            if self.models[..index].iter().any(|earlier| earlier.name == model.name) {
                return wrong(field("name"), format!("'{}' is the name of an earlier model; names are unique", model.name));
            }
            match Scheme::of(&model.uri) {
                Ok(Scheme::Pvc) => {
                    let found = &model.uri;
                    let words = format!(
                        "expected file:PATH where the claim is mounted, which the operator does on a cluster, found '{found}'"
                    );
                    return wrong(field("uri"), words);
                }
                Ok(Scheme::Oci) => {
                    if let Err(message) = Reference::parse(&model.uri) {
                        return wrong(field("uri"), message);
                    }
                }
                Ok(_) => {}
                Err(message) => return wrong(field("uri"), message),
            }
            if model.version < 1 {
                return wrong(field("version"), format!("expected at least 1, found {}", model.version));
            }
            if let Some(sum) = &model.sha256
                && (sum.len() != 64 || !sum.bytes().all(|one| one.is_ascii_hexdigit()))
            {
                return wrong(field("sha256"), format!("expected 64 hexadecimal digits, found '{sum}'"));
            }
            if let Some(format) = model.format.filter(|format| *format != Format::Onnx)
                && model.engine.name == EngineName::OnnxRuntime
            {
                let found = format.as_str();
                return wrong(
                    field("format"),
                    format!("expected Onnx, which is all that engine OnnxRuntime reads, found {found}"),
                );
            }
            for (list, steps) in [("preprocess", &model.preprocess), ("postprocess", &model.postprocess)] {
                for (at, step) in steps.iter().enumerate() {
                    if let Err(error) = step.check() {
                        return wrong(field(&format!("{list}[{at}].{}", error.field)), error.message);
                    }
                }
            }
        }
        let serving = &self.serving;
        if serving.request_timeout.is_zero() {
            return wrong("serving.requestTimeout".to_owned(), "expected more than 0s".to_owned());
        }
        if serving.max_request_bytes == 0 {
            return wrong("serving.maxRequestBytes".to_owned(), "expected more than 0".to_owned());
        }
        if serving.queue.max_length == 0 {
            return wrong("serving.queue.maxLength".to_owned(), "expected at least 1, found 0".to_owned());
        }
        if serving.threads == Some(0) {
            return wrong("serving.threads".to_owned(), "expected at least 1, found 0".to_owned());
        }
        if serving.memory_budget == Some(0) {
            return wrong("serving.memoryBudget".to_owned(), "expected more than 0".to_owned());
        }
        if let Some(batching) = &serving.batching
            && batching.max_size == 0
        {
            return wrong("serving.batching.maxSize".to_owned(), "expected at least 1, found 0".to_owned());
        }
        if let Some(batching) = &serving.batching
            && batching.max_delay >= serving.request_timeout
        {
            let message = "batching.maxDelay must be shorter than requestTimeout: a row that waits longer is answered too late";
            return wrong("serving".to_owned(), message.to_owned());
        }
        Ok(())
    }
}

/// Durations as Kubernetes writes them (`1m30s`, `5ms`): written through kube's own type, read by a parser that cannot overflow.
mod go_duration {
    use std::borrow::Cow;
    use std::time::Duration;

    use kube::core::Duration as GoDuration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        GoDuration::from(*duration).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        crate::units::duration(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<ServerConfig, InvalidConfig> {
        ServerConfig::from_json(json)
    }

    #[test]
    fn defaults_are_filled_in_and_read_back() {
        let one = config(r#"{"models":[{"name":"m","uri":"file:m.onnx"}],"serving":{"drainDelay":"1500ms"}}"#).unwrap();
        assert_eq!(one.models[0].version, 1);
        assert_eq!(one.serving.drain_delay, Duration::from_millis(1500));
        assert_eq!(one.serving.request_timeout, Duration::from_secs(30));
        assert_eq!(config(&one.to_json()).unwrap(), one);
    }

    #[test]
    fn the_batchs_delay_is_that_of_a_deployment_and_shorter_than_the_timeout() {
        let with = |serving: &str| config(&format!(r#"{{"models":[{{"name":"m","uri":"file:m"}}],"serving":{serving}}}"#));
        let written = with(r#"{"batching":{"maxSize":4}}"#).unwrap().serving.batching.unwrap();
        let default = serde_json::from_str::<crate::api::Batching>(r#"{"maxSize":4}"#).unwrap().max_delay;
        assert_eq!(written.max_delay, Duration::from(default));
        for serving in [
            r#"{"batching":{"maxSize":4,"maxDelay":"1m"}}"#,
            r#"{"batching":{"maxSize":4,"maxDelay":"5ms"},"requestTimeout":"5ms"}"#,
            r#"{"batching":{"maxSize":4},"requestTimeout":"4ms"}"#,
        ] {
            let error = with(serving).unwrap_err().to_string();
            assert!(error.starts_with("serving: batching.maxDelay must be shorter than requestTimeout"), "{error}");
        }
    }

    #[test]
    fn each_fault_names_its_field() {
        for (json, field) in [
            (r#"{"models":[]}"#, "models"),
            (r#"{"models":[{"name":"a/b","uri":"file:x"}]}"#, "models[0].name"),
            (r#"{"models":[{"name":"a","uri":"file:x"},{"name":"a","uri":"file:y"}]}"#, "models[1].name"),
            (r#"{"models":[{"name":"a","uri":"ftp://x"}]}"#, "models[0].uri"),
            (r#"{"models":[{"name":"a","uri":"file:x","version":0}]}"#, "models[0].version"),
            (r#"{"models":[{"name":"a","uri":"file:x","sha256":"12"}]}"#, "models[0].sha256"),
            (
                r#"{"models":[{"name":"a","uri":"file:x","format":"CatBoost","engine":{"name":"OnnxRuntime"}}]}"#,
                "models[0].format",
            ),
            (
                r#"{"models":[{"name":"a","uri":"file:x","preprocess":[{"op":"Clip","columns":["x"]}]}]}"#,
                "models[0].preprocess[0].min",
            ),
            (r#"{"models":[{"name":"a","uri":"file:x","postprocess":[{"op":"Clip","columns":["x"],"k":1}]}]}"#, "config"),
            (r#"{"models":[{"name":"a","uri":"file:x"}],"serving":{"requestTimeout":"0s"}}"#, "serving.requestTimeout"),
            (r#"{"models":[{"name":"a","uri":"file:x"}],"serving":{"threads":0}}"#, "serving.threads"),
            (r#"{"models":[{"name":"a","uri":"file:x"}],"serving":{"memoryBudget":0}}"#, "serving.memoryBudget"),
            (r#"{"models":[{"name":"a","uri":"file:x","engine":{"name":"Torch"}}]}"#, "config"),
            (r#"{"models":[{"name":"a","uri":"file:x","engine":{"threads":1}}]}"#, "config"),
            (r#"{"models":[{"name":"a","uri":"file:x"}],"serving":{"tread":1}}"#, "config"),
            (r#"{"models":[{"name":"a","uri":"file:x"}],"serving":{"drainDelay":"99999999999999999999h"}}"#, "config"),
        ] {
            assert_eq!(config(json).unwrap_err().field, field, "{json}");
        }
    }
}
