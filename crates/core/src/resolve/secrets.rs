//! Secrets: which variables of the server's environment are filled in from which of their keys.

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

/// The keys that the store of an artefact reads from a Secret. The others, and those of `file:`, are not handed out.
pub(super) fn keys(artefact: &Artefact) -> &'static [Key] {
    Scheme::of(&artefact.uri).map_or(&[], Scheme::keys)
}

/// The variable that holds the header for the store of the model at an index.
pub(crate) fn authorization_env(at: usize) -> String {
    format!("MODELYARD_AUTHORIZATION_{at}")
}

/// What the variables begin with that hold the Secret for any other store.
pub(super) fn credentials_env(at: usize) -> String {
    format!("MODELYARD_STORE_{at}_")
}

/// The artefacts that have a Secret: their index, and its name.
fn with_secrets(spec: &ModelDeploymentSpec) -> impl Iterator<Item = (usize, &Artefact, &String)> {
    artefacts(spec).enumerate().filter_map(|(at, artefact)| Some((at, artefact, &artefact.secret_ref.as_ref()?.name)))
}

/// What shapes a revision: which Secret is for which model. The keys of it that a store reads do not: a release that reads one more
/// makes no new revision.
pub(super) fn secret_names(spec: &ModelDeploymentSpec) -> Vec<(String, String)> {
    let env = |at, artefact| if keys(artefact).is_empty() { authorization_env(at) } else { credentials_env(at) };
    with_secrets(spec).map(|(at, artefact, secret)| (env(at, artefact), secret.clone())).collect()
}

/// The variables that the server's environment needs from Secrets.
pub(super) fn secrets(spec: &ModelDeploymentSpec) -> Vec<SecretVariable> {
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
