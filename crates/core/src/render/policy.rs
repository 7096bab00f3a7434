//! The NetworkPolicy: who may call the models, where the spec says.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Owner, metadata, selector};
use crate::resolve::Resolved;

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>) -> Option<NetworkPolicy> {
    let options = resolved.network_policy.as_ref()?;
    let port =
        |name: &str| NetworkPolicyPort { port: Some(IntOrString::String(name.to_owned())), ..NetworkPolicyPort::default() };
    // A rule without peers lets all in, so nobody is no rule.
    let callers = (!options.from.is_empty())
        .then(|| NetworkPolicyIngressRule { from: Some(options.from.clone()), ports: Some(vec![port("http")]) });
    let probes = NetworkPolicyIngressRule { from: None, ports: Some(vec![port("admin")]) };
    Some(NetworkPolicy {
        metadata: metadata(resolved, owner, resolved.name.clone()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(selector(resolved)), ..LabelSelector::default() }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(callers.into_iter().chain([probes]).collect()),
            egress: None,
        }),
    })
}
