//! What one pod says: it serves, it is on its way, or it failed and why.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition};
use serde::Deserialize;

use super::of_pod;
use crate::api::{Failure, Reason};
use crate::pins::Pin;

/// A server that has run this long and answers nothing is in trouble.
const SILENCE: SignedDuration = SignedDuration::from_secs(30);

/// The kubelet ends a server that has not answered its liveness probe six times, ten seconds apart, so none that ran for less than this.
const PROBED: SignedDuration = SignedDuration::from_secs(50);

/// What a pod does.
#[derive(Clone, Debug, PartialEq)]
pub enum PodState {
    /// It serves.
    Ready,
    /// It was told to go.
    Leaving,
    /// It is on its way: what it does, in words.
    UnderWay(Reason, String),
    /// No machine has room for it, since then.
    Unschedulable(Timestamp, Failure),
    /// It does not serve, and will be tried again.
    Failed(Failure),
    /// It ended for good; another takes its place.
    Gone(Failure),
}

/// What a server says of itself on `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Loading {
    /// `Downloading`, `Loading`, `Warming`, `Failed`, `Draining`.
    pub state: String,
    /// Bytes that have come.
    pub bytes: u64,
    /// Bytes that there are, where the store says.
    pub total_bytes: Option<u64>,
    /// Its models.
    pub models: Vec<Loaded>,
    /// Which configuration it follows, where it follows one.
    pub config: Option<Followed>,
}

/// Which configuration a server follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Followed {
    /// The SHA-256 of its text.
    pub sha256: String,
    /// Why it refuses the one that there is now.
    pub refused: Option<String>,
}

/// What a server says of one model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// `Downloading`, `Loading`, `Warming`, `Ready`, `Standby`, `Unloading`, `Unloaded`, `Failed`.
    pub state: String,
    /// SHA-256 of what was loaded, once it was.
    pub digest: Option<String>,
    /// What loading took, once it is ready.
    pub seconds: Option<Seconds>,
    /// What its name led to, once it was loaded.
    pub pin: Option<Pin>,
    /// Why it failed, if it did.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// Whether another one is on its way to take its place.
    pub changing: bool,
    /// Why what was to take its place does not.
    pub refused: Option<Box<Refused>>,
}

/// Why a change of a model is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// The class.
    pub reason: String,
    /// What happened, and what to do.
    pub message: String,
}

/// What the phases of loading a model took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Seconds {
    /// Until its bytes had come.
    pub downloading: f64,
    /// Until the engine had read them.
    pub loading: f64,
    /// Until it had proved itself.
    pub warming: f64,
}

impl Seconds {
    /// All together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.downloading + self.loading + self.warming
    }
}

/// The termination message of a server that could not serve.
#[derive(Deserialize)]
struct LastWords {
    reason: Reason,
    message: String,
}

/// What a pod does. `loading` is what its server says, where it could be asked.
#[must_use]
pub fn pod_state(pod: &Pod, loading: Option<&Loading>, now: Timestamp) -> PodState {
    if pod.metadata.deletion_timestamp.is_some() {
        return PodState::Leaving;
    }
    let status = pod.status.as_ref();
    // One whose servers ended well when its node sent it away has succeeded, as Kubernetes sees it.
    if let Some("Failed" | "Succeeded") = status.and_then(|status| status.phase.as_deref()) {
        return PodState::Gone(ended(pod, now));
    }
    if condition(pod, "Ready").is_some_and(|one| one.status == "True") {
        return PodState::Ready;
    }
    if let Some(unplaced) = condition(pod, "PodScheduled").filter(|one| one.status == "False") {
        return unscheduled(pod, unplaced, now);
    }
    let container = status.and_then(|status| status.container_statuses.iter().flatten().next());
    let Some(container) = container else {
        return PodState::UnderWay(Reason::Scheduling, format!("pod {} waits for its machine", name(pod)));
    };
    let state = container.state.as_ref();
    if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
        return waits(pod, container, waiting, now);
    }
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        return PodState::Failed(exited(pod, terminated, now));
    }
    // It ended before and starts again: why it ended stays told until it serves, or gets on.
    if let Some(before) = last(container)
        && loading.is_none_or(|loading| loading.state != "Downloading" || loading.bytes == 0)
    {
        return PodState::Failed(exited(pod, before, now));
    }
    let since = state.and_then(|state| state.running.as_ref()?.started_at.as_ref()).map_or(now, |time| time.0);
    starts(pod, loading, since, now)
}

