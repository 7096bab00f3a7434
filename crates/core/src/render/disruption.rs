//! The PodDisruptionBudget: a drain takes replicas one at a time. One replica gets none unless the spec
//! asks, for that would block every drain.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Owner, metadata, selector};
use crate::resolve::Resolved;

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>) -> Option<PodDisruptionBudget> {
    let asked = resolved.min_available.clone();
    (asked.is_some() || resolved.replicas > 1).then(|| PodDisruptionBudget {
        metadata: metadata(resolved, owner, resolved.name.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: asked.is_none().then_some(IntOrString::Int(1)),
            min_available: asked,
            selector: Some(LabelSelector { match_labels: Some(selector(resolved)), ..LabelSelector::default() }),
            // A replica that does not serve protects nobody.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        status: None,
    })
}
