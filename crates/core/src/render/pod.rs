//! A replica: one container that listens before it downloads, so it needs no start-up probe; no token, no root, nothing to write
//! to but its cache. It passes Pod Security's `restricted` as it is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, Probe, ResourceRequirements,
    SeccompProfile, SecretKeySelector, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    CONFIG_FILE, CONFIG_FOLDER, Owner, PINS_FILE, PINS_FOLDER, PINS_VARIABLE, RESTARTED_AT_VARIABLE, deployment_name, pins_name,
    selector,
};
use crate::api::Compute;
use crate::claim::MOUNTED;
use crate::pins::RESTARTED_AT;
use crate::resolve::{Resolved, SecretVariable};

/// The port of every protocol.
pub const PORT: i32 = 8080;
/// The port of health and metrics.
pub const ADMIN_PORT: i32 = 9090;
/// The one container.
pub const CONTAINER: &str = "server";
/// The user and group of the server's image.
const USER: i64 = 65532;
/// Replicas of one deployment that a machine may have without being avoided. A scheduler prefers the emptiest machine whatever
/// this says. An autoscaler that makes machines, such as Karpenter, tries to keep the wish as if it were a rule: with 1 it made
/// a machine for each replica, twelve of them for 1.2 CPUs.
const SHARE_OF_A_MACHINE: i32 = 10;
/// Where artefacts are kept.
const CACHE: &str = "/var/cache/modelyard";
/// The volume of what it follows.
const CONFIGURATION: &str = "configuration";
/// The volume of what the names of its models led to.
const PINS: &str = "pins";
/// Seconds that a server has after what it waits for, to end.
const LAST_SECONDS: u64 = 5;

/// The annotations of every replica.
pub(super) fn annotations(resolved: &Resolved) -> BTreeMap<String, String> {
    // A cache is no reason to keep a machine.
    let own = ("cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes".to_owned(), "cache".to_owned());
    [own].into_iter().chain(resolved.pod.annotations.clone()).collect()
}

/// Nothing where there is nothing: what the API server leaves out is left out here.
fn some<T: Default + PartialEq>(values: T) -> Option<T> {
    (values != T::default()).then_some(values)
}

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>) -> PodSpec {
    let serving = &resolved.config.serving;
    let grace = serving.drain_delay.as_secs() + serving.request_timeout.as_secs() + LAST_SECONDS;
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: i64::try_from(grace).ok(),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(resolved, owner)],
        volumes: Some(
            std::iter::once(cache(resolved))
                .chain(claims(resolved))
                .chain(configuration(resolved))
                .chain(pins(resolved))
                .collect(),
        ),
        topology_spread_constraints: Some(match resolved.pod.topology_spread_constraints.as_slice() {
            [] => [("kubernetes.io/hostname", SHARE_OF_A_MACHINE), ("topology.kubernetes.io/zone", 1)]
                .map(|(key, skew)| spread(resolved, key, skew))
                .into(),
            chosen => chosen.to_vec(),
        }),
        node_selector: some(resolved.pod.node_selector.clone()),
        tolerations: some(resolved.pod.tolerations.clone()),
        affinity: resolved.pod.affinity.clone(),
        priority_class_name: resolved.pod.priority_class_name.clone(),
        runtime_class_name: resolved.pod.runtime_class_name.clone(),
        service_account_name: resolved.pod.service_account_name.clone(),
        image_pull_secrets: some(resolved.pod.image_pull_secrets.clone()),
        ..PodSpec::default()
    }
}

fn cache(resolved: &Resolved) -> Volume {
    let claim = resolved.cache.persistent_volume_claim.as_ref();
    let size_limit = resolved.cache.empty_dir.as_ref().and_then(|dir| dir.size_limit.clone());
    Volume {
        name: "cache".to_owned(),
        empty_dir: claim.is_none().then_some(EmptyDirVolumeSource { size_limit, medium: None }),
        persistent_volume_claim: claim
            .map(|claim| PersistentVolumeClaimVolumeSource { claim_name: claim.claim_name.clone(), read_only: None }),
        ..Volume::default()
    }
}

/// The claim of the cache, which may have models too: a pod has a claim as one volume.
fn cache_claim(resolved: &Resolved) -> Option<&String> {
    resolved.cache.persistent_volume_claim.as_ref().map(|claim| &claim.claim_name)
}

/// The volumes of claims that models lie on. Read-only, so that the kubelet changes nobody's files, and replicas may share what they can.
fn claims(resolved: &Resolved) -> impl Iterator<Item = Volume> {
    let of_models = resolved.claims.iter().enumerate().filter(|(_, claim)| Some(*claim) != cache_claim(resolved));
    of_models.map(|(at, claim)| Volume {
        name: format!("claim-{at}"),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name: claim.clone(), read_only: Some(true) }),
        ..Volume::default()
    })
}

