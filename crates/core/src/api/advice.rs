//! What to do about each reason: one sentence, for whoever reads a status and did not write the operator.

use super::Reason;

impl Reason {
    /// What to do, as one sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Serving => "Nothing: send requests.",
            Self::ScaledToZero => "Set spec.replicas to 1 or more when it is to answer, such as by kubectl scale.",
            Self::Paused => "Remove the pause from the spec when the operator is to act again.",
            Self::Scheduling => "Wait: a node is being found for each replica.",
            Self::PullingImage => "Wait: nodes fetch the server's image the first time they run it.",
            Self::Downloading => "Wait: the model is on its way from its store.",
            Self::Loading => "Wait: the server reads and proves the model before it answers.",
            Self::RollingOut => "Wait: the old revision answers until the new one does.",
            Self::AwaitingPromotion => "Look at the figures of the new revision, then let it go on or put the old spec back.",
            Self::Analysing => "Wait: the figures of the new revision are being gathered.",
            Self::Draining => "Wait: replicas that were told to stop finish their requests first.",
            Self::InvalidSpec => "Mend the field that the message names; modelyard validate checks the file without a cluster.",
            Self::NameConflict => "Rename the ModelDeployment, or delete the object that has its name and is not its own.",
            Self::SecretNotFound => "Create the Secret that the message names in this namespace, or mend its name in the spec.",
            Self::ClaimNotFound => {
                "Create the PersistentVolumeClaim that the message names in this namespace, or mend its name in the spec."
            }
            Self::ModelNotFound => "Check spec.model.uri: there is nothing at that address, as the pods see it.",
            Self::ModelUnauthorized => "Give the store credentials that may read the model, or mend the ones it was given.",
            Self::ChecksumMismatch => {
                "Write the sum of the artefact as it is now into sha256, or put the artefact back that has this sum."
            }
            Self::ModelChanged => {
                "Run modelyard restart, or change the uri, to serve what is there now; or put the artefact back that was there."
            }
            Self::ModelUnsupported => {
                "Run modelyard inspect on the model's file: it names each operator that the engine lacks; export the model without them."
            }
            Self::ModelInvalid => {
                "Run modelyard inspect on the model's file: it is damaged or no ONNX model; export or upload it again."
            }
            Self::Unschedulable => "Lower spec.resources.requests, or add a node with that much room.",
            Self::QuotaExceeded => "Raise the namespace's ResourceQuota, or lower spec.replicas or spec.resources.",
            Self::ImagePullFailed => {
                "Check that nodes can reach the registry and that the operator's server image exists there (the chart's serverImage)."
            }
            Self::StoreUnavailable => {
                "Check that the host in spec.model.uri answers from inside the cluster; it is tried again until then."
            }
            Self::OutOfMemory => "Raise spec.resources.limits.memory, or serve fewer or smaller models in one server.",
            Self::CrashLooping => "Read why it ended with modelyard logs --previous; a bug of the server is worth a report.",
            Self::NotResponding => "Read what it does with modelyard logs; a model that loads for long needs more CPU.",
            Self::Evicted => {
                "Raise what the pod's events name, spec.resources.requests or spec.cache.emptyDir.sizeLimit, to what the server uses."
            }
            Self::ProgressDeadlineExceeded => {
                "Look at the revision's pods and their events: something keeps them from becoming ready."
            }
            Self::AnalysisFailed => "Compare the new model with the old one with modelyard evaluate before you try again.",
            Self::RolledBack => "The old revision serves; mend the spec, since applying the same again ends the same way.",
            Self::AdmissionDenied => "Change what the policy in the message objects to, or ask whoever set the policy.",
            Self::Forbidden => {
                "Give the operator's ServiceAccount the permission that the message names; the Helm chart's roles have all."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::api::Class;

    #[test]
    fn every_reason_has_one_sentence_of_its_own() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let advice = reason.advice();
            assert!(advice.len() > 15 && advice.len() < 150, "{reason}: {advice}");
            assert!(advice.ends_with('.') && advice.starts_with(char::is_uppercase), "{reason}: {advice}");
            assert!(!advice[..advice.len() - 1].contains(". "), "{reason}: more than one sentence: {advice}");
            assert!(seen.insert(advice), "{reason}: another reason says the same: {advice}");
        }
    }

    #[test]
    fn who_has_to_act_is_not_told_to_wait() {
        for reason in Reason::ALL {
            let waits = reason.advice().starts_with("Wait");
            assert!(!waits || reason.class() == Class::UnderWay, "{reason}: {}", reason.advice());
        }
    }
}
