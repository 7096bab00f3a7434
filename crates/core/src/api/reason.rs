//! Why things are as they are: one name for conditions, events and metric labels alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the reasons once: the variant, its name, its class and its documentation.
macro_rules! reasons {
    ($(#[doc = $doc:literal] $class:ident $name:ident,)*) => {
        /// Why something is as it is. Public API: names never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Reason { $(#[doc = $doc] $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in conditions, events and metric labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it means, as one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc.trim_ascii(),)* }
            }

            /// Who is to act.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

/// Who is to act on a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nobody: all is well.
    Well,
    /// Nobody: it is under way.
    UnderWay,
    /// The user: it waits for a change.
    User,
    /// The world: it is retried with a back-off.
    World,
}

reasons! {
    /// It answers.
    Well Serving,
    /// No replica is wanted; it can start.
    Well ScaledToZero,
    /// Watched and reported, not changed.
    Well Paused,
    /// A place for a replica is looked for.
    UnderWay Scheduling,
    /// The server's image is on its way.
    UnderWay PullingImage,
    /// The model is on its way.
    UnderWay Downloading,
    /// The model is being read and prepared.
    UnderWay Loading,
    /// A newer revision is taking over.
    UnderWay RollingOut,
    /// A step waits for a person.
    UnderWay AwaitingPromotion,
    /// A step waits for its figures.
    UnderWay Analysing,
    /// Replicas finish what they have.
    UnderWay Draining,
    /// The spec contradicts itself or a limit.
    User InvalidSpec,
    /// An object of that name is somebody else's.
    User NameConflict,
    /// A Secret that the spec names is missing.
    User SecretNotFound,
    /// A volume claim that the spec names is missing.
    User ClaimNotFound,
    /// There is nothing at the model's uri.
    User ModelNotFound,
    /// The store refuses the credentials.
    User ModelUnauthorized,
    /// The artefact's bytes are not those of the sum.
    User ChecksumMismatch,
    /// What the model's uri names is not what the revision serves.
    User ModelChanged,
    /// The model needs something that the engine lacks.
    User ModelUnsupported,
    /// The artefact is damaged, or is no model.
    User ModelInvalid,
    /// No machine has room.
    World Unschedulable,
    /// A quota is used up.
    World QuotaExceeded,
    /// The server's image cannot be had.
    World ImagePullFailed,
    /// The model's store does not answer.
    World StoreUnavailable,
    /// The kernel ended a replica for its memory.
    World OutOfMemory,
    /// A replica ends again and again.
    World CrashLooping,
    /// A replica runs and does not answer.
    World NotResponding,
    /// A machine sent a replica away.
    World Evicted,
    /// The new revision took too long.
    World ProgressDeadlineExceeded,
    /// The figures of a step were bad.
    World AnalysisFailed,
    /// The old revision was brought back.
    World RolledBack,
    /// An admission controller refused an object.
    World AdmissionDenied,
    /// The operator lacks a permission.
    World Forbidden,
}

impl Class {
    /// Who is to act, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Well => "all is well, nobody has to act",
            Self::UnderWay => "it is under way, nobody has to act",
            Self::User => "whoever wrote the spec, or what it names: it waits for a change",
            Self::World => "the cluster or the store: it is tried again by itself, with growing pauses",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_as_it_is_called() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert_eq!(Reason::ALL.len(), 34);
        assert_eq!(Reason::ChecksumMismatch.class(), Class::User);
    }
}
