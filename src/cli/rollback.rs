//! `modelyard rollback`: the spec as an earlier revision had it. What that was is read from the revision's own Deployment, so
//! nobody needs to have kept it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::PostParams;
use kube::core::DynamicObject;
use modelyard_core::api::{ModelDeployment, Role};
use modelyard_core::schema::Path;
use modelyard_core::units;
use modelyard_core::unresolve::{Shape, follows, unresolve};
use serde_json::{Value, json};

use super::cluster::{
    Access, Cluster, ClusterError, Document, FIELD_MANAGER, changes, document, label, parse_name, replacement, resolve_beside,
    revision_of, workloads_of,
};
use super::served::runtime;

/// Go back to an earlier revision
///
/// Sets what shapes the pods (model, serving, resources, serverImage, pod, cache) to what it was in that revision; the rest stays, the
/// number of replicas too. The revision before
/// the current one is kept with its pods gone, so going back needs no file. It changes the cluster, not your files: applying a file
/// again goes forward again. A change of models[] alone makes no revision, since servers take it while they run: to undo one, apply the
/// list as it was. A revision that is gone back to has the models that it had last.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The ModelDeployment
    #[arg(value_parser = parse_name)]
    name: String,

    #[command(flatten)]
    access: Access,

    /// The revision [default: the one that serves, else the newest of the others]
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,

    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print one object for programs: name, namespace, dryRun, from, to, becomes, changes
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Document>,
}

const EXAMPLES: &str = "\
Examples:
  modelyard rollback mnist --dry-run
  modelyard rollback mnist && modelyard wait mnist
  modelyard rollback mnist --to 06b3acb051      # modelyard status lists them

