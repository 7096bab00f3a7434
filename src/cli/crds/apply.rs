//! The definitions, applied to a cluster: by server-side apply, and waited for until the API server serves them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};

use super::value;
use crate::cli::cluster::{Access, Cluster, ClusterError, FIELD_MANAGER};

/// A definition is established within a second, unless its names are taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Applies them all.
pub(super) async fn apply(access: &Access, definitions: &[CustomResourceDefinition], force: bool) -> anyhow::Result<ExitCode> {
    let cluster = access.open().await?;
    for definition in definitions {
        one(&cluster, definition, force).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn one(cluster: &Cluster, definition: &CustomResourceDefinition, force: bool) -> anyhow::Result<()> {
    let api = cluster.global::<CustomResourceDefinition>();
    let name = definition.name_any();
    let read = |error| cluster.failed(&format!("read the CustomResourceDefinition {name}"), error);
    let before = api.get_opt(&name).await.map_err(read)?;
    let params = PatchParams { force, ..PatchParams::apply(FIELD_MANAGER) };
    let applied = match api.patch(&name, &params, &Patch::Apply(value(definition)?)).await {
        Ok(applied) => applied,
        Err(error) => match cluster.failed(&format!("apply the CustomResourceDefinition {name}"), error) {
            ClusterError::Conflict { said, .. } => bail!(
                "{name} has another owner, such as a Helm release: {said}\nupgrade that release, or take the fields over with --force-conflicts"
            ),
            error => return Err(error.into()),
        },
    };
    let deed = match before {
        None => "created",
        Some(before) if before.resource_version() == applied.resource_version() => "unchanged",
        Some(_) => "configured",
    };
    let established = await_condition(api.clone(), &name, conditions::is_crd_established());
    match tokio::time::timeout(PATIENCE, established).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => bail!("{name} is applied, but cannot be watched: {error}"),
        Err(_) => bail!(
            "{name} is applied, but not established after {PATIENCE:?}: {}",
            api.get(&name).await.map_err(read)?.status.map(why).unwrap_or_default()
        ),
    }
    crate::cli::stdout::print(&format!("{name} {deed}, and established\n"))?;
    Ok(())
}

/// What keeps it from being served.
fn why(status: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionStatus) -> String {
    let bad = status.conditions.into_iter().flatten().filter(|one| one.status == "False");
    bad.map(|one| format!("{}: {}", one.type_, one.message.unwrap_or_default())).collect::<Vec<_>>().join("; ")
}