/// The volume with the configuration that the server follows.
fn configuration(resolved: &Resolved) -> Option<Volume> {
    let name = deployment_name(&resolved.name, &resolved.revision);
    resolved.follows().then(|| Volume {
        name: CONFIGURATION.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    })
}

/// The volume with what the names of its models led to. It is there once the operator knows that, and pods do not wait for it.
fn pins(resolved: &Resolved) -> Option<Volume> {
    let name = pins_name(&resolved.name, &resolved.revision);
    resolved.may_move().then(|| Volume {
        name: PINS.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name, optional: Some(true), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    })
}

/// Where the server looks for them, and which restart it is of.
fn pinned(resolved: &Resolved) -> impl Iterator<Item = EnvVar> {
    let variable = |name: &str, value, value_from| EnvVar { name: name.to_owned(), value, value_from };
    let restart = ObjectFieldSelector { field_path: format!("metadata.annotations['{RESTARTED_AT}']"), ..Default::default() };
    let restart = EnvVarSource { field_ref: Some(restart), ..EnvVarSource::default() };
    let both = [
        variable(PINS_VARIABLE, Some(format!("{PINS_FOLDER}/{PINS_FILE}")), None),
        variable(RESTARTED_AT_VARIABLE, None, Some(restart)),
    ];
    let may_move = resolved.may_move();
    both.into_iter().filter(move |_| may_move)
}

fn mounts(resolved: &Resolved) -> Vec<VolumeMount> {
    // Not one file of it: what is mounted so never changes.
    let configuration = resolved.follows().then(|| VolumeMount {
        name: CONFIGURATION.to_owned(),
        mount_path: CONFIG_FOLDER.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    let pins = resolved.may_move().then(|| VolumeMount {
        name: PINS.to_owned(),
        mount_path: PINS_FOLDER.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    let cache = VolumeMount { name: "cache".to_owned(), mount_path: CACHE.to_owned(), ..VolumeMount::default() };
    let claims = resolved.claims.iter().enumerate().map(|(at, claim)| VolumeMount {
        name: if Some(claim) == cache_claim(resolved) { "cache".to_owned() } else { format!("claim-{at}") },
        mount_path: format!("{MOUNTED}/{claim}"),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    std::iter::once(cache).chain(claims).chain(configuration).chain(pins).collect()
}

fn container(resolved: &Resolved, owner: Owner<'_>) -> Container {
    let port = |name: &str, port| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let config = if resolved.follows() { format!("@{CONFIG_FOLDER}/{CONFIG_FILE}") } else { resolved.config.to_json() };
    let variable = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(owner.server_image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        env: Some(
            [
                variable("MODELYARD_CONFIG", config),
                variable("MODELYARD_CACHE_DIR", CACHE.to_owned()),
                variable("MODELYARD_LOG_FORMAT", "json".to_owned()),
            ]
            .into_iter()
            .chain(pinned(resolved))
            .chain(resolved.secrets.iter().map(from_secret))
            .chain(resolved.pod.env.clone())
            .collect(),
        ),
        ports: Some(vec![port("http", PORT), port("admin", ADMIN_PORT)]),
        // A server that drains is not ready at once; one that is merely slow stays.
        readiness_probe: Some(probe("/readyz", 2, 1)),
        liveness_probe: Some(probe("/livez", 10, 6)),
        resources: Some(ResourceRequirements {
            requests: Some(amounts(&resolved.resources.requests)),
            limits: resolved.resources.limits.as_ref().map(amounts),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(resolved)),
        ..Container::default()
    }
}

/// A variable that the kubelet fills in; nobody else reads the Secret.
fn from_secret(one: &SecretVariable) -> EnvVar {
    let optional = one.optional.then_some(true);
    let key = SecretKeySelector { name: one.secret.clone(), key: one.key.to_owned(), optional };
    let value_from = Some(EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() });
    EnvVar { name: one.variable.clone(), value: None, value_from }
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(5),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

fn amounts(compute: &Compute) -> BTreeMap<String, Quantity> {
    let written = [("cpu", &compute.cpu), ("memory", &compute.memory)];
    written.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount.clone()?))).collect()
}

/// Replicas stay apart where there is room to, and are started where there is not.
///
/// A scheduler counts these only on nodes that have both labels. A preferred anti-affinity for zones would do without, but beside it
/// Karpenter makes one machine for two replicas, where a constraint brings one in each zone.
fn spread(resolved: &Resolved, key: &str, max_skew: i32) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(selector(resolved)), ..LabelSelector::default() }),
        ..TopologySpreadConstraint::default()
    }
}
