//! Pods and Deployments as clusters write them, and what is made of each.

use serde_json::{Value, json};

use super::*;
use crate::api::{ColdStart, ModelDeploymentStatus};

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().unwrap()
}

const EARLIER: &str = "2026-01-01T00:00:00Z";

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "m-1"}, "status": status})).unwrap()
}

fn container(state: Value, last: Value) -> Pod {
    pod(json!({
        "phase": "Running",
        "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "server", "image": "modelyard-server:1", "imageID": "", "ready": false, "restartCount": 1,
            "state": state, "lastState": last
        }]
    }))
}

fn terminated(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": EARLIER}})
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

/// The reason and message of a pod's state, whatever kind of state it is.
fn told(state: PodState) -> (Reason, String) {
    match state {
        PodState::UnderWay(reason, message) => (reason, message),
        PodState::Unschedulable(_, failure) | PodState::Failed(failure) | PodState::Gone(failure) => {
            (failure.reason, failure.message)
        }
        PodState::Ready => (Reason::Serving, String::new()),
        PodState::Leaving => (Reason::Draining, String::new()),
    }
}

#[test]
fn every_state_of_a_pod_has_its_reason() {
    let unplaced = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.", "lastTransitionTime": EARLIER}]});
    let claimless = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: persistentvolumeclaim \"models\" not found."}]});
    let unbound = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."}]});
    let mut without_volumes = container(waiting("ContainerCreating", ""), json!({}));
    let unready = json!({"type": "PodReadyToStartContainers", "status": "False"});
    let conditions = &mut without_volumes.status.as_mut().unwrap().conditions;
    conditions.get_or_insert_default().push(serde_json::from_value(unready).unwrap());
    let refused = json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"});
    let full = json!({"phase": "Failed", "reason": "Evicted",
        "message": "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\"."});
    let killed = |code: i32, finished: &str| {
        json!({"terminated": {"exitCode": code, "reason": "Error",
        "startedAt": EARLIER, "finishedAt": finished}})
    };
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let words = |reason: &str| json!({"reason": reason, "message": "it is so"}).to_string();
    let crash = || waiting("CrashLoopBackOff", "back-off 10s restarting failed container");
    for (pod, reason, message) in [
        (
            pod(unplaced),
            Reason::Unschedulable,
            "fits on no node: 0/1 nodes are available: 1 Insufficient memory.; lower resources",
        ),
        (pod(claimless), Reason::ClaimNotFound, "create the claim"),
        (pod(unbound), Reason::Unschedulable, "give the claim that cache.persistentVolumeClaim or a pvc: uri names a volume"),
        (pod(evicted), Reason::Evicted, "was sent away (Evicted): The node was low"),
        (
            pod(json!({"phase": "Succeeded"})),
            Reason::Evicted,
            "was ended by its node; its events say why (kubectl describe pod m-1)",
        ),
        (pod(refused), Reason::Evicted, "was sent away (OutOfcpu): Node didn't"),
        (pod(full), Reason::Evicted, "exceeds the limit \"1Mi\".; raise cache.emptyDir.sizeLimit"),
        (
            container(waiting("CreateContainerConfigError", "configmap \"c\" not found"), json!({})),
            Reason::InvalidSpec,
            "pod m-1: configmap \"c\" not found; create it, or mend spec.pod.env",
        ),
        (
            container(crash(), killed(137, "2026-01-01T00:01:40Z")),
            Reason::NotResponding,
            "ended from outside (exit code 137): the kubelet",
        ),
        (
            container(crash(), killed(143, "2026-01-01T00:01:00Z")),
            Reason::NotResponding,
            "ended from outside (exit code 143): the kubelet",
        ),
        (
            container(crash(), killed(0, "2026-01-01T00:01:00Z")),
            Reason::NotResponding,
            "ended from outside (exit code 0): the kubelet",
        ),
        (container(crash(), killed(137, "2026-01-01T00:00:30Z")), Reason::CrashLooping, "ended with exit code 137"),
        (container(crash(), killed(1, "2026-01-01T00:01:40Z")), Reason::CrashLooping, "ended with exit code 1"),
        (pod(json!({"phase": "Pending"})), Reason::Scheduling, "pod m-1 waits for its machine"),
        (container(waiting("ContainerCreating", ""), json!({})), Reason::PullingImage, "gets its image modelyard-server:1"),
        (without_volumes, Reason::Scheduling, "pod m-1 has its node, which makes its volumes"),
        (
            container(waiting("ErrImagePull", "not found"), json!({})),
            Reason::ImagePullFailed,
            "the image modelyard-server:1 cannot be had: not found; check its name",
        ),
        (
            container(waiting("CreateContainerConfigError", "secret \"s\" not found"), json!({})),
            Reason::SecretNotFound,
            "pod m-1: secret \"s\" not found; create it",
        ),
        (container(crash(), terminated(66, "Error", &words("ModelNotFound"))), Reason::ModelNotFound, "pod m-1: it is so"),
        (container(crash(), terminated(77, "Error", "")), Reason::ModelUnauthorized, "ended with exit code 77; see its log"),
        (container(crash(), terminated(137, "OOMKilled", "")), Reason::OutOfMemory, "resources.limits.memory"),
        (container(crash(), terminated(71, "Error", "")), Reason::OutOfMemory, "ended with exit code 71; see its log"),
        (container(crash(), terminated(101, "Error", "oops")), Reason::CrashLooping, "ended with exit code 101: oops"),
        (container(terminated(65, "Error", &words("ModelUnsupported")), json!({})), Reason::ModelUnsupported, "it is so"),
        (
            container(json!({"running": {"startedAt": EARLIER}}), json!({})),
            Reason::NotResponding,
            "does not answer on its admin port",
        ),
        (
            container(
                json!({"running": {"startedAt": "2026-01-01T00:09:55Z"}}),
                terminated(66, "Error", &words("ModelNotFound")),
            ),
            Reason::ModelNotFound,
            "pod m-1: it is so",
        ),
        (container(json!({"running": {"startedAt": "2026-01-01T00:09:55Z"}}), json!({})), Reason::Loading, "pod m-1 starts"),
    ] {
        let (found, said) = told(pod_state(&pod, None, now()));
        assert_eq!(found, reason, "{said}");
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn a_server_that_loads_says_how_far_it_is() {
    let running = container(json!({"running": {"startedAt": EARLIER}}), json!({}));
    let loading: Loading =
        serde_json::from_value(json!({"state": "Downloading", "bytes": 2_500_000, "totalBytes": 10_000_000, "models": []}))
            .unwrap();
    assert_eq!(digest(&loading), None);
    let (reason, said) = told(pod_state(&running, Some(&loading), now()));
    assert_eq!((reason, said.as_str()), (Reason::Downloading, "pod m-1 has fetched 2.5 MB of 10.0 MB of its model"));
    let again = container(json!({"running": {"startedAt": EARLIER}}), terminated(69, "Error", ""));
    assert_eq!(told(pod_state(&again, Some(&loading), now())).0, Reason::Downloading, "it gets on");
    let waiting = Loading { bytes: 0, total_bytes: Some(0), ..loading };
    assert_eq!(told(pod_state(&again, Some(&waiting), now())).0, Reason::StoreUnavailable, "nothing has come");
    assert_eq!(told(pod_state(&running, Some(&waiting), now())).1, "pod m-1 has fetched 0.0 MB of its model");
}

fn deployment(replicas: u32, conditions: Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "m-abc", "labels": {"modelyard.dev/revision": "abc"}, "annotations": {"modelyard.dev/model-version": "3"},
            "creationTimestamp": EARLIER},
        "spec": {"replicas": replicas, "progressDeadlineSeconds": 600, "selector": {}, "template": {}},
        "status": {"conditions": conditions}
    }))
    .unwrap()
}

