//! What the cluster's answers mean. Nothing here asks anything.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use modelyard_core::api::{Class, ModelDeployment, Reason};
use modelyard_core::schema::Schema;

use super::Finding;
use crate::cli::cluster::{Readiness, age};

/// The oldest minor version of Kubernetes that works, as the chart says too: the CRD's rules are CEL, which is stable from it on.
const OLDEST: u32 = 29;
/// The oldest that is tested.
const TESTED: u32 = 33;
/// A lease without a duration of its own.
const LEASE: i32 = 15;

pub(super) fn version(address: &str, info: &Info) -> Finding {
    let words = format!("{address} answers, Kubernetes {}", info.git_version);
    // Clouds write `34+`.
    let minor: Option<u32> = info.minor.trim_end_matches('+').parse().ok();
    match (info.major.as_str(), minor) {
        ("1", Some(minor)) if minor < OLDEST => {
            Finding::wrong("cluster", words, format!("Upgrade the cluster: Modelyard needs 1.{OLDEST} or newer."))
        }
        ("1", Some(minor)) if minor < TESTED => Finding::note("cluster", format!("{words}: not tested; 1.{TESTED} or newer is")),
        _ => Finding::good("cluster", words),
    }
}

pub(super) fn definition(found: Option<&CustomResourceDefinition>, ours: &CustomResourceDefinition) -> Finding {
    let name = ours.name_any();
    let Some(found) = found else {
        return Finding::wrong("CRD", format!("{name} is not installed"), "Install the Helm chart, which brings it.");
    };
    let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if !conditions.clone().any(|one| one.type_ == "Established" && one.status == "True") {
        let bad = conditions.filter(|one| one.status == "False").find_map(|one| one.message.clone()).unwrap_or_default();
        return Finding::wrong(
            "CRD",
            format!("{name} is not established: {bad}"),
            "Mend what it says; then modelyard crds --apply.",
        );
    }
    let schema = |one: &CustomResourceDefinition| Schema::of(one).map(|schema| schema.published);
    if schema(found) == schema(ours) {
        Finding::good("CRD", format!("{name} is the one of this program"))
    } else {
        let advice = "Upgrade the older one: the chart brings its own, modelyard crds --apply brings this program's.";
        Finding::wrong("CRD", format!("{name} is of another release than this program"), advice)
    }
}

/// An operator leads, or one runs that needs no lease.
pub(super) fn operator(leases: &[Lease], operators: &[Deployment], now: Timestamp) -> Finding {
    let place = |namespace: Option<String>, name: String| format!("{}/{name}", namespace.unwrap_or_default());
    let led = leases.iter().filter_map(|lease| {
        let spec = lease.spec.as_ref()?;
        let renewed = spec.renew_time.as_ref()?.0;
        let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(LEASE)));
        (now.duration_since(renewed) <= lasts).then(|| (lease, spec.holder_identity.clone().unwrap_or_default(), renewed))
    });
    if let Some((lease, holder, renewed)) = led.max_by_key(|(_, _, renewed)| *renewed) {
        let lease = place(lease.namespace(), lease.name_any());
        return Finding::good("operator", format!("{holder} leads: Lease {lease}, renewed {} ago", age(renewed, now)));
    }
    let ready = |one: &&Deployment| one.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0) > 0;
    let image = |one: &Deployment| {
        let pod = one.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        pod.and_then(|pod| pod.containers.first()?.image.clone()).unwrap_or_default()
    };
    match (operators.iter().find(ready), operators.first()) {
        (Some(one), _) => {
            Finding::good("operator", format!("Deployment {} runs {}", place(one.namespace(), one.name_any()), image(one)))
        }
        (None, Some(one)) => {
            let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
            let advice = format!("See why: kubectl -n {namespace} describe pods -l app.kubernetes.io/name=modelyard");
            Finding::wrong("operator", format!("Deployment {namespace}/{name} has no ready pod"), advice)
        }
        (None, None) => {
            let advice = "Install the Helm chart: helm install modelyard charts/modelyard -n modelyard-system --create-namespace";
            Finding::wrong("operator", "none runs: ModelDeployments are stored, and nothing happens", advice)
        }
    }
}

pub(super) fn rights(namespace: &str, status: Option<&SubjectAccessReviewStatus>) -> Finding {
    if status.is_some_and(|status| status.allowed) {
        return Finding::good("rights", format!("you may create ModelDeployments in namespace {namespace}"));
    }
    let why = status.and_then(|status| status.reason.clone()).filter(|reason| !reason.is_empty());
    let why = why.map(|reason| format!(": {reason}")).unwrap_or_default();
    Finding::wrong(
        "rights",
        format!("you may not create ModelDeployments in namespace {namespace}{why}"),
        "Ask for the role edit in it: the chart adds ModelDeployments to that.",
    )
}

