//! What changed of the deployments, in lines for people: each once.

use std::collections::BTreeMap;
use std::fmt::Write;

use modelyard_core::api::{ModelDeploymentStatus, ModelState, ModelStatus};

use super::table;

/// Models of one deployment that get a line at once.
const SHOWN: usize = 20;

/// What was told last, by the deployments' names.
#[derive(Default)]
pub(super) struct Words(BTreeMap<String, Told>);

#[derive(Default)]
struct Told {
    line: String,
    /// Models of which something other than Ready was told.
    models: BTreeMap<String, ModelState>,
}

impl Words {
    /// The lines that are news of a deployment, by its name, revision and status.
    pub(super) fn news(&mut self, (name, revision): (&str, &str), status: &ModelDeploymentStatus, url: &str) -> Vec<String> {
        let told = self.0.entry(name.to_owned()).or_default();
        let line = line((name, revision), status, url);
        let mut lines = Vec::new();
        if told.line != line {
            lines.push(line.clone());
            told.line = line;
        }
        let news: Vec<String> =
            status.models.iter().filter(|model| told.is_news(model)).map(|model| of_model(name, model)).collect();
        told.models.retain(|known, _| status.models.iter().any(|model| model.name == *known));
        let more = news.len().saturating_sub(SHOWN);
        lines.extend(news.into_iter().take(SHOWN));
        if more > 0 {
            lines.push(format!("{name}: {more} more of its models are not as they were; --output json has each"));
        }
        lines
    }

    /// Forgets deployments that are gone.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

impl Told {
    /// Whether a model is to be told of: that it does not answer or not at once, and that it does again. That one is on its way its
    /// deployment's line says.
    fn is_news(&mut self, model: &ModelStatus) -> bool {
        match model.state {
            ModelState::Loading | ModelState::Unknown => false,
            ModelState::Ready => self.models.remove(&model.name).is_some(),
            state => self.models.insert(model.name.clone(), state) != Some(state),
        }
    }
}

/// One deployment's status on one line.
fn line((name, revision): (&str, &str), status: &ModelDeploymentStatus, url: &str) -> String {
    let (reason, ready, message) = table::ready(status);
    let replicas = status.ready_of_wanted.as_deref().unwrap_or_default();
    let word = if ready { "ready" } else { "not ready" };
    let rest = if ready { format!("at {url}") } else { message.to_owned() };
    format!("{name}: {word} ({reason}), {replicas} replicas, revision {revision}, {rest}")
}

fn of_model(deployment: &str, model: &ModelStatus) -> String {
    let mut line = format!("{deployment}: model '{}' is {}", model.name, model.state.as_str());
    // Writing to a String cannot fail.
    if let Some(reason) = model.reason {
        let _ = write!(line, " ({})", reason.as_str());
    }
    if let Some(message) = &model.message {
        let _ = write!(line, ": {message}");
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(states: &[(&str, &str)]) -> ModelDeploymentStatus {
        let models: Vec<_> = states
            .iter()
            .map(|(name, state)| {
                let reason = (*state == "Failed").then_some("ModelNotFound");
                json!({ "name": name, "state": state, "reason": reason, "message": reason.map(|_| "no file"), "since": "2026-05-01T12:00:00Z" })
            })
            .collect();
        serde_json::from_value(json!({ "readyOfWanted": "1/1", "models": models })).unwrap()
    }

    #[test]
    fn each_change_of_a_model_is_told_once() {
        let mut words = Words::default();
        let mut news = |states: &[(&str, &str)]| words.news(("m", "0a"), &status(states), "http://x");
        assert_eq!(news(&[("a", "Loading"), ("b", "Loading")]), ["m: not ready (), 1/1 replicas, revision 0a, "]);
        assert_eq!(news(&[("a", "Ready"), ("b", "Failed")]), ["m: model 'b' is Failed (ModelNotFound): no file"]);
        assert_eq!(news(&[("a", "Ready"), ("b", "Failed")]), Vec::<String>::new());
        assert_eq!(news(&[("a", "Standby"), ("b", "Loading")]), ["m: model 'a' is Standby"]);
        assert_eq!(news(&[("a", "Ready"), ("b", "Ready")]), ["m: model 'a' is Ready", "m: model 'b' is Ready"]);
        // One that went and came again is another.
        assert_eq!(news(&[("a", "Standby")]), ["m: model 'a' is Standby"]);
        assert_eq!(news(&[]), Vec::<String>::new());
        assert_eq!(news(&[("a", "Ready")]), Vec::<String>::new());
    }

    #[test]
    fn many_at_once_get_a_few_lines() {
        let names: Vec<String> = (0..500).map(|at| at.to_string()).collect();
        let states: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "Standby")).collect();
        let mut words = Words::default();
        let lines = words.news(("m", "0a"), &status(&states), "http://x");
        assert_eq!((lines.len(), lines.last().unwrap().contains("480 more of its models")), (1 + SHOWN + 1, true));
        words.keep(|name| name != "m");
        assert_eq!(words.news(("m", "0a"), &status(&states[..1]), "http://x").len(), 2);
    }
}