fn ready() -> Pod {
    pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))
}

#[test]
fn a_revision_is_all_its_pods() {
    let crash = container(waiting("CrashLoopBackOff", ""), terminated(66, "Error", ""));
    let slow = container(json!({"running": {"startedAt": "2026-01-01T00:09:59Z"}}), json!({}));
    let mut leaving = ready();
    leaving.metadata.deletion_timestamp = Some(Time(now()));
    let pods = [&ready(), &crash, &crash, &slow, &leaving];
    let seen = revision(&deployment(4, json!([])), &pods, |_| None, now());
    assert_eq!((seen.revision.as_str(), seen.version, seen.wanted, seen.running, seen.ready), ("abc", Some(3), 4, 4, 1));
    assert!(seen.served);
    let failure = seen.failure.unwrap();
    assert_eq!(failure.reason, Reason::ModelNotFound);
    assert!(failure.message.starts_with("2 of 5 replicas: pod m-1: the server ended with exit code 66"), "{}", failure.message);
    assert_eq!(seen.progress.unwrap().0, Reason::Loading);
}

#[test]
fn a_pod_that_ended_is_told_until_another_has_taken_its_place() {
    let at = |mut pod: Pod, created: &str| {
        pod.metadata.creation_timestamp = Some(Time(created.parse().unwrap()));
        pod
    };
    let gone = at(pod(json!({"phase": "Failed", "reason": "Evicted"})), EARLIER);
    let starting = at(container(waiting("ContainerCreating", ""), json!({})), "2026-01-01T00:09:00Z");
    let seen = revision(&deployment(1, json!([])), &[&gone, &starting], |_| None, now());
    assert_eq!((seen.running, seen.failure.unwrap().reason), (1, Reason::Evicted));
    let serving = at(ready(), "2026-01-01T00:05:00Z");
    let seen = revision(&deployment(2, json!([])), &[&gone, &serving, &starting], |_| None, now());
    assert_eq!((seen.running, seen.ready, seen.failure), (2, 1, None));
    assert_eq!(seen.progress.unwrap().0, Reason::PullingImage);
}

