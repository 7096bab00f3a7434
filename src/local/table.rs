//! The status of all deployments as a table for people.

use modelyard_core::api::ModelDeploymentStatus;

use super::deployment::Deployment;

const HEADINGS: [&str; 6] = ["NAME", "READY", "REASON", "VERSION", "REPLICAS", "REVISION"];

/// The table's lines: one per deployment, and beneath each that is not ready its message; with `direct` its replicas' ports.
pub(super) fn lines<'a>(deployments: impl Iterator<Item = &'a Deployment>, direct: bool) -> Vec<String> {
    let mut rows = vec![(HEADINGS.map(str::to_owned), Vec::new())];
    for deployment in deployments {
        let Some(status) = &deployment.status else { continue };
        let mut notes = Vec::new();
        let (_, ready, message) = ready(status);
        if !ready {
            notes.extend(message.lines().map(|line| format!("  {line}")));
        }
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
