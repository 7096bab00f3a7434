//! Secrets: which variables of the server's environment are filled in from which of their keys.

use std::collections::BTreeSet;

use super::artefacts;
use crate::api::{Artefact, ModelDeploymentSpec};
use crate::location::{Key, Scheme};

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

/// The number that stands for a model's Secret in the names of variables.
pub(super) enum Numbers<'a> {
    /// The place of the model: a model that comes or goes before it gives it another.
    ByModel,
    /// The place of the Secret among all of them: models may come and go, as long as the Secrets are the same.
    BySecret(Vec<&'a str>),
}

impl<'a> Numbers<'a> {
    /// By the Secrets of a spec.
    pub(super) fn by_secret(spec: &'a ModelDeploymentSpec) -> Self {
        let named: BTreeSet<&str> = with_secrets(spec).map(|(_, _, secret)| secret.as_str()).collect();
        Self::BySecret(named.into_iter().collect())
    }

    /// Of the model at an index, which has this Secret.
    fn of(&self, at: usize, secret: &str) -> usize {
        match self {
            Self::ByModel => at,
            Self::BySecret(all) => all.binary_search(&secret).unwrap_or(all.len()),
        }
    }

    /// The variable that holds the header for the model's store, or what those begin with that hold the Secret for any other store.
    pub(super) fn env(&self, at: usize, artefact: &Artefact) -> (Option<String>, Option<String>) {
        let Some(secret) = &artefact.secret_ref else { return (None, None) };
        let number = self.of(at, &secret.name);
        if keys(artefact).is_empty() { (Some(authorization_env(number)), None) } else { (None, Some(credentials_env(number))) }
    }
}

/// The keys that the store of an artefact reads from a Secret. The others, and those of `file:`, are not handed out.
fn keys(artefact: &Artefact) -> &'static [Key] {
    Scheme::of(&artefact.uri).map_or(&[], Scheme::keys)
}

fn authorization_env(number: usize) -> String {
    format!("MODELYARD_AUTHORIZATION_{number}")
}

fn credentials_env(number: usize) -> String {
    format!("MODELYARD_STORE_{number}_")
}

/// The artefacts that have a Secret: their index, and its name.
fn with_secrets(spec: &ModelDeploymentSpec) -> impl Iterator<Item = (usize, &Artefact, &String)> {
    artefacts(spec).enumerate().filter_map(|(at, artefact)| Some((at, artefact, &artefact.secret_ref.as_ref()?.name)))
}

/// What shapes a revision whose models do: which Secret is for which model. The keys of it that a store reads do not: a release that
/// reads one more makes no new revision.
pub(super) fn secret_names(spec: &ModelDeploymentSpec) -> Vec<(String, String)> {
    let env = |at, artefact| if keys(artefact).is_empty() { authorization_env(at) } else { credentials_env(at) };
    with_secrets(spec).map(|(at, artefact, secret)| (env(at, artefact), secret.clone())).collect()
}

/// What shapes a revision whose models come and go: for which kinds of stores each Secret is.
pub(super) fn stores(spec: &ModelDeploymentSpec) -> Vec<(String, String)> {
    let name = |artefact: &Artefact| Scheme::of(&artefact.uri).map_or("", Scheme::name).to_owned();
    let named: BTreeSet<_> = with_secrets(spec).map(|(_, artefact, secret)| (name(artefact), secret.clone())).collect();
    named.into_iter().collect()
}

/// The variables that the server's environment needs from Secrets, each once.
pub(super) fn secrets(spec: &ModelDeploymentSpec, numbers: &Numbers<'_>) -> Vec<SecretVariable> {
    let mut variables: Vec<SecretVariable> = Vec::new();
    for (at, artefact, secret) in with_secrets(spec) {
        let number = numbers.of(at, secret);
        let own = match keys(artefact) {
            [] => vec![(authorization_env(number), "HTTP_AUTHORIZATION", false)],
            keys => {
                let prefix = credentials_env(number);
                keys.iter().map(|key| (key.variable(&prefix), key.name, !key.required)).collect()
            }
        };
        for (variable, key, optional) in own {
            match variables.iter_mut().find(|known| known.variable == variable) {
                Some(known) => known.optional &= optional,
                None => variables.push(SecretVariable { variable, secret: secret.clone(), key, optional }),
            }
        }
    }
    if matches!(numbers, Numbers::BySecret(_)) {
        // Models in another order are no other environment.
        variables.sort_by(|left, right| left.variable.cmp(&right.variable));
    }
    variables
}