fn unscheduled(pod: &Pod, unplaced: &PodCondition, now: Timestamp) -> PodState {
    let since = unplaced.last_transition_time.as_ref().map_or(now, |time| time.0);
    let said = unplaced.message.as_deref().unwrap_or("the scheduler says nothing");
    if unplaced.reason.as_deref() == Some("SchedulingGated") {
        return PodState::UnderWay(Reason::Scheduling, format!("pod {} is held back by a scheduling gate", name(pod)));
    }
    if said.contains("persistentvolumeclaim") && said.contains("not found") {
        let message = format!("pod {}: {said}; create the claim that cache.persistentVolumeClaim or a pvc: uri names", name(pod));
        return PodState::Failed(of_pod(pod, Reason::ClaimNotFound, message, since));
    }
    let what = if said.contains("unbound immediate PersistentVolumeClaims") {
        "give the claim that cache.persistentVolumeClaim or a pvc: uri names a volume, or a StorageClass that makes one"
    } else {
        "lower resources.requests, or add a node"
    };
    let message = format!("pod {} fits on no node: {said}; {what}", name(pod));
    PodState::Unschedulable(since, of_pod(pod, Reason::Unschedulable, message, since))
}

/// A container that is not running, and has perhaps run before.
fn waits(pod: &Pod, container: &ContainerStatus, waiting: &ContainerStateWaiting, now: Timestamp) -> PodState {
    let (why, said) = (waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref().unwrap_or_default());
    let image = &container.image;
    match why {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
            let message = format!(
                "pod {}: the image {image} cannot be had: {said}; check its name, and the registry's credentials (pod.imagePullSecrets)",
                name(pod)
            );
            PodState::Failed(of_pod(pod, Reason::ImagePullFailed, message, now))
        }
        "CrashLoopBackOff" => PodState::Failed(match last(container) {
            Some(terminated) => exited(pod, terminated, now),
            None => of_pod(pod, Reason::CrashLooping, format!("pod {} ends again and again: {said}", name(pod)), now),
        }),
        "CreateContainerConfigError" if said.contains("secret") && said.contains("not found") => {
            PodState::Failed(of_pod(pod, Reason::SecretNotFound, format!("pod {}: {said}; create it", name(pod)), now))
        }
        "CreateContainerConfigError" if said.contains("in Secret") => {
            let message = format!("pod {}: {said}; add the key to the Secret", name(pod));
            PodState::Failed(of_pod(pod, Reason::SecretNotFound, message, now))
        }
        "CreateContainerConfigError" => {
            let message = format!("pod {}: {said}; create it, or mend spec.pod.env", name(pod));
            PodState::Failed(of_pod(pod, Reason::InvalidSpec, message, now))
        }
        "CreateContainerError" | "RunContainerError" => {
            let message = format!("pod {}: its container cannot be made: {said}", name(pod));
            PodState::Failed(of_pod(pod, Reason::CrashLooping, message, now))
        }
        // The kubelet tries once more: what happened before says more than that.
        _ => match last(container) {
            Some(terminated) => PodState::Failed(exited(pod, terminated, now)),
            // Before its image is asked for, a pod gets its volumes and its network.
            None if condition(pod, "PodReadyToStartContainers").is_some_and(|one| one.status == "False") => {
                let message = format!("pod {} has its node, which makes its volumes and its network", name(pod));
                PodState::UnderWay(Reason::Scheduling, message)
            }
            None => PodState::UnderWay(Reason::PullingImage, format!("pod {} gets its image {image}", name(pod))),
        },
    }
}

fn last(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.last_state.as_ref()?.terminated.as_ref()
}