/// Those that are not ready, each with its advice; one line for all the others.
pub(super) fn objects(objects: &[DeserializeGuard<ModelDeployment>]) -> Vec<Finding> {
    use kube::Resource;

    let mut findings = Vec::new();
    let mut ready = 0;
    for object in objects {
        let meta = object.meta();
        let name = format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let state = match &object.0 {
            Ok(object) => Readiness::of(object, "Ready"),
            Err(unreadable) => {
                findings.push(Finding::wrong("models", format!("{name}: {}", unreadable.error), Reason::InvalidSpec.advice()));
                continue;
            }
        };
        let words = format!("{name} is not ready: {}: {}", state.name, state.message);
        match state.reason.map(Reason::class) {
            _ if state.holds => ready += 1,
            Some(Class::UnderWay | Class::Well) => findings.push(Finding::note("models", words)),
            None if state.is_untold() => findings.push(Finding::note("models", words)),
            Some(Class::User | Class::World) | None => findings.push(Finding::wrong("models", words, state.advice())),
        }
    }
    let all = objects.len();
    let summary = if all == 0 { "no ModelDeployment yet".to_owned() } else { format!("{ready} of {all} ModelDeployments ready") };
    let told = if ready == all { Finding::good } else { Finding::note };
    findings.insert(0, told("models", summary));
    findings
}

#[cfg(test)]
mod tests {
    use modelyard_core::api::crds;
    use serde_json::{Value, json};

    use super::super::{State, text};
    use super::*;

    fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn info(minor: &str) -> Info {
        let words = |text: &str| text.to_owned();
        Info { major: words("1"), minor: words(minor), git_version: format!("v1.{minor}.0"), ..Info::default() }
    }

    #[test]
    fn each_version_is_too_old_or_not_tested_or_good() {
        for (minor, state, told) in [
            ("28", State::Wrong, "https://here answers, Kubernetes v1.28.0"),
            ("29", State::Note, "https://here answers, Kubernetes v1.29.0: not tested; 1.33 or newer is"),
            ("32+", State::Note, "https://here answers, Kubernetes v1.32+.0: not tested; 1.33 or newer is"),
            ("33", State::Good, "https://here answers, Kubernetes v1.33.0"),
            ("36+", State::Good, "https://here answers, Kubernetes v1.36+.0"),
        ] {
            let found = version("https://here", &info(minor));
            assert_eq!((found.state, found.words.as_str()), (state, told), "{minor}");
        }
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/modelyard/Chart.yaml");
        let wanted = format!("kubeVersion: \">=1.{OLDEST}.0-0\"");
        assert!(std::fs::read_to_string(chart).unwrap().lines().any(|line| line == wanted), "{chart} does not say {wanted}");
    }

    #[test]
    fn a_cluster_where_all_is_wrong() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let stale = of(json!({"metadata": {"name": "modelyard", "namespace": "modelyard"},
            "spec": {"holderIdentity": "modelyard-1", "renewTime": "2026-05-01T11:59:00.000000Z", "leaseDurationSeconds": 15}}));
        let down = of(json!({"metadata": {"name": "modelyard", "namespace": "modelyard"}, "status": {"availableReplicas": 0}}));
        let condition = json!({"type": "Ready", "status": "False", "reason": "ModelNotFound", "message": "pod m-1: 404 Not Found",
            "lastTransitionTime": "2026-05-01T11:59:00Z"});
        let broken = of(json!({"metadata": {"name": "m", "namespace": "models"}, "spec": {"model": {"uri": "file:m"}},
            "status": {"conditions": [condition]}}));
        let mut findings = vec![
            version("https://here:6443", &info("28+")),
            definition(None, &crds()[0]),
            operator(&[stale], &[down], now),
            operator(&[], &[], now),
            rights("models", None),
        ];
        findings.extend(objects(&[broken]));
        assert!(findings.iter().filter(|one| one.check != "models").all(|one| one.state == State::Wrong && one.advice.is_some()));
        insta::assert_snapshot!(text(&findings));
    }

    #[test]
    fn a_cluster_where_all_is_well() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let mut installed = crds().remove(0);
        installed.status = of(json!({"conditions": [{"type": "Established", "status": "True"}]}));
        let lease = of(json!({"metadata": {"name": "modelyard", "namespace": "modelyard"},
            "spec": {"holderIdentity": "modelyard-1", "renewTime": "2026-05-01T11:59:57.000000Z", "leaseDurationSeconds": 15}}));
        let findings = [
            version("https://here:6443", &info("34")),
            definition(Some(&installed), &crds()[0]),
            operator(&[lease], &[], now),
            rights("models", Some(&of(json!({"allowed": true})))),
            objects(&[]).remove(0),
        ];
        assert!(findings.iter().all(|one| one.state == State::Good));
        insta::assert_snapshot!(text(&findings));
        installed.spec.versions[0].schema = None;
        assert_eq!(definition(Some(&installed), &crds()[0]).state, State::Wrong);
    }
}
