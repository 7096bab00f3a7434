//! Where replicas run: apart where there is room to, and started where there is not.

use k8s_openapi::api::core::v1::{Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint, WeightedPodAffinityTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::selector;
use crate::resolve::Resolved;

/// Replicas of one deployment that a machine may have without being avoided. A scheduler prefers the emptiest machine whatever
/// this says. An autoscaler that makes machines, such as Karpenter, tries to keep the wish as if it were a rule: with 1 it made
/// a machine for each replica, twelve of them for 1.2 CPUs.
const SHARE_OF_A_MACHINE: i32 = 10;
/// The label that says which zone a node is in.
const ZONE: &str = "topology.kubernetes.io/zone";
/// How much the wish for different zones weighs, of 100. Alone it is all that the scheduler's plugin weighs.
const WISH_FOR_ZONES: i32 = 100;

/// The spec's constraints; without any, the wish to be on different machines.
pub(super) fn spread(resolved: &Resolved) -> Vec<TopologySpreadConstraint> {
    if !resolved.pod.topology_spread_constraints.is_empty() {
        return resolved.pod.topology_spread_constraints.clone();
    }
    vec![TopologySpreadConstraint {
        max_skew: SHARE_OF_A_MACHINE,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(replicas(resolved)),
        ..TopologySpreadConstraint::default()
    }]
}

fn replicas(resolved: &Resolved) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(resolved)), ..LabelSelector::default() }
}

/// The spec's, and the wish to be in different zones where it says nothing of the kind. No spread constraint: a scheduler passes over
/// every node that lacks the label of one of them, and nodes of one's own often have no zone.
pub(super) fn affinity(resolved: &Resolved) -> Option<Affinity> {
    let chosen = resolved.pod.affinity.clone();
    let says = chosen.as_ref().is_some_and(|one| one.pod_anti_affinity.is_some());
    if says || !resolved.pod.topology_spread_constraints.is_empty() {
        return chosen;
    }
    let term =
        PodAffinityTerm { topology_key: ZONE.to_owned(), label_selector: Some(replicas(resolved)), ..PodAffinityTerm::default() };
    let wish = PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
            weight: WISH_FOR_ZONES,
            pod_affinity_term: term,
        }]),
        ..PodAntiAffinity::default()
    };
    Some(Affinity { pod_anti_affinity: Some(wish), ..chosen.unwrap_or_default() })
}

/// What the spec may have said where this was rendered: the wish for zones taken off.
pub(crate) fn without_the_wish(rendered: Option<Affinity>) -> Option<Affinity> {
    let mut affinity = rendered?;
    let terms = |anti: &PodAntiAffinity| anti.preferred_during_scheduling_ignored_during_execution.clone().unwrap_or_default();
    let is_ours = |anti: &PodAntiAffinity| {
        anti.required_during_scheduling_ignored_during_execution.is_none()
            && matches!(&*terms(anti), [one] if one.weight == WISH_FOR_ZONES && one.pod_affinity_term.topology_key == ZONE)
    };
    if affinity.pod_anti_affinity.as_ref().is_some_and(is_ours) {
        affinity.pod_anti_affinity = None;
    }
    Some(affinity).filter(|one| *one != Affinity::default())
}