/// Why a server ended: by its own last words, by the kernel's, or by its exit code.
fn exited(pod: &Pod, terminated: &ContainerStateTerminated, now: Timestamp) -> Failure {
    let at = terminated.finished_at.as_ref().map_or(now, |time| time.0);
    let code = terminated.exit_code;
    let words = terminated.message.as_deref().and_then(|text| serde_json::from_str::<LastWords>(text).ok());
    let (reason, message) = match words {
        Some(LastWords { reason, message }) => (reason, message),
        None if terminated.reason.as_deref() == Some("OOMKilled") => (
            Reason::OutOfMemory,
            "the kernel ended it for using more memory than resources.limits.memory; raise the limit".to_owned(),
        ),
        None if ended_from_outside(terminated) => (
            Reason::NotResponding,
            format!(
                "the server was ended from outside (exit code {code}): the kubelet does that to one that answers no probe for a minute; see its log"
            ),
        ),
        None => {
            let said = terminated.message.as_deref().filter(|text| !text.is_empty());
            let said = said.map_or_else(String::new, |text| format!(": {text}"));
            (by_code(code), format!("the server ended with exit code {code}{said}; see its log"))
        }
    };
    Failure { exit_code: Some(code), ..of_pod(pod, reason, format!("pod {}: {message}", name(pod)), at) }
}

/// Whether somebody ended it after so long that the liveness probe may have been behind it. By itself no server ends well.
fn ended_from_outside(terminated: &ContainerStateTerminated) -> bool {
    let (Some(begun), Some(ended)) = (&terminated.started_at, &terminated.finished_at) else { return false };
    matches!(terminated.exit_code, 0 | 137 | 143) && ended.0.duration_since(begun.0) >= PROBED
}

/// The class of an exit code (sysexits.h).
const fn by_code(code: i32) -> Reason {
    match code {
        64 => Reason::InvalidSpec,
        65 => Reason::ModelInvalid,
        66 => Reason::ModelNotFound,
        69 => Reason::StoreUnavailable,
        71 => Reason::OutOfMemory,
        77 => Reason::ModelUnauthorized,
        _ => Reason::CrashLooping,
    }
}

/// A pod that ended for good.
fn ended(pod: &Pod, now: Timestamp) -> Failure {
    let status = pod.status.as_ref();
    let said = status.and_then(|status| status.message.as_deref()).unwrap_or("no message");
    let at = condition(pod, "DisruptionTarget").and_then(|one| one.last_transition_time.as_ref()).map_or(now, |time| time.0);
    match status.and_then(|status| status.reason.as_deref()) {
        // Its containers are started again for ever, so only its machine ends a pod: Evicted, NodeShutdown, OutOfcpu and others.
        Some(why) => {
            let what = if said.contains("EmptyDir volume") { "; raise cache.emptyDir.sizeLimit" } else { "" };
            of_pod(pod, Reason::Evicted, format!("pod {} was sent away ({why}): {said}{what}", name(pod)), at)
        }
        None => {
            let message = format!("pod {0} was ended by its node; its events say why (kubectl describe pod {0})", name(pod));
            of_pod(pod, Reason::Evicted, message, at)
        }
    }
}

/// A server that runs and is not ready.
fn starts(pod: &Pod, loading: Option<&Loading>, since: Timestamp, now: Timestamp) -> PodState {
    let Some(loading) = loading else {
        if now.duration_since(since) < SILENCE {
            return PodState::UnderWay(Reason::Loading, format!("pod {} starts", name(pod)));
        }
        let message = format!("pod {} runs and does not answer on its admin port; see its log", name(pod));
        return PodState::Failed(of_pod(pod, Reason::NotResponding, message, since));
    };
    match loading.state.as_str() {
        "Downloading" => {
            let of = loading
                .total_bytes
                .filter(|total| *total > 0)
                .map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
            let message = format!("pod {} has fetched {}{of} of its model", name(pod), megabytes(loading.bytes));
            PodState::UnderWay(Reason::Downloading, message)
        }
        "Draining" => PodState::UnderWay(Reason::Draining, format!("pod {} finishes what it has", name(pod))),
        _ => PodState::UnderWay(Reason::Loading, format!("pod {} reads and prepares its model", name(pod))),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

pub(super) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|one| one.type_ == kind)
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}