Exit codes: 0 the spec is set, or --dry-run; 1 not, with the reason; 2 wrong arguments.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(self.go_back())
    }

    async fn go_back(&self) -> anyhow::Result<ExitCode> {
        let cluster = self.access.open().await?;
        let api = cluster.untyped(false);
        // With what this program does not know of the spec, which is to stay.
        let mut object: DynamicObject = cluster.find_as(&api, &self.name).await?;
        let before = typed(&object)?;
        let workloads = workloads_of(&cluster, &self.name).await?;
        let spec_revision = resolve_beside(&before, &workloads).map(|resolved| resolved.revision).ok();
        let own = workloads.iter().find(|one| spec_revision.is_some() && revision_of(&before, one) == spec_revision);
        let current = own.map(label).or(spec_revision.as_deref());
        let target = choose(&workloads, &before, current, self.to.as_deref())?;
        let shape = unresolve(&self.name, target, configuration_of(&cluster, target).await?.as_ref())?;
        set(&mut object, &shape)?;
        let after = typed(&object)?;
        let spec = |object: &ModelDeployment| serde_json::to_value(&object.spec);
        let fields = changes(&Path::root().key("spec"), &spec(&before)?, &spec(&after)?);
        let resolved = resolve_beside(&after, &workloads).context("the spec of that revision")?;
        let name = &self.name;
        if !self.dry_run {
            let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            let written = api.replace(name, &params, &object).await;
            written.map_err(|error| cluster.failed(&format!("change ModelDeployment {name}"), error))?;
        }
        if let Some(format) = self.output {
            super::stdout::print(&document(
                format,
                &json!({
                    "name": name, "namespace": cluster.namespace, "dryRun": self.dry_run, "from": current, "to": label(target),
                    "becomes": resolved.revision, "changes": fields,
                }),
            )?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let would = if self.dry_run { "would go" } else { "goes" };
        let from = current.map(|current| format!("from {current} ")).unwrap_or_default();
        let effect = if Some(resolved.revision.as_str()) == current {
            "its servers take the models while they run, no pod restarts".to_owned()
        } else {
            replacement(resolved.replicas, resolved.replicas)
        };
        let mut text = format!("{name} {would} {from}to revision {}: {effect}\n", label(target));
        fields.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        if resolved.revision != label(target) && Some(resolved.revision.as_str()) != current {
            // Made by another release, which named revisions otherwise.
            text.push_str(&format!("  this release names it {}: its pods may be made anew\n", resolved.revision));
        }
        super::stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn typed(object: &DynamicObject) -> anyhow::Result<ModelDeployment> {
    let value = serde_json::to_value(object)?;
    serde_json::from_value(value).context("the ModelDeployment there cannot be read: update modelyard")
}

/// What the servers of a revision follow, where they do.
async fn configuration_of(cluster: &Cluster, workload: &Deployment) -> Result<Option<ConfigMap>, ClusterError> {
    if !follows(workload) {
        return Ok(None);
    }
    let name = workload.name_any();
    let found = cluster.api::<ConfigMap>().get_opt(&name).await;
    found.map_err(|error| cluster.failed(&format!("read ConfigMap {name}"), error))
}

/// The Deployment of the revision to go back to. `workloads` has the newest first.
fn choose<'a>(
    workloads: &'a [Deployment],
    object: &ModelDeployment,
    current: Option<&str>,
    named: Option<&str>,
) -> anyhow::Result<&'a Deployment> {
    let find = |revision: &str| workloads.iter().find(|one| label(one) == revision);
    let others: Vec<&Deployment> = workloads.iter().filter(|one| Some(label(one)) != current).collect();
    let listed = || match others.iter().map(|one| label(one)).collect::<Vec<_>>().as_slice() {
        [] => "no other is kept".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    if let Some(revision) = named {
        if Some(revision) == current {
            bail!("{revision} is the revision of the spec as it is; {}", listed());
        }
        return find(revision).with_context(|| format!("no revision {revision}: {}", listed()));
    }
    let revisions = object.status.iter().flat_map(|status| &status.revisions);
    let stable =
        revisions.filter(|one| one.role == Role::Stable && Some(one.name.as_str()) != current).find_map(|one| find(&one.name));
    let found = stable.or_else(|| others.first().copied());
    let in_place = if object.spec.models.is_empty() {
        ""
    } else {
        "; a change of models[] alone makes no revision: apply the list as it was"
    };
    found.with_context(|| format!("there is no earlier revision to go back to: none is kept{in_place}"))
}

/// Writes the fields that shape a revision into the spec.
fn set(object: &mut DynamicObject, shape: &Shape) -> anyhow::Result<()> {
    let mut new = serde_json::to_value(shape)?;
    let Some(spec) = object.data.get_mut("spec").and_then(Value::as_object_mut) else {
        bail!("the ModelDeployment there has no spec");
    };
    for field in Shape::FIELDS {
        match new.get_mut(field).map(Value::take) {
            Some(mut value) => {
                spec.get(field).into_iter().for_each(|old| keep_spelling(old, &mut value));
                spec.insert(field.to_owned(), value)
            }
            None => spec.shift_remove(field),
        };
    }
    Ok(())
}

/// What means the same as before stays as somebody wrote it: `1000m` for `1`, `60s` for `1m`.
fn keep_spelling(old: &Value, new: &mut Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            new.iter_mut().for_each(|(key, new)| old.get(key).into_iter().for_each(|old| keep_spelling(old, new)));
        }
        (old @ (Value::String(_) | Value::Number(_)), new @ Value::String(_)) => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let (before, now) = (text(old), text(new));
            let amount = units::milli(&before).is_ok_and(|amount| units::milli(&now) == Ok(amount));
            let duration = units::duration(&before).is_ok_and(|duration| units::duration(&now) == Ok(duration));
            if amount || duration {
                *new = old.clone();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use modelyard_core::render::REVISION_LABEL;

    use super::*;

    fn workload(revision: &str) -> Deployment {
        serde_json::from_value(json!({"metadata": {"labels": {REVISION_LABEL: revision}}})).unwrap()
    }

    fn object(stable: &str) -> ModelDeployment {
        serde_json::from_value(json!({"metadata": {"name": "m"}, "spec": {"model": {"uri": "file:m"}}, "status": {
            "revisions": [{"name": stable, "role": "Stable", "replicas": 1, "readyReplicas": 1, "weight": 100}]}}))
        .unwrap()
    }

    #[test]
    fn back_is_to_what_serves_or_to_the_one_before() {
        let all = [workload("c"), workload("b"), workload("a")];
        for (stable, current, named, chosen) in [
            ("a", Some("c"), None, Ok("a")),
            ("c", Some("c"), None, Ok("b")),
            ("a", Some("a"), None, Ok("c")),
            ("c", Some("c"), Some("a"), Ok("a")),
            ("c", Some("c"), Some("c"), Err("c is the revision of the spec as it is; there are b, a")),
            ("c", Some("c"), Some("x"), Err("no revision x: there are b, a")),
            ("c", None, None, Ok("c")),
        ] {
            let found = choose(&all, &object(stable), current, named).map(label).map_err(|error| error.to_string());
            assert_eq!(found, chosen.map_err(str::to_owned), "{stable} {current:?} {named:?}");
        }
        let alone = choose(&all[..1], &object("c"), Some("c"), None).unwrap_err().to_string();
        assert_eq!(alone, "there is no earlier revision to go back to: none is kept");
    }

    #[test]
    fn what_means_the_same_stays_as_it_was_written() {
        let old = json!({"limits": {"cpu": "1000m", "memory": 1024}, "time": "60s", "uri": "file:1"});
        let mut new = json!({"limits": {"cpu": "1", "memory": "1Ki"}, "time": "1m", "uri": "file:2", "more": "1"});
        keep_spelling(&old, &mut new);
        assert_eq!(new, json!({"limits": {"cpu": "1000m", "memory": 1024}, "time": "60s", "uri": "file:2", "more": "1"}));
    }

    #[test]
    fn what_is_not_of_the_revision_stays() {
        let mut object: DynamicObject = serde_json::from_value(json!({"metadata": {"name": "m"}, "spec": {
            "models": [{"name": "a", "uri": "file:a", "version": 1}], "replicas": 7, "new": true, "serving": {}, "resources": {}}}))
        .unwrap();
        let pod = json!({"containers": [{"name": "server", "image": "i",
            "env": [{"name": "MODELYARD_CONFIG", "value": r#"{"models":[{"name":"m","uri":"file:m"}]}"#}]}]});
        let earlier: Deployment = serde_json::from_value(json!({
            "metadata": {"annotations": {"modelyard.dev/model-version": "1"}},
            "spec": {"selector": {}, "template": {"spec": pod}}}))
        .unwrap();
        let shape = unresolve("m", &earlier, None).unwrap();
        set(&mut object, &shape).unwrap();
        let spec = &object.data["spec"];
        assert_eq!((&spec["replicas"], &spec["new"], &spec["models"]), (&json!(7), &json!(true), &Value::Null));
        assert_eq!(spec["model"]["uri"], "file:m");
    }
}
