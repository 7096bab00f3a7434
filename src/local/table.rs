//! The status of all deployments as a table for people.

use modelyard_core::api::{ModelDeploymentStatus, ModelState, ModelStatus};

use super::deployment::Deployment;

/// Models of one deployment that the table has.
const MODELS: usize = 12;

const HEADINGS: [&str; 6] = ["NAME", "READY", "REASON", "VERSION", "REPLICAS", "REVISION"];

/// The table's lines: one per deployment, and beneath each that is not ready its message; its models, where they are several; with
/// `direct` its replicas' ports.
pub(super) fn lines<'a>(deployments: impl Iterator<Item = &'a Deployment>, direct: bool) -> Vec<String> {
    let mut rows = vec![(HEADINGS.map(str::to_owned), Vec::new())];
    for deployment in deployments {
        let Some(status) = &deployment.status else { continue };
        let mut notes = Vec::new();
        let (_, ready, message) = ready(status);
        if !ready {
            notes.extend(message.lines().map(|line| format!("  {line}")));
        }
        notes.extend(models(status));
        if direct {
            let backends = deployment.slots.iter().filter_map(|slot| Some((slot, slot.backend.as_ref()?)));
            notes.extend(backends.map(|(slot, backend)| format!("  {} is http://{}", slot.name, backend.address)));
        }
        rows.push((row(deployment, status), notes));
    }
    let widths: Vec<usize> =
        (0..HEADINGS.len()).map(|column| rows.iter().map(|(row, _)| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut lines = Vec::new();
    for (row, notes) in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        lines.push(cells.join("  ").trim_end().to_owned());
        lines.extend(notes);
    }
    lines
}

/// How many of several models answer, and each with its state and why: those that do not answer at once first.
fn models(status: &ModelDeploymentStatus) -> Vec<String> {
    let all = &status.models;
    if all.is_empty() {
        return Vec::new();
    }
    let answer = all.iter().filter(|model| matches!(model.state, ModelState::Ready | ModelState::Standby)).count();
    let mut lines = vec![format!("  models, {answer} of {} answer", all.len())];
    let (ready, others): (Vec<&ModelStatus>, Vec<&ModelStatus>) = all.iter().partition(|model| model.state == ModelState::Ready);
    let shown: Vec<&ModelStatus> = others.into_iter().chain(ready).take(MODELS).collect();
    let width = shown.iter().map(|model| model.name.chars().count()).max().unwrap_or(0);
    for model in &shown {
        let reason = model.reason.map(|reason| reason.as_str().to_owned());
        let why: Vec<String> = reason.into_iter().chain(model.message.clone()).collect();
        let line = format!("    {:<width$}  {:<8}  {}", model.name, model.state.as_str(), why.join(": "));
        lines.push(line.trim_end().to_owned());
    }
    if all.len() > shown.len() {
        lines.push(format!("    and {} more", all.len() - shown.len()));
    }
    lines
}

fn row(deployment: &Deployment, status: &ModelDeploymentStatus) -> [String; 6] {
    let (reason, ready, _) = ready(status);
    [
        deployment.resolved.name.clone(),
        if ready { "True" } else { "False" }.to_owned(),
        reason.to_owned(),
        deployment.resolved.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
        status.ready_of_wanted.clone().unwrap_or_default(),
        deployment.resolved.revision.clone(),
    ]
}

/// Reason, truth and message of the condition `Ready`.
pub(super) fn ready(status: &ModelDeploymentStatus) -> (&str, bool, &str) {
    let condition = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    condition.map_or(("", false, ""), |condition| (&condition.reason, condition.status == "True", &condition.message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_that_do_not_answer_come_first_and_not_all_are_shown() {
        let since = "2026-05-01T12:00:00Z";
        let mut all: Vec<_> = (0..20).map(|at| json!({ "name": format!("m{at}"), "state": "Ready", "since": since })).collect();
        all[7] = json!({ "name": "m7", "state": "Failed", "reason": "ModelNotFound", "message": "no file", "since": since });
        all[9] = json!({ "name": "m9", "state": "Standby", "since": since });
        let status: ModelDeploymentStatus = serde_json::from_value(json!({ "models": all })).unwrap();
        let lines = models(&status);
        assert_eq!(
            lines[..4],
            ["  models, 19 of 20 answer", "    m7   Failed    ModelNotFound: no file", "    m9   Standby", "    m0   Ready"]
        );
        assert_eq!((lines.len(), lines[13].as_str()), (14, "    and 8 more"));
        assert_eq!(models(&ModelDeploymentStatus::default()), Vec::<String>::new());
    }
}
