//! What the names of models led to. A name may lead to other bytes tomorrow (a tag, a branch, a key that is written again), and a
//! revision that runs must not: what its first replica served is noted with it, and the others are held to that.
//!
//! The note is a small JSON document, which a server reads from `--pins-file`:
//!
//! ```text
//! {"": {"mnist": {"of": "1f0c9ab2de", "digest": "<64 hex>", "version": "manifest=sha256:<64 hex>"}},
//!  "2026-11-26T10:00:00Z": {...}}
//! ```
//!
//! The outer names are restarts: somebody who restarts a revision wants what its names lead to now, while those of its replicas that
//! still run go on with what they have. Empty is the revision as it was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::location::Scheme;
use crate::server_config::{ModelConfig, ServerConfig};

/// The annotation of a pod that names the restart that made it, as `kubectl rollout restart` and `modelyard restart` write it: a template
/// that differs is rolled out.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Characters that a store's own name of a version may have.
const LONGEST_VERSION: usize = 512;

/// What one model's name led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pin {
    /// What was asked for: [`ModelConfig::named`]. A model that asks for something else is not held to it.
    pub of: String,
    /// SHA-256 of the artefact's bytes, of a folder that of its model's file; 64 hexadecimal digits, lower case.
    pub digest: String,
    /// Of a folder the SHA-256 over the paths and sums of all its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The store's own name of the version, where it has one: `versionId=`, `generation=`, `commit=`, `manifest=`, `ETag=` or
    /// `Last-Modified=`, and the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Pin {
    /// The SHA-256 that tells all of it from anything else.
    #[must_use]
    pub fn content(&self) -> &str {
        self.content.as_deref().unwrap_or(&self.digest)
    }

    /// Whether it is what a server of ours would say: it comes from a pod, and is written where others read it.
    fn is_sound(&self) -> bool {
        let is_sum = |sum: &str| sum.len() == 64 && sum.bytes().all(|one| one.is_ascii_digit() || (b'a'..=b'f').contains(&one));
        let is_version = |text: &String| text.len() <= LONGEST_VERSION && text.bytes().all(|one| (b' '..=b'~').contains(&one));
        is_sum(&self.digest) && self.content.as_deref().is_none_or(is_sum) && self.version.as_ref().is_none_or(is_version)
    }
}

/// Pins of one revision: of each restart those of its models, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pins(BTreeMap<String, BTreeMap<String, Pin>>);

impl Pins {
    /// Reads the document.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("pins: {error}"))
    }

    /// The document, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What replicas of that restart are to serve as this model; none: nobody has said yet what its name led to.
    #[must_use]
    pub fn of(&self, restart: &str, model: &ModelConfig) -> Option<&Pin> {
        self.0.get(restart)?.get(&model.name).filter(|pin| pin.of == model.named())
    }

    /// Notes what a replica of that restart says that it serves, where nothing was noted. The first word holds: whoever says another one later
    /// is held to this.
    pub fn learn<'a>(&mut self, restart: &str, config: &ServerConfig, said: impl IntoIterator<Item = (&'a str, &'a Pin)>) {
        for (name, pin) in said {
            let Some(model) = config.models.iter().find(|model| model.name == name) else { continue };
            if pin.of != model.named() || !pin.is_sound() || !model.may_move() || self.of(restart, model).is_some() {
                continue;
            }
            self.0.entry(restart.to_owned()).or_default().insert(name.to_owned(), pin.clone());
        }
    }

    /// What `other` has noted of the same holds in place of this.
    pub fn yield_to(&mut self, other: &Self) {
        for (restart, models) in &mut self.0 {
            for (name, pin) in models {
                let before = other.0.get(restart).and_then(|models| models.get(name)).filter(|before| before.of == pin.of);
                if let Some(before) = before {
                    pin.clone_from(before);
                }
            }
        }
    }

    /// Whether replicas of that restart have a model of which nothing is noted.
    #[must_use]
    pub fn lacks(&self, restart: &str, config: &ServerConfig) -> bool {
        config.models.iter().any(|model| model.may_move() && self.of(restart, model).is_none())
    }

    /// Forgets restarts that no replica is of, and models that are not served any more.
    pub fn keep(&mut self, restarts: impl Fn(&str) -> bool, config: &ServerConfig) {
        self.0.retain(|restart, models| {
            models.retain(|name, pin| config.models.iter().any(|model| model.name == *name && model.named() == pin.of));
            restarts(restart) && !models.is_empty()
        });
    }
}

/// Whether a uri names the same bytes for ever, by itself or by the sum beside it.
#[must_use]
pub(crate) fn is_fixed(uri: &str, sha256: Option<&str>) -> bool {
    let is_hex = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|one| one.is_ascii_hexdigit());
    match Scheme::of(uri) {
        Ok(Scheme::Oci) => uri.split_once("@sha256:").is_some_and(|(_, digest)| is_hex(digest, 64)),
        Ok(Scheme::Hf) => {
            let repository = uri.split_once("://").and_then(|(_, rest)| rest.split('/').nth(1));
            repository.and_then(|name| name.split_once('@')).is_some_and(|(_, revision)| is_hex(revision, 40))
        }
        // One file or one archive. Elsewhere there are folders, whose sum is that of their model's file alone.
        Ok(Scheme::Http) => sha256.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
