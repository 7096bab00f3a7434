//! `--server-upgrade=Rolling`: revisions that run get the servers of this release, a few at a time. One whose new servers do not
//! become ready keeps its place, so a release that does not serve stops after these few.

use std::collections::HashSet;
use std::time::Duration;

use kube::runtime::reflector::{ObjectRef, Store};
use modelyard_core::release::ServerUpgrade;
use parking_lot::Mutex;

use super::kept::Kept;

/// The share of all ModelDeployments whose servers are replaced at once: one of so many, and at least one.
const SHARE: usize = 20;

/// Who has to wait asks again after this.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// Who gets new servers now.
pub(super) struct Upgrades {
    when: ServerUpgrade,
    under_way: Mutex<HashSet<ObjectRef<Kept>>>,
}

/// What one deployment may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its servers stay as they are.
    Never,
    /// It is its turn.
    Now,
    /// Others come first.
    Later,
}

impl Upgrades {
    pub(super) fn new(when: ServerUpgrade) -> Self {
        Self { when, under_way: Mutex::default() }
    }

    /// Whether a deployment whose servers are of another release may have new ones. `serves`: all its replicas do. `all` are the
    /// deployments that there are.
    pub(super) fn turn(&self, one: &ObjectRef<Kept>, serves: bool, all: &Store<Kept>) -> Turn {
        if self.when == ServerUpgrade::OnChange {
            return Turn::Never;
        }
        let mut under_way = self.under_way.lock();
        // What does not serve as it should anyway waits for nobody, and keeps nobody waiting.
        if under_way.contains(one) || !serves {
            return Turn::Now;
        }
        under_way.retain(|other| all.get(other).is_some());
        if under_way.len() >= (all.len() / SHARE).max(1) {
            return Turn::Later;
        }
        under_way.insert(one.clone());
        Turn::Now
    }

    /// A deployment has its servers, or is not to have them any more.
    pub(super) fn ended(&self, one: &ObjectRef<Kept>) {
        self.under_way.lock().remove(one);
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::{reflector, watcher};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_few_at_a_time_and_a_bad_release_stops_there() {
        let (store, mut writer) = reflector::store();
        let one = |name: &str| ObjectRef::<Kept>::new(name).within("n");
        let object = |name: &str| -> Kept {
            let object = json!({"apiVersion": "modelyard.dev/v1alpha1", "kind": "ModelDeployment",
                "metadata": {"name": name, "namespace": "n"}, "spec": {"model": {"uri": "file:m.onnx"}}});
            serde_json::from_value(object).unwrap()
        };
        for number in 0..41 {
            writer.apply_watcher_event(&watcher::Event::Apply(object(&number.to_string())));
        }
        let upgrades = Upgrades::new(ServerUpgrade::Rolling);
        let turns: Vec<Turn> = (0..40).map(|number| upgrades.turn(&one(&number.to_string()), true, &store)).collect();
        assert_eq!((turns[0], turns[1]), (Turn::Now, Turn::Now));
        assert!(turns[2..].iter().all(|turn| *turn == Turn::Later));
        assert_eq!(upgrades.turn(&one("0"), false, &store), Turn::Now, "who has begun goes on");
        assert_eq!(upgrades.turn(&one("5"), true, &store), Turn::Later, "and keeps its place until it serves");
        assert_eq!(upgrades.turn(&one("6"), false, &store), Turn::Now, "what does not serve has nothing to lose");
        assert_eq!(upgrades.turn(&one("5"), true, &store), Turn::Later);
        upgrades.ended(&one("0"));
        assert_eq!(upgrades.turn(&one("5"), true, &store), Turn::Now);
        writer.apply_watcher_event(&watcher::Event::Delete(object("1")));
        assert_eq!(upgrades.turn(&one("7"), true, &store), Turn::Now, "who is gone leaves its place");

        let quiet = Upgrades::new(ServerUpgrade::OnChange);
        assert_eq!(quiet.turn(&one("0"), true, &store), Turn::Never);
    }
}
