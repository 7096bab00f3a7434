//! How a new revision takes over from the one that serves.

use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units;
use crate::plan::Capacity;

/// How a change of what is served is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How traffic goes over. `Rolling`: with the replicas, as they become ready.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether the new revision may take room beside the old one. `Surge`: new before old, never fewer ready than wanted.
    /// `Replace`: old out, new in, never more than wanted. `Auto`: surge, and replace once a new replica has found no place for 30 s.
    #[serde(default)]
    pub capacity: Capacity,
    /// How long a revision may go without progress before that is reported as ProgressDeadlineExceeded. The old one goes on serving.
    #[serde(default = "progress_deadline")]
    #[schemars(schema_with = "units::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("must be 1s or more"))]
    pub progress_deadline: Duration,
    /// Retired revisions that are kept, to go back to without a start.
    #[serde(default = "revision_history_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: i32,
}

/// How traffic goes from one revision to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    /// With the replicas, as they become ready.
    #[default]
    Rolling,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            capacity: Capacity::default(),
            progress_deadline: progress_deadline(),
            revision_history_limit: revision_history_limit(),
        }
    }
}

fn progress_deadline() -> Duration {
    std::time::Duration::from_secs(600).into()
}

const fn revision_history_limit() -> i32 {
    3
}
