//! What servers say that follow a list of models: how each model is, and what keeps the list from being carried out. A model that fails
//! beside others takes no server down, so it is told by its name.

use std::collections::HashMap;

use crate::api::{ModelState, Reason};
use crate::plan::ModelObserved;
use crate::server_config::ServerConfig;

use super::pod::{Loaded, Loading};

/// How soon a server is worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// It has nothing new to say until somebody changes something.
    Enough,
    /// Something is wrong that only somebody else can mend, and may.
    Later,
    /// It is on its way.
    Soon,
}

/// How soon a server is worth asking again that follows, or is to follow, the configuration with this SHA-256.
#[must_use]
pub fn attention(said: &Loading, digest: &str) -> Attention {
    let Some(followed) = &said.config else { return Attention::Enough };
    if followed.refused.is_some() {
        return Attention::Later;
    }
    let any = |states: &[ModelState]| said.models.iter().any(|model| states.contains(&of(model).0));
    if followed.sha256 != digest || any(&[ModelState::Loading]) {
        return Attention::Soon;
    }
    if any(&[ModelState::Failed, ModelState::Unloaded]) { Attention::Later } else { Attention::Enough }
}

/// What the servers of a revision say that follow their models.
#[derive(Debug)]
pub struct Followers<'a> {
    /// What they are to serve.
    pub config: &'a ServerConfig,
    /// The SHA-256 of the configuration that they have been given; another one than that of `config` while that is held back.
    pub digest: &'a str,
    /// What each says; none: it was asked and said nothing.
    pub said: Vec<Option<&'a Loading>>,
}

impl Followers<'_> {
    /// How each model is, in the order of the configuration: as with the replica where it is worst.
    #[must_use]
    pub fn models(&self) -> Vec<ModelObserved> {
        let each = self.said.iter().flatten().map(|said| {
            let by_name = said.models.iter().map(|model| (model.name.as_str(), model));
            by_name.collect::<HashMap<_, _>>()
        });
        let each: Vec<_> = each.collect();
        self.config.models.iter().map(|model| self.model(&model.name, &each)).collect()
    }

    fn model(&self, name: &str, each: &[HashMap<&str, &Loaded>]) -> ModelObserved {
        let observed = |state, reason, message| ModelObserved { name: name.to_owned(), state, reason, message, pin: None };
        let untold = || (ModelState::Loading, None, Some("its server has not been told of it yet".to_owned()));
        let told: Vec<_> = each.iter().map(|models| models.get(name).map_or_else(untold, |model| of(model))).collect();
        let Some(worst) = told.iter().map(|(state, ..)| *state).max() else {
            let words = "no replica says how it is: the operator asks them on their admin port";
            return observed(ModelState::Unknown, None, Some(words.to_owned()));
        };
        if worst <= ModelState::Standby {
            // Where one replica has it in memory, that one answers at once.
            let state = told.iter().map(|(state, ..)| *state).min().unwrap_or(worst);
            return observed(state, None, None);
        }
        let sharing = told.iter().filter(|(state, ..)| *state == worst).count();
        let (_, reason, message) = told.iter().find(|(state, ..)| *state == worst).cloned().unwrap_or_default();
        let among = if sharing < told.len() { format!("{sharing} of {} replicas: ", told.len()) } else { String::new() };
        observed(worst, reason, message.map(|message| format!("{among}{message}")))
    }

    /// What keeps the list from being carried out, of which `models` is how each is; none: nothing.
    #[must_use]
    pub fn trouble(&self, models: &[ModelObserved]) -> Option<(Reason, String)> {
        let said = || self.said.iter().flatten();
        if let Some(refused) = said().find_map(|said| said.config.as_ref()?.refused.as_ref()) {
            let what = "the one before stays; if the servers are of an earlier release, modelyard restart brings newer ones";
            return Some((Reason::InvalidSpec, format!("a server refuses its new configuration: {refused}; {what}")));
        }
        let failed: Vec<_> = models.iter().filter(|model| model.state == ModelState::Failed).collect();
        if let Some(first) = failed.first() {
            let others = if failed.len() > 1 { format!("; {} others failed too", failed.len() - 1) } else { String::new() };
            let message = first.message.as_deref().unwrap_or("it did not load");
            return Some((first.reason.unwrap_or(Reason::ModelInvalid), format!("model '{}': {message}{others}", first.name)));
        }
        if said().any(|said| said.config.is_none() && !serves(said, self.config)) {
            let words = "the servers are of a release that does not follow a change of models[]: run modelyard restart, or write \
                         another serverImage";
            return Some((Reason::InvalidSpec, words.to_owned()));
        }
        let untold = said().filter(|said| said.config.as_ref().is_some_and(|config| config.sha256 != self.digest)).count();
        if untold > 0 {
            return Some((Reason::Loading, format!("{untold} of {} replicas are being told of their models", self.said.len())));
        }
        let coming = models.iter().find(|model| model.state == ModelState::Loading)?;
        Some((Reason::Loading, format!("model '{}' is being loaded", coming.name)))
    }
}

/// Whether a server that follows nothing has these models.
fn serves(said: &Loading, config: &ServerConfig) -> bool {
    let has = |name: &str, version| said.models.iter().any(|model| model.name == name && model.version == version);
    said.models.len() == config.models.len() && config.models.iter().all(|model| has(&model.name, model.version))
}

/// Where a model stands with one server, why, and in words.
fn of(model: &Loaded) -> (ModelState, Option<Reason>, Option<String>) {
    if let Some(refused) = &model.refused {
        return (
            ModelState::Failed,
            Some(named(&refused.reason)),
            Some(format!("{}; the one before serves on", refused.message)),
        );
    }
    if model.changing {
        let words = "another is on its way to take its place; the one before serves on";
        return (ModelState::Loading, Some(Reason::Loading), Some(words.to_owned()));
    }
    match model.state.as_str() {
        "Ready" => (ModelState::Ready, None, None),
        "Standby" => (ModelState::Standby, None, None),
        "Unloading" | "Unloaded" => {
            let words = "a client asked it to leave, by the repository API; another may ask for it again";
            (ModelState::Unloaded, None, Some(words.to_owned()))
        }
        "Failed" => {
            let reason = model.reason.as_deref().map_or(Reason::ModelInvalid, named);
            (ModelState::Failed, Some(reason), Some(model.message.clone().unwrap_or_else(|| "it did not load".to_owned())))
        }
        "Downloading" => (ModelState::Loading, Some(Reason::Downloading), Some("its bytes are on their way".to_owned())),
        _ => (ModelState::Loading, Some(Reason::Loading), Some("it is read and prepared".to_owned())),
    }
}

/// The reason of this name; a server of a later release may have others.
fn named(reason: &str) -> Reason {
    Reason::ALL.iter().copied().find(|known| known.as_str() == reason).unwrap_or(Reason::ModelInvalid)
}

#[cfg(test)]
mod tests;