#[test]
fn a_replica_is_what_a_replica_set_of_the_deployment_controls() {
    let owner = |name: &str, kind: &str, controls: bool| json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": controls});
    for (hash, owners, ours) in [
        (Some("5d8f"), json!([owner("m-abc-5d8f", "ReplicaSet", true)]), true),
        (Some("5d8f"), json!([]), false),
        (None, json!([owner("m-abc-5d8f", "ReplicaSet", true)]), false),
        (Some("5d8f"), json!([owner("m-abc-5d8f", "ReplicaSet", false)]), false),
        (Some("5d8f"), json!([owner("m-abd-5d8f", "ReplicaSet", true)]), false),
        (Some("5d8f"), json!([owner("m-abc-5d8f", "Job", true)]), false),
    ] {
        let labels = hash.map_or_else(|| json!({}), |hash| json!({"pod-template-hash": hash}));
        let metadata = json!({"name": "m-1", "labels": labels, "ownerReferences": owners});
        let pod: Pod = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        assert_eq!(is_replica(&pod, &deployment(1, json!([]))), ours, "{metadata}");
    }
}

#[test]
fn pods_that_cannot_be_made_say_who_refused() {
    for (message, reason) in [
        ("pods \"m\" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=1, limited: cpu=1", Reason::QuotaExceeded),
        ("pods \"m\" is forbidden: violates PodSecurity \"restricted:latest\"", Reason::AdmissionDenied),
        ("admission webhook \"x\" denied the request: no", Reason::AdmissionDenied),
        ("pods \"m\" is forbidden: User cannot create", Reason::Forbidden),
        (
            "pods \"m\" is forbidden: error looking up service account n/reader: serviceaccount \"reader\" not found",
            Reason::InvalidSpec,
        ),
        ("pods \"m\" is forbidden: no PriorityClass with name high was found", Reason::InvalidSpec),
    ] {
        let failed = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
        let seen = revision(&deployment(1, failed.clone()), &[], |_| None, now());
        assert_eq!(seen.failure.unwrap().reason, reason, "{message}");
        let served = revision(&deployment(1, failed), &[&ready()], |_| None, now());
        assert_eq!(served.failure, None, "a refusal that is over");
    }
}

