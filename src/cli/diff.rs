//! `modelyard diff`: what applying files would do to the cluster, before it is done: which fields change, and whether pods restart.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use modelyard_core::api::ModelDeployment;
use modelyard_core::resolve::{Resolved, resolve};
use modelyard_core::schema::Path;
use serde_json::{Value, json};

use super::cluster::{Access, Cluster, ClusterError, changes, replacement};
use super::served::runtime;
use crate::manifest::{self, Manifest};

/// Nothing is known to differ or not: the files or the cluster are at fault.
const TROUBLE: u8 = 2;

/// Show what applying files would change on the cluster, and which pods it would restart
///
/// A field that a file does not write counts as its default, also where something else, such as an autoscaler, has set it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Files, folders with .yaml, .yml and .json files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    access: Access,
}

const EXAMPLES: &str = "\
Examples:
  modelyard diff mnist.yaml
  modelyard diff models/ -n models

Exit codes: 0 nothing would change; 1 something would; 2 the files have faults, or the cluster cannot be asked.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let reading = manifest::read(&self.files);
        for note in &reading.notes {
            super::say(format_args!("note: {}", note.headline()));
        }
        for fault in &reading.diagnostics {
            super::say(format_args!("error: {fault}"));
        }
        if !reading.diagnostics.is_empty() {
            return Ok(ExitCode::from(TROUBLE));
        }
        if reading.manifests.is_empty() {
            super::say(format_args!("error: nothing to compare: expected a ModelDeployment, found none"));
            return Ok(ExitCode::from(TROUBLE));
        }
        match runtime()?.block_on(compare(&self.access, &reading.manifests)) {
            Ok((text, differs)) => {
                super::stdout::print(&text)?;
                Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            Err(error) => {
                super::say(format_args!("error: {error}"));
                Ok(ExitCode::from(TROUBLE))
            }
        }
    }
}

async fn compare(access: &Access, manifests: &[Manifest]) -> Result<(String, bool), ClusterError> {
    let cluster = access.open().await?;
    let (mut text, mut differs) = (String::new(), false);
    for manifest in manifests {
        let namespace = manifest.deployment.metadata.namespace.as_deref().unwrap_or(&cluster.namespace);
        let live = find(&cluster.within(namespace), &manifest.resolved.name).await?;
        let difference = Difference::of(live.as_ref(), &manifest.deployment, &manifest.resolved);
        differs |= !difference.lines.is_empty() || live.is_none();
        let _ = writeln!(text, "{namespace}/{}: {}", manifest.resolved.name, difference.effect);
        difference.lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    Ok((text, differs))
}

async fn find(cluster: &Cluster, name: &str) -> Result<Option<ModelDeployment>, ClusterError> {
    match cluster.find(name).await {
        Ok(found) => Ok(Some(found)),
        Err(ClusterError::NoObject { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What applying one object would do.
struct Difference {
    effect: String,
    lines: Vec<String>,
}

impl Difference {
    fn of(live: Option<&ModelDeployment>, file: &ModelDeployment, resolved: &Resolved) -> Self {
        let count = |replicas: u32| format!("{replicas} {}", if replicas == 1 { "replica" } else { "replicas" });
        let Some(live) = live else {
            let effect = format!("created: revision {}, {}", resolved.revision, count(resolved.replicas));
            return Self { effect, lines: Vec::new() };
        };
        let changed = changes(&Path::root(), &relevant(live, file), &relevant(file, file));
        let lines: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let effect = match resolve(live) {
            _ if lines.is_empty() => "no change".to_owned(),
            Ok(before) if before.revision == resolved.revision => "changed in place, no pod restarts".to_owned(),
            Ok(before) => {
                let (old, new) = (&before.revision, &resolved.revision);
                format!("new revision {old} -> {new}: {}", replacement(before.replicas, resolved.replicas))
            }
            Err(_) => format!("the spec there cannot be served; new revision {}", resolved.revision),
        };
        Self { effect, lines }
    }
}

/// What applying `file` can change of an object: the spec, and of labels and annotations those that the file has.
fn relevant(object: &ModelDeployment, file: &ModelDeployment) -> Value {
    let own = |written: &Option<std::collections::BTreeMap<String, String>>,
               there: &Option<std::collections::BTreeMap<String, String>>| {
        let keys = written.iter().flat_map(|written| written.keys());
        let kept = keys.filter_map(|key| Some((key.clone(), json!(there.as_ref()?.get(key)?))));
        Value::Object(kept.collect())
    };
    json!({
        "metadata": {
            "labels": own(&file.metadata.labels, &object.metadata.labels),
            "annotations": own(&file.metadata.annotations, &object.metadata.annotations),
        },
        "spec": object.spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_text;

    fn manifest(spec: &str) -> Manifest {
        let text = format!(
            "apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {{name: m, labels: {{team: a}}}}\nspec: {spec}\n"
        );
        read_text(std::path::Path::new("m.yaml"), &text).manifests.remove(0)
    }

    #[test]
    fn effects_are_told_apart() {
        let live = manifest("{model: {uri: 'http://a/m.onnx'}, replicas: 4}");
        let mut shown = String::new();
        for spec in [
            "{model: {uri: 'http://a/m.onnx'}, replicas: 4}",
            "{model: {uri: 'http://a/m.onnx'}, replicas: 6}",
            "{model: {uri: 'http://b/m.onnx', version: 2}, replicas: 8, serving: {drainDelay: 6s}}",
            "{models: [{name: x, uri: 'http://b/m.onnx'}]}",
        ] {
            let new = manifest(spec);
            let difference = Difference::of(Some(&live.deployment), &new.deployment, &new.resolved);
            let _ = writeln!(shown, "{}\n  {}", difference.effect, difference.lines.join("\n  "));
        }
        let new = manifest("{model: {uri: 'http://a/m.onnx'}}");
        let _ = writeln!(shown, "{}", Difference::of(None, &new.deployment, &new.resolved).effect);
        insta::assert_snapshot!(shown);
    }
}
