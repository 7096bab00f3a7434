//! What is behind each reason, and how to get rid of it: the pages of docs/reasons and `modelyard explain reason` are made of this.
//! [`Reason::advice`] is the short form, for a status.

use super::Reason;

/// The long form of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// When it is told, and what goes on meanwhile.
    pub when: &'static str,
    /// What usually is behind it, the likeliest first.
    pub causes: &'static [&'static str],
    /// What to do, in this order. Commands stand between backticks; NAME is the ModelDeployment.
    pub remedies: &'static [&'static str],
}

/// Where all is well there is nothing behind it.
const fn well(when: &'static str, remedies: &'static [&'static str]) -> Page {
    Page { when, causes: &[], remedies }
}

const LOGS: &str = "Read the log of the pods: `modelyard logs NAME --previous`, of those that run `modelyard logs NAME`.";
const STATUS: &str = "See which revision and which pod it is: `modelyard status NAME`.";
const RESERVED: &str = "Reserved for canaries and shadows: no operator of this release says it.";
const GO_BACK: &str = "To go back meanwhile: `modelyard rollback NAME`, or apply the earlier file.";

impl Reason {
    /// The long form.
    #[must_use]
    pub const fn page(self) -> Page {
        match self {
            Self::Serving => well(
                "Replicas answer, and as condition `Ready` all of the newest revision do.",
                &["Nothing. Send a request: `modelyard predict MODEL --random --cluster=NAME`."],
            ),
            Self::ScaledToZero => well(
                "`replicas` is 0: no pod runs, the Service stays, and requests are refused.",
                &["Start it: `kubectl scale mdep/NAME --replicas 1`."],
            ),
            Self::Paused => well(
                "`paused` is true and a change of the spec waits. What runs goes on; nothing is started, stopped or put back.",
                &["See what waits: `modelyard diff FILE`.", "Set `paused: false`, or remove the field."],
            ),
            Self::Scheduling => Page {
                when: "Pods are made, or wait for a node, or the node for their volumes and network. If the scheduler finds none, it becomes Unschedulable at once.",
                causes: &[
                    "The pods have just been asked for.",
                    "A scheduling gate of another controller, such as a quota queue, holds them.",
                ],
                remedies: &["Wait. If it lasts: `kubectl get events --field-selector reason=FailedScheduling`."],
            },
            Self::PullingImage => Page {
                when: "The node fetches the server's image. If it cannot, it becomes ImagePullFailed.",
                causes: &["The node runs a server of this version for the first time."],
                remedies: &[
                    "Wait; the image is about 20 MB.",
                    "If it takes minutes, the registry is slow or far: use one nearby (the chart's `serverImage.repository`).",
                ],
            },
            Self::Downloading => Page {
                when: "The server fetches the model; the message counts its bytes. A download that stalls is tried again and goes on \
                       where it stopped.",
                causes: &[
                    "The model is large or the store slow.",
                    "The replica's cache does not have it: an emptyDir starts empty with each pod.",
                ],
                remedies: &[
                    "Wait.",
                    "To fetch it once for all replicas, keep it on a claim: `cache.persistentVolumeClaim` (examples/kubernetes/claim.yaml).",
                ],
            },
            Self::Loading => Page {
                when: "The server reads the model, prepares it and runs its sample, before it answers.",
                causes: &["A large model.", "Little CPU: preparing is the most that a server computes at once."],
                remedies: &["Wait.", "Give it more CPU (`resources.limits.cpu`) if it takes minutes."],
            },
            Self::RollingOut => Page {
                when: "A newer revision takes over; the older one answers until it does.",
                causes: &["The spec was changed in a field that shapes pods."],
                remedies: &["Watch it: `modelyard status NAME --watch`, or `modelyard wait NAME`.", GO_BACK],
            },
            Self::AwaitingPromotion => Page { when: RESERVED, causes: &[], remedies: &[] },
            Self::Analysing => Page { when: RESERVED, causes: &[], remedies: &[] },
            Self::Draining => Page {
                when: "Replicas that were told to stop finish their requests: `serving.drainDelay`, then what is in flight.",
                causes: &["A rollout, a smaller `replicas`, or a node that is emptied."],
                remedies: &["Wait: at most `drainDelay` + `requestTimeout` + 5 s."],
            },
            Self::InvalidSpec => Page {
                when: "The spec cannot be served. What served before goes on.",
                causes: &[
                    "The object was written while the cluster had another release's CustomResourceDefinition.",
                    "A server refused its settings (exit code 64), such as a log level in `pod.env` that is none.",
                    "A ServiceAccount, PriorityClass or ConfigMap that `pod` names is missing; the message says which.",
                    "An older operator reads a newer object.",
                ],
                remedies: &[
                    "Check the file without a cluster: `modelyard validate FILE`.",
                    "Bring the cluster's definition up to date: `modelyard crds --apply`, or upgrade the Helm release.",
                ],
            },
            Self::NameConflict => Page {
                when: "An object that the operator has to make exists and is not owned by this ModelDeployment. It is not touched.",
                causes: &[
                    "A Service of the name was there before, such as that of the system that you migrate from.",
                    "Two objects share a name over kinds: another controller makes Services of its own objects' names.",
                ],
                remedies: &[
                    "See whose it is: `kubectl get service,deployment,pdb,networkpolicy NAME -o yaml`.",
                    "Give the ModelDeployment another name, or delete the object if nobody needs it: the operator then makes its own.",
                ],
            },
            Self::SecretNotFound => Page {
                when: "The kubelet cannot start a pod, for a Secret that the spec names is missing, or lacks the key. The operator \
                       itself reads no Secrets.",
                causes: &[
                    "The Secret is in another namespace, or not created yet.",
                    "`model.secretRef` needs the key HTTP_AUTHORIZATION for http(s), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3, GOOGLE_APPLICATION_CREDENTIALS for gs, HF_TOKEN for hf, .dockerconfigjson for oci, and the Secret has others.",
                    "A name in `pod.env[].valueFrom` is mistyped.",
                ],
                remedies: &[
                    "Create it: `kubectl create secret generic store --from-literal=HTTP_AUTHORIZATION=\"Bearer ...\"`.",
                    "Nothing else is needed: the kubelet looks again by itself.",
                ],
            },
            Self::ClaimNotFound => Page {
                when: "The scheduler cannot place a pod, for the claim of `cache.persistentVolumeClaim`, or of a `pvc:` uri, is missing.",
                causes: &["The claim is in another namespace, not created yet, or its name is mistyped."],
                remedies: &[
                    "Create it (examples/kubernetes/claim.yaml), with access mode ReadWriteMany where there are several replicas.",
                    "Or correct `cache.persistentVolumeClaim.claimName`, or the claim in `model.uri`.",
                ],
            },
            Self::ModelNotFound => Page {
                when: "The store says that there is nothing at `model.uri`, or the path is not there. Older revisions go on serving.",
                causes: &[
                    "A typing mistake in the address, or a file that was moved.",
                    "A folder where a file is needed: an http store cannot be listed; name a .onnx file or an archive. Object stores and the Hub are listed.",
                    "`file:` on a cluster: the path starts in the server's container, not on your machine.",
                    "A private store that answers 404 to those who may not know.",
                ],
                remedies: &[
                    "Ask as the pods do: `kubectl run ask --rm -i --image=curlimages/curl --restart=Never -- -sI URI`.",
                    "Correct `model.uri` and apply again.",
                    GO_BACK,
                ],
            },
            Self::ModelUnauthorized => Page {
                when: "The store answers 401 or 403, or the file may not be read.",
                causes: &[
                    "No `model.secretRef`, and the store wants credentials.",
                    "The credentials have ended, or are for another host: they go to the host of the uri only, not where it redirects to.",
                    "HTTP_AUTHORIZATION holds a bare token, without `Bearer ` or `Basic ` before it.",
                    "The keys of an s3 store may not read the object, or not list the bucket; without that right S3 says 403 of an object that is not there.",
                ],
                remedies: &[
                    "Put the whole header value into the Secret: `kubectl create secret generic store --from-literal=HTTP_AUTHORIZATION=\"Bearer ...\" --dry-run=client -o yaml | kubectl apply -f -`.",
                    "Variables are read when a server starts, so start it anew: delete the pods that fail, or `modelyard restart NAME`.",
                ],
            },
            Self::ChecksumMismatch => Page {
                when: "The bytes that came are not those of `model.sha256`. They are thrown away, and no replica serves them.",
                causes: &[
                    "The artefact was replaced at the same address, and the spec was not told.",
                    "The sum is that of another file, such as of the .onnx in an archive instead of the archive's.",
                    "Somebody on the way changed it, or a proxy answers with a page of its own.",
                ],
                remedies: &[
                    "Fetch it and look: `curl -sL URI | sha256sum`.",
                    "If that is the artefact you want, write its sum into `model.sha256`; otherwise put the old one back.",
                ],
            },
            Self::ModelChanged => Page {
                when: "The uri names other bytes than the revision serves, and its store does not have those any more. A revision is held to \
                       what its first replica served; replicas that have it serve on, and one that starts would serve something else, so \
                       it does not serve.",
                causes: &[
                    "The object was replaced under the same key or path, in a store or a bucket that keeps no versions.",
                    "The version was deleted: by a lifecycle rule, a registry's garbage collection, or a branch whose history was rewritten.",
                    "Two replicas started while the object was being replaced, and this one got the other bytes.",
                ],
                remedies: &[
                    "To serve what is there now: `modelyard restart NAME`, which asks the store anew, or a new key or tag in `model.uri`.",
                    "To stay with what is served: put the artefact back that was there; the message names its sum.",
                    "Write a new key for each version, a tag's digest, or `sha256`; or let the bucket keep versions.",
                ],
            },
            Self::ModelUnsupported => Page {
                when: "The model is read, and needs what the engine lacks, or would answer wrongly; or batching is asked of a model \
                       whose first dimension is no batch. The message names nodes and reasons.",
                causes: &[
                    "An operator, or a combination of its attributes, that the engine does not run.",
                    "`serving.batching` with a fixed first dimension.",
                    "A newer opset than the engine knows.",
                ],
                remedies: &[
                    "See all that is wrong at once: `modelyard inspect model.onnx`.",
                    "Export the model with an older opset or without the operator; docs/models.md has a list.",
                    "Or remove `serving.batching`.",
                ],
            },
            Self::ModelInvalid => Page {
                when: "The artefact is no model, is damaged, or gives another answer to its own sample than the one written there.",
                causes: &[
                    "An upload that broke off, or a page of HTML (a log-in form) saved as .onnx.",
                    "An archive with several models, or with links that lead out of it.",
                    "Another framework's file: a pickle, a SavedModel, a TorchScript archive.",
                ],
                remedies: &[
                    "Look at it here: `curl -sLo model.onnx URI && modelyard inspect model.onnx`.",
                    "Export or upload it again.",
                ],
            },
            Self::Unschedulable => Page {
                when: "The scheduler finds no node; its words are in the message. With `rollout.capacity: Auto` a surge turns into \
                       a replacement after 30 s, so a rollout goes on on full nodes.",
                causes: &[
                    "No node has so much CPU or memory free.",
                    "`pod.nodeSelector`, `pod.affinity` or taints leave no node.",
                    "A claim that only another node, or another zone, can mount, or that has no volume yet.",
                ],
                remedies: &[
                    "Read the message: it counts nodes by what they lack.",
                    "Lower `resources.requests`, loosen `pod`, or add nodes (a cluster autoscaler does that by itself).",
                ],
            },
            Self::QuotaExceeded => Page {
                when: "A ResourceQuota of the namespace refuses a pod. It is tried again.",
                causes: &[
                    "Replicas, their requests or limits are more than the namespace may have; a rollout surges by up to a quarter.",
                    "A quota on limits demands `resources.limits`.",
                ],
                remedies: &[
                    "See how much is left: `kubectl describe quota`, or `modelyard doctor`.",
                    "Raise it, lower `replicas` or `resources`, or set `rollout.capacity: Replace`, which needs no room beyond the replicas.",
                ],
            },
            Self::ImagePullFailed => Page {
                when: "The kubelet cannot get the server's image. It is tried again.",
                causes: &[
                    "The image is not in the registry that the operator was installed with, or `serverImage` is mistyped.",
                    "The registry wants credentials.",
                    "The node has no way to the registry.",
                ],
                remedies: &[
                    "Read what the kubelet says: `kubectl describe pod POD`.",
                    "Name a Secret of type kubernetes.io/dockerconfigjson in `pod.imagePullSecrets`.",
                    "For all deployments: the chart's `serverImage`.",
                ],
            },
            Self::StoreUnavailable => Page {
                when: "The store does not answer, breaks off, or answers 5xx or 429; or the disk that the model goes to is full. It \
                       is tried again, with growing pauses, and a download goes on where it stopped. Replicas that have the model go on \
                       serving.",
                causes: &[
                    "The host's name has no address in the cluster, or a NetworkPolicy lets nothing out.",
                    "A proxy is needed: `pod.env` with HTTPS_PROXY.",
                    "The certificate is of an authority that the server's image does not know: it needs an image that does (`serverImage`).",
                    "`cache.emptyDir.sizeLimit` or the claim is too small.",
                ],
                remedies: &[
                    "Ask as the pods do: `kubectl run ask --rm -i --image=curlimages/curl --restart=Never -- -sI URI`.",
                    "Keep artefacts on a claim, so that a store that is down stops no replica: `cache.persistentVolumeClaim`.",
                ],
            },
            Self::OutOfMemory => Page {
                when: "The kernel ended a server that used more than `resources.limits.memory`, or the process that tries a model first \
                       needed more than what is left of it (exit code 71). The kubelet starts it again.",
                causes: &[
                    "The limit is below the model's size and what a run needs; a load needs up to twice the model for a moment.",
                    "Large batches or large requests: `serving.batching.maxSize`, `serving.maxRequestBytes`.",
                    "Several models in one server.",
                ],
                remedies: &[
                    "See what the others use: `kubectl top pods -l modelyard.dev/deployment=NAME`.",
                    "Raise `resources.limits.memory`, and `resources.requests.memory` with it.",
                    "Serve fewer models in one server, or smaller batches.",
                ],
            },
            Self::CrashLooping => Page {
                when: "A server ends again and again with an exit code that says nothing of the model (70 and others).",
                causes: &[
                    "A fault of ours.",
                    "`serverImage` is another program, or for another architecture (`exec format error`).",
                    "The runtime cannot make the container: a volume, a RuntimeClass.",
                ],
                remedies: &[LOGS, "Report it with that log, if it is a fault of ours.", GO_BACK],
            },
            Self::NotResponding => Page {
                when: "A server has run for 30 s and does not answer on its admin port, or loading a model broke off.",
                causes: &[
                    "A NetworkPolicy keeps the operator from port 9090 of the pods.",
                    "The CPU limit is so low that the server gets nowhere; the kubelet ends it after a minute without an answer.",
                    "A fault of ours.",
                ],
                remedies: &[
                    LOGS,
                    "Let the operator's namespace reach port 9090 (docs/security.md).",
                    "Raise `resources.limits.cpu`.",
                ],
            },
            Self::Evicted => Page {
                when: "A node sent a pod away, or would not take it. Another takes its place.",
                causes: &[
                    "The node ran out of memory or disk, and the pod used more than it had requested.",
                    "The cache outgrew `cache.emptyDir.sizeLimit`.",
                    "A pod of a higher priority took the room, or the node was shut down.",
                ],
                remedies: &[
                    "Set `resources.requests.memory` to what the server uses; equal limits are evicted last.",
                    "Raise `cache.emptyDir.sizeLimit`, or use a claim.",
                    "Run 2 replicas or more, so that one that goes is no outage.",
                ],
            },
            Self::ProgressDeadlineExceeded => Page {
                when: "A revision made no progress for `rollout.progressDeadline`, and no pod says why; the message says what they \
                       do all the time. The older revision goes on serving; this one is still tried.",
                causes: &[
                    "A model that loads longer than the deadline.",
                    "Pods that wait for something outside: a volume, an init container that a webhook adds.",
                ],
                remedies: &[STATUS, "Raise `rollout.progressDeadline` if the model needs so long.", GO_BACK],
            },
            Self::AnalysisFailed => Page { when: RESERVED, causes: &[], remedies: &[] },
            Self::RolledBack => Page { when: RESERVED, causes: &[], remedies: &[] },
            Self::AdmissionDenied => Page {
                when: "A policy, a webhook or Pod Security refused an object that the operator makes; its words are in the message. It is \
                       tried again.",
                causes: &[
                    "A policy of the platform: allowed registries, required labels, limits.",
                    "`pod` asks for what the namespace's Pod Security level forbids. Without that, pods pass `restricted`.",
                    "A webhook that does not answer.",
                ],
                remedies: &[
                    "Change the spec to what the message wants: `pod.labels`, `pod.annotations`, `resources.limits`, `serverImage`.",
                    "Or have the policy changed by whoever set it.",
                ],
            },
            Self::Forbidden => Page {
                when: "The API server refuses what the operator asks. It is tried again.",
                causes: &[
                    "The operator's roles are those of another release.",
                    "It runs with `watchNamespaces`, and this namespace is not among them.",
                    "The namespace is being deleted.",
                ],
                remedies: &[
                    "Bring the roles up to date: `helm upgrade modelyard charts/modelyard`.",
                    "See what is missing: `modelyard doctor`, and the message, which names verb and resource.",
                ],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Class;

    #[test]
    fn every_trouble_has_causes_and_remedies() {
        for reason in Reason::ALL {
            let page = reason.page();
            let reserved = page.when == RESERVED;
            assert!(reserved || !page.remedies.is_empty(), "{reason}: no remedy");
            assert!(reserved || reason.class() == Class::Well || !page.causes.is_empty(), "{reason}: no cause");
            for text in page.causes.iter().chain(page.remedies).chain([&page.when]) {
                assert!(text.ends_with('.') && !text.contains('\n') && !text.contains("  "), "{reason}: {text}");
                assert_eq!(text.matches('`').count() % 2, 0, "{reason}: {text}");
            }
        }
    }

    #[test]
    fn a_meaning_is_one_sentence() {
        for reason in Reason::ALL {
            let meaning = reason.meaning();
            assert!(meaning.ends_with('.') && meaning.len() < 80 && meaning.trim() == meaning, "{reason}: {meaning:?}");
        }
    }
}