#[test]
fn a_deadline_is_the_reason_where_nothing_else_is() {
    let late = || json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastTransitionTime": EARLIER}]);
    let slow = container(json!({"running": {"startedAt": "2026-01-01T00:09:59Z"}}), json!({}));
    let failure = revision(&deployment(1, late()), &[&slow], |_| None, now()).failure.unwrap();
    assert_eq!(failure.reason, Reason::ProgressDeadlineExceeded);
    assert!(
        failure.message.contains("rollout.progressDeadline (600s): pod m-1 starts; raise the deadline"),
        "{}",
        failure.message
    );
    let crash = container(waiting("CrashLoopBackOff", ""), terminated(137, "OOMKilled", ""));
    assert_eq!(revision(&deployment(1, late()), &[&crash], |_| None, now()).failure.unwrap().reason, Reason::OutOfMemory);
}

#[test]
fn a_revision_that_was_complete_once_has_served() {
    let complete = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
    assert!(revision(&deployment(1, complete), &[], |_| None, now()).served);
    assert!(!revision(&deployment(1, json!([])), &[], |_| None, now()).served);
}

fn started(name: &str, ready: &str, restarts: i32) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "creationTimestamp": EARLIER},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
                {"type": "Ready", "status": "True", "lastTransitionTime": ready},
            ],
            "containerStatuses": [{
                "name": "server", "image": "i", "imageID": "", "ready": true, "restartCount": restarts,
                "state": {"running": {"startedAt": "2026-01-01T00:00:04Z"}},
            }],
        },
    }))
    .unwrap()
}

#[test]
fn the_newest_start_is_told_once() {
    let pods =
        [started("a", "2026-01-01T00:00:09Z", 0), started("b", "2026-01-01T00:00:07Z", 0), pod(json!({"phase": "Pending"}))];
    let newest = newest_start(&pods, None).unwrap();
    assert_eq!(newest.pod.metadata.name.as_deref(), Some("a"));
    let told = |start: ColdStart| ModelDeploymentStatus { cold_start: Some(start), ..ModelDeploymentStatus::default() };
    let status = told(cold_start(newest, None));
    assert!(newest_start(&pods, Some(&status)).is_none());
    let only_older = &pods[1..];
    assert!(newest_start(only_older, Some(&status)).is_none(), "the newest went, and an older one is no news");
    let again = [started("a", "2026-01-01T00:00:30Z", 0)];
    assert!(newest_start(&again, Some(&status)).is_none(), "it was not ready for a while");
    let another = [started("c", "2026-01-01T00:00:30Z", 0)];
    assert!(newest_start(&another, Some(&status)).is_some());
}

#[test]
fn a_start_is_its_phases() {
    let digits = "0123456789abcdef".repeat(4);
    let said: Loading = serde_json::from_value(json!({"state": "Ready", "models": [{"name": "m", "version": 1, "state": "Ready",
        "digest": digits, "seconds": {"downloading": 1.5, "loading": 0.25, "warming": 0.0104}}]}))
    .unwrap();
    let pod = started("a", "2026-01-01T00:00:06Z", 0);
    let start = cold_start(newest_start(std::slice::from_ref(&pod), None).unwrap(), Some(&said));
    let shown = serde_json::to_value(&start).unwrap();
    assert_eq!(
        shown,
        json!({"pod": "a", "at": "2026-01-01T00:00:06Z", "total": "6s", "scheduling": "1s", "pulling": "3s", "downloading": "1.5s",
            "loading": "250ms", "warming": "10ms"})
    );
    assert_eq!(serde_json::from_value::<ColdStart>(shown).unwrap(), start, "what is read back is no change");
    assert_eq!(digest(&said), Some(digits));
    let restarted = started("a", "2026-01-01T00:00:06Z", 1);
    let start = cold_start(newest_start(std::slice::from_ref(&restarted), None).unwrap(), None);
    assert_eq!((start.pulling, start.downloading), (None, None), "what is not known is not told");
    let liar: Loading =
        serde_json::from_value(json!({"models": [{"digest": "../../etc", "seconds": {"downloading": 1e300, "loading": -1.0,
        "warming": 0.5}}]}))
        .unwrap();
    let start = cold_start(newest_start(std::slice::from_ref(&pod), None).unwrap(), Some(&liar));
    assert_eq!(
        (start.downloading, start.loading, start.warming),
        (None, None, Some(std::time::Duration::from_millis(500).into()))
    );
    assert_eq!(digest(&liar), None);
}
