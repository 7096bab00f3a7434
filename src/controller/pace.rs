//! How often a status is written while a deployment starts: each pod that moves on changes a count or a sentence, and a write for
//! each would be most of what the operator asks of an API server when many start at once.

use std::collections::HashMap;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use modelyard_core::api::{Class, ModelDeploymentStatus, Reason};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::kept::Kept;

/// Between two writes that tell nothing but details.
const DETAILS: Duration = Duration::from_secs(2);

/// When the status of what starts was written last.
#[derive(Default)]
pub(super) struct Pace {
    written: Mutex<HashMap<ObjectRef<Kept>, Instant>>,
}

impl Pace {
    /// Whether `now` may be written in place of `previous`; else how long it is to wait. Another verdict or failure never waits.
    pub(super) fn wait(
        &self,
        object: &ObjectRef<Kept>,
        previous: Option<&ModelDeploymentStatus>,
        now: &ModelDeploymentStatus,
    ) -> Option<Duration> {
        let mut written = self.written.lock();
        if !starts(now) {
            written.remove(object);
            return None;
        }
        if previous == Some(now) {
            return None;
        }
        if previous.is_some_and(|previous| differ_in_details(previous, now))
            && let Some(rest) = written.get(object).and_then(|at| DETAILS.checked_sub(at.elapsed()))
            && !rest.is_zero()
        {
            return Some(rest);
        }
        written.insert(object.clone(), Instant::now());
        None
    }

    /// The object is gone.
    pub(super) fn forget(&self, object: &ObjectRef<Kept>) {
        self.written.lock().remove(object);
    }
}

/// Whether it is on its way.
fn starts(status: &ModelDeploymentStatus) -> bool {
    let under_way = |reason: &str| Reason::ALL.iter().any(|one| one.as_str() == reason && one.class() == Class::UnderWay);
    status.conditions.iter().any(|one| one.type_ == "Ready" && under_way(&one.reason))
}

fn differ_in_details(one: &ModelDeploymentStatus, other: &ModelDeploymentStatus) -> bool {
    let verdicts = |status: &ModelDeploymentStatus| -> Vec<_> {
        let conditions = status.conditions.iter();
        conditions.map(|one| (one.type_.clone(), one.status.clone(), one.reason.clone())).collect()
    };
    one.observed_generation == other.observed_generation && one.failure == other.failure && verdicts(one) == verdicts(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(reason: &str, replicas: i32) -> ModelDeploymentStatus {
        let ready = json!({"type": "Ready", "status": "False", "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({"replicas": replicas, "readyReplicas": 0, "conditions": [ready]})).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn details_wait_and_verdicts_do_not() {
        let (pace, object) = (Pace::default(), ObjectRef::new("m").within("n"));
        let (none, one, two) = (status("Scheduling", 0), status("Scheduling", 1), status("Scheduling", 2));
        assert_eq!(pace.wait(&object, None, &none), None, "the first");
        assert_eq!(pace.wait(&object, Some(&none), &one), Some(DETAILS));
        tokio::time::advance(DETAILS / 2).await;
        assert_eq!(pace.wait(&object, Some(&none), &one), Some(DETAILS / 2));
        assert_eq!(pace.wait(&object, Some(&none), &status("Loading", 1)), None, "another reason");
        assert_eq!(pace.wait(&object, Some(&one), &two), Some(DETAILS));
        tokio::time::advance(DETAILS).await;
        assert_eq!(pace.wait(&object, Some(&one), &two), None);
        assert_eq!(pace.wait(&object, Some(&two), &status("Serving", 2)), None);
        assert!(pace.written.lock().is_empty(), "what does not start is not remembered");
    }
}
