//! What was written and has not come back yet: a watch tells of a write a moment after it, and a reconcile in that moment must not take
//! the status of before for the newest, nor write it again.

use std::collections::HashMap;

use kube::runtime::reflector::ObjectRef;
use modelyard_core::api::ModelDeploymentStatus;
use parking_lot::Mutex;

use super::kept::Kept;

/// The newest status of objects of which the store has an older one.
#[derive(Default)]
pub(super) struct Written(Mutex<HashMap<ObjectRef<Kept>, Newer>>);

/// A status, and the version of its object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Newest {
    /// The object's resource version once it was written.
    pub(super) version: String,
    /// What was written.
    pub(super) status: ModelDeploymentStatus,
}

struct Newer {
    /// The versions that it was written over.
    over: Vec<String>,
    newest: Newest,
}

impl Written {
    /// What was written over the version that the store has, or over what was. None: the store is not behind.
    pub(super) fn newest(&self, object: &ObjectRef<Kept>, stored: &str) -> Option<Newest> {
        let mut written = self.0.lock();
        let newer = written.get(object)?;
        if newer.over.iter().any(|version| version == stored) {
            return Some(newer.newest.clone());
        }
        written.remove(object);
        None
    }

    /// `newest` was written over this version.
    pub(super) fn keep(&self, object: ObjectRef<Kept>, over: String, newest: Newest) {
        let mut written = self.0.lock();
        let mut versions =
            written.remove(&object).filter(|before| before.newest.version == over).map_or_else(Vec::new, |one| one.over);
        // A write that changed nothing is over the version that it left.
        if !versions.contains(&over) {
            versions.push(over);
        }
        written.insert(object, Newer { over: versions, newest });
    }

    /// The object is gone.
    pub(super) fn forget(&self, object: &ObjectRef<Kept>) {
        self.0.lock().remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(version: &str, replicas: i32) -> Newest {
        Newest { version: version.to_owned(), status: ModelDeploymentStatus { replicas, ..ModelDeploymentStatus::default() } }
    }

    #[test]
    fn what_was_written_is_the_newest_until_the_store_has_it() {
        let (written, object) = (Written::default(), ObjectRef::new("m").within("n"));
        assert_eq!(written.newest(&object, "1"), None);
        written.keep(object.clone(), "1".to_owned(), newest("2", 1));
        assert_eq!(written.newest(&object, "1"), Some(newest("2", 1)));
        written.keep(object.clone(), "2".to_owned(), newest("3", 2));
        for behind in ["1", "2"] {
            assert_eq!(written.newest(&object, behind), Some(newest("3", 2)), "the store is at {behind}");
        }
        assert_eq!(written.newest(&object, "3"), None);
        assert!(written.0.lock().is_empty(), "what has come back is not kept");
    }

    #[test]
    fn what_somebody_else_wrote_since_counts() {
        let (written, object) = (Written::default(), ObjectRef::new("m").within("n"));
        written.keep(object.clone(), "1".to_owned(), newest("2", 1));
        written.keep(object.clone(), "5".to_owned(), newest("6", 2));
        assert_eq!(written.newest(&object, "5"), Some(newest("6", 2)));
        assert_eq!(written.newest(&object, "1"), None, "it is from another time");
    }

    /// A definition of the kind that lacks a field takes the status without it, and the object is as it was.
    #[test]
    fn a_write_that_changes_nothing_is_not_made_again() {
        let (written, object) = (Written::default(), ObjectRef::new("m").within("n"));
        for replicas in 1..4 {
            written.keep(object.clone(), "1".to_owned(), newest("1", replicas));
            assert_eq!(written.newest(&object, "1"), Some(newest("1", replicas)));
        }
        assert_eq!(written.0.lock()[&object].over, ["1"], "a version is remembered once");
    }
}
