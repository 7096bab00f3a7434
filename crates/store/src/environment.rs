//! The variables that hold a store's credentials and settings, by the names that its own tools read.

use std::collections::HashMap;
use std::sync::Arc;

/// Where variables are looked up.
#[derive(Clone, Debug, Default)]
pub(super) enum Environment {
    /// This process has them.
    #[default]
    Process,
    /// A test gave them.
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests make one: a process cannot change its environment safely"))]
    Given(Arc<HashMap<String, String>>),
}

impl Environment {
    fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok(),
            Self::Given(all) => all.get(name).cloned(),
        };
        value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

/// The variables of one model: those of its Secret, which have a prefix, before those of the process.
#[derive(Clone, Debug)]
pub(super) struct Variables {
    environment: Environment,
    prefix: Option<String>,
}

impl Variables {
    pub(super) fn new(environment: &Environment, prefix: Option<&String>) -> Self {
        Self { environment: environment.clone(), prefix: prefix.cloned() }
    }

    /// A setting: the Secret's, else the process's.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.secret(name).or_else(|| self.environment.get(name))
    }

    /// The first that is set.
    pub(super) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// What only the Secret says.
    fn secret(&self, name: &str) -> Option<String> {
        let prefix = self.prefix.as_ref()?;
        self.environment.get(&format!("{prefix}{}", name.trim_start_matches('.').to_ascii_uppercase()))
    }

    /// The variables of whoever has `name`: credentials of two callers do not mix.
    pub(super) fn of_whom_has(&self, name: &str) -> Option<Alone> {
        if self.secret(name).is_some() {
            return Some(Alone { variables: self.clone(), secret: true });
        }
        self.environment.get(name).map(|_| Alone { variables: self.clone(), secret: false })
    }

    /// Whether a Secret is named, so that its keys are missed if they are not there.
    pub(super) const fn has_secret(&self) -> bool {
        self.prefix.is_some()
    }
}

/// The Secret's variables alone, or the process's alone.
pub(super) struct Alone {
    variables: Variables,
    secret: bool,
}

impl Alone {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        if self.secret { self.variables.secret(name) } else { self.variables.environment.get(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_first_and_is_not_mixed_with_what_the_process_has() {
        let given = [("S_KEY", "theirs"), ("KEY", "ours"), ("TOKEN", "ours"), ("REGION", "here"), ("EMPTY", " ")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::Given(Arc::new(given.into()));
        let variables = Variables::new(&environment, Some(&"S_".to_owned()));
        assert_eq!(variables.get("KEY").unwrap(), "theirs");
        assert_eq!(variables.first(&["EMPTY", "REGION"]).unwrap(), "here");
        let alone = variables.of_whom_has("KEY").unwrap();
        assert_eq!((alone.get("KEY").as_deref(), alone.get("TOKEN")), (Some("theirs"), None));
        let ambient = Variables::new(&environment, None).of_whom_has("KEY").unwrap();
        assert_eq!((ambient.get("KEY").as_deref(), ambient.get("TOKEN").as_deref()), (Some("ours"), Some("ours")));
        assert!(variables.of_whom_has("EMPTY").is_none());
    }
}
