//! `modelyard restart`: new pods of the same revision, as `kubectl rollout restart` makes them; and of the operator's newest server.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt;
use jiff::{Timestamp, Unit};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use modelyard_core::pins::RESTARTED_AT;
use modelyard_core::release::RENEW;
use modelyard_core::render::TEMPLATE_ANNOTATION;
use serde_json::json;

use super::cluster::{
    Access, Cluster, Document, FIELD_MANAGER, Seen, document, follow, interrupted, parse_duration, parse_name, resolve_beside,
    revision_of, workloads_of,
};
use super::served::runtime;

/// Replace the pods of a ModelDeployment by new ones of the same revision, without a failed request
///
/// Does to the current revision's Deployment what kubectl rollout restart does: a new pod first, then an old one goes. The new
/// ones serve what the models' uris lead to now, and run the server of the operator as it is now, where the spec names no serverImage.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The ModelDeployment
    #[arg(value_parser = parse_name)]
    name: String,

    #[command(flatten)]
    access: Access,

    /// Return at once
    #[arg(long)]
    no_wait: bool,

    /// How long to wait at most, such as 30s or 5m
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,

    /// Print one object for programs: name, namespace, revision, deployment, restartedAt, finished
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Document>,
}

const EXAMPLES: &str = "\
Examples:
  modelyard restart mnist
  modelyard restart mnist --no-wait

Exit codes: 0 restarted; 1 not, or not in time; 2 wrong arguments; 130 Ctrl-C, and the restart goes on.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(self.restart())
    }

    async fn restart(&self) -> anyhow::Result<ExitCode> {
        let cluster = self.access.open().await?;
        let object = cluster.find(&self.name).await?;
        let workloads = workloads_of(&cluster, &self.name).await?;
        let resolved = resolve_beside(&object, &workloads)?;
        if resolved.replicas == 0 {
            bail!("{} wants 0 replicas: there is nothing to restart", self.name);
        }
        let current = workloads.iter().find(|one| revision_of(&object, one).as_ref() == Some(&resolved.revision));
        let Some(workload) = current.and_then(|one| one.metadata.name.clone()) else {
            bail!("revision {} has no Deployment yet; modelyard status {} says why", resolved.revision, self.name);
        };
        let now = Timestamp::now().round(Unit::Second)?.to_string();
        let patch = json!({"metadata": {"annotations": {TEMPLATE_ANNOTATION: RENEW}}, "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = cluster.api::<Deployment>().patch(&workload, &params, &Patch::Strategic(patch)).await;
        patched.map_err(|error| cluster.failed(&format!("restart Deployment {workload}"), error))?;
        if !self.no_wait {
            let code = self.wait(&cluster, &workload).await?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
        }
        match self.output {
            Some(format) => super::stdout::print(&document(
                format,
                &json!({
                    "name": self.name, "namespace": cluster.namespace, "revision": resolved.revision, "deployment": workload,
                    "restartedAt": now, "finished": !self.no_wait,
                }),
            )?)?,
            None if self.no_wait => {
                let name = &self.name;
                super::stdout::tell(&format!("{name} restarts; modelyard status {name} shows how far it is\n"))?;
            }
            None => super::stdout::print(&format!("{} is restarted\n", self.name))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn wait(&self, cluster: &Cluster, workload: &str) -> anyhow::Result<ExitCode> {
        let mut seen = pin!(follow::<Deployment>(cluster, workload));
        let mut late = pin!(tokio::time::sleep(self.timeout));
        let mut ended = pin!(interrupted());
        let mut last = String::new();
        loop {
            let seen = tokio::select! {
                () = &mut late => bail!("not restarted after {:?}: {last}; modelyard status {} says why", self.timeout, self.name),
                () = &mut ended => return Ok(ExitCode::from(130)),
                seen = seen.next() => seen,
            };
            match seen {
                Some(Ok(Seen::Object(deployment))) => match progress(&deployment) {
                    None => return Ok(ExitCode::SUCCESS),
                    Some(words) if words != last => {
                        super::say(format_args!("{words}"));
                        last = words;
                    }
                    Some(_) => {}
                },
                Some(Ok(Seen::Gone)) => bail!("Deployment {workload} is gone: another revision has taken over"),
                Some(Err(error)) => return Err(error.into()),
                None => bail!("the watch has ended"),
            }
        }
    }
}

/// How far a rollout is; none when it is done. The same questions as `kubectl rollout status` asks.
fn progress(deployment: &Deployment) -> Option<String> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Some("waiting for the Deployment to be looked at".to_owned());
    }
    let count = |number: Option<i32>| number.unwrap_or(0);
    let (all, new, ready) = (count(status.replicas), count(status.updated_replicas), count(status.available_replicas));
    if new < wanted {
        Some(format!("{new} of {wanted} new pods are started"))
    } else if all > new {
        Some(format!("old pods that finish what they have: {}", all - new))
    } else if ready < new {
        Some(format!("{ready} of {new} new pods are ready"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_when_no_old_pod_is_left_and_all_new_ones_are_ready() {
        for (observed, all, new, ready, words) in [
            (1, 2, 2, 2, Some("waiting for the Deployment to be looked at")),
            (2, 3, 1, 2, Some("1 of 2 new pods are started")),
            (2, 3, 2, 3, Some("old pods that finish what they have: 1")),
            (2, 2, 2, 1, Some("1 of 2 new pods are ready")),
            (2, 2, 2, 2, None),
        ] {
            let deployment = serde_json::from_value(json!({
                "metadata": {"generation": 2}, "spec": {"replicas": 2, "selector": {}, "template": {}},
                "status": {"observedGeneration": observed, "replicas": all, "updatedReplicas": new, "availableReplicas": ready},
            }));
            assert_eq!(progress(&deployment.unwrap()).as_deref(), words);
        }
    }
}
