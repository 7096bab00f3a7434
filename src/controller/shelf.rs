//! The objects of one kind, by the ModelDeployment that they belong to. As text: parsed, an object of Kubernetes takes many times
//! the room of what is read of it, and it is read only when something of its owner's has changed.

use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use modelyard_core::render::DEPLOYMENT_LABEL;
use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::kept::Kept;

/// Namespace and name of a ModelDeployment, as `namespace/name`.
type Owner = Arc<str>;

/// Reads.
pub(super) struct Shelf<K> {
    contents: Arc<RwLock<Contents>>,
    filled: watch::Receiver<bool>,
    kind: PhantomData<fn() -> K>,
}

/// Writes, as a watch goes on.
pub(super) struct Writer<K> {
    contents: Arc<RwLock<Contents>>,
    /// What a list has brought so far.
    listed: Contents,
    filled: watch::Sender<bool>,
    /// Takes out what nobody reads.
    slim: fn(&mut K),
}

#[derive(Default)]
struct Contents {
    /// Sorted by name.
    items: HashMap<Owner, Vec<Item>>,
    /// By `namespace/name` of the object itself.
    owners: HashMap<Box<str>, Owner>,
}

#[derive(PartialEq)]
struct Item {
    name: Box<str>,
    text: Box<str>,
}

/// A shelf whose objects go through `slim`.
pub(super) fn shelf<K>(slim: fn(&mut K)) -> (Shelf<K>, Writer<K>) {
    let contents = Arc::default();
    let (sender, filled) = watch::channel(false);
    let writer = Writer { contents: Arc::clone(&contents), listed: Contents::default(), filled: sender, slim };
    (Shelf { contents, filled, kind: PhantomData }, writer)
}

/// `namespace/name`.
pub(super) fn owner_key(owner: &ObjectRef<Kept>) -> String {
    key(owner.namespace.as_deref().unwrap_or_default(), &owner.name)
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn reference(owner: &str) -> ObjectRef<Kept> {
    let (namespace, name) = owner.split_once('/').unwrap_or_default();
    ObjectRef::new(name).within(namespace)
}

impl<K: DeserializeOwned> Shelf<K> {
    /// Everything that belongs to the owner.
    pub(super) fn of(&self, owner: &str) -> Vec<K> {
        let contents = self.contents.read();
        contents.items.get(owner).into_iter().flatten().filter_map(Item::parse).collect()
    }

    /// One of those, by its name.
    pub(super) fn get(&self, owner: &str, name: &str) -> Option<K> {
        self.contents.read().items.get(owner)?.iter().find(|item| *item.name == *name)?.parse()
    }

    /// Waits until the first list is complete. False: the watch is gone.
    pub(super) async fn is_filled(&self) -> bool {
        self.filled.clone().wait_for(|filled| *filled).await.is_ok()
    }
}

impl<K: Resource<DynamicType = ()> + Serialize> Writer<K> {
    /// Follows the watch; whose objects are others now.
    pub(super) fn follow(&mut self, event: Event<K>) -> Vec<ObjectRef<Kept>> {
        let touched = match event {
            Event::Init => {
                self.listed = Contents::default();
                BTreeSet::new()
            }
            Event::InitApply(object) => {
                self.listed.put(object, self.slim);
                BTreeSet::new()
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let touched = self.contents.write().replace(listed);
                self.filled.send_replace(true);
                touched
            }
            Event::Apply(object) => self.contents.write().put(object, self.slim),
            Event::Delete(object) => self.contents.write().take(&name_of(object.meta())),
        };
        touched.iter().map(|owner| reference(owner)).collect()
    }
}

impl Contents {
    /// Puts an object in its place; whose objects changed by it.
    fn put<K: Resource<DynamicType = ()> + Serialize>(&mut self, mut object: K, slim: fn(&mut K)) -> BTreeSet<Owner> {
        let own = name_of(object.meta());
        let Some(owner) = owner_of(object.meta()) else { return self.take(&own) };
        let name = object.meta().name.clone().unwrap_or_default();
        strip(object.meta_mut());
        slim(&mut object);
        let text = match serde_json::to_string(&object) {
            Ok(text) => text.into_boxed_str(),
            Err(error) => {
                tracing::error!(object = own, %error, "an object of the API server cannot be written as JSON; it counts as gone");
                return self.take(&own);
            }
        };
        let mut touched = match self.owners.get(own.as_str()) {
            Some(before) if **before != *owner => self.take(&own),
            _ => BTreeSet::new(),
        };
        let owner = self.items.get_key_value(owner.as_str()).map_or_else(|| Owner::from(owner), |(known, _)| Arc::clone(known));
        let items = self.items.entry(Arc::clone(&owner)).or_default();
        let item = Item { name: name.into(), text };
        match items.binary_search_by(|one| one.name.cmp(&item.name)) {
            Ok(at) if items[at] == item => return touched,
            Ok(at) => items[at] = item,
            Err(at) => {
                items.insert(at, item);
                self.owners.insert(own.into(), Arc::clone(&owner));
            }
        }
        touched.insert(owner);
        touched
    }

    /// Takes the object of that name away; whose it was.
    fn take(&mut self, own: &str) -> BTreeSet<Owner> {
        let Some(owner) = self.owners.remove(own) else { return BTreeSet::new() };
        let name = own.split_once('/').map_or(own, |(_, name)| name);
        if let Some(items) = self.items.get_mut(&owner) {
            items.retain(|item| *item.name != *name);
            if items.is_empty() {
                self.items.remove(&owner);
            }
        }
        [owner].into()
    }

    /// Another list in place of what was known; whose objects differ, those that are gone included.
    fn replace(&mut self, listed: Self) -> BTreeSet<Owner> {
        let before = std::mem::replace(self, listed);
        let all = before.items.keys().chain(self.items.keys());
        all.filter(|owner| before.items.get(*owner) != self.items.get(*owner)).cloned().collect()
    }
}

impl Item {
    fn parse<K: DeserializeOwned>(&self) -> Option<K> {
        match serde_json::from_str(&self.text) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::error!(object = %self.name, %error, "what was kept of an object does not parse; it counts as gone");
                None
            }
        }
    }
}

/// What changes without any meaning for us, or is long and read by nobody.
fn strip(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    metadata.resource_version = None;
}

fn name_of(metadata: &ObjectMeta) -> String {
    key(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// The ModelDeployment that an object of ours belongs to.
fn owner_of(metadata: &ObjectMeta) -> Option<String> {
    let name = metadata.labels.as_ref()?.get(DEPLOYMENT_LABEL)?;
    Some(key(metadata.namespace.as_deref()?, name))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;

    fn service(name: &str, owner: &str, port: u16, version: &str) -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "n", "labels": {DEPLOYMENT_LABEL: owner}, "resourceVersion": version},
            "spec": {"ports": [{"port": port}]},
        }))
        .unwrap()
    }

    fn names(touched: Vec<ObjectRef<Kept>>) -> Vec<String> {
        touched.iter().map(owner_key).collect()
    }

    fn ports(shelf: &Shelf<Service>, owner: &str) -> Vec<(String, i32)> {
        let port = |service: Service| (service.metadata.name.unwrap(), service.spec.unwrap().ports.unwrap()[0].port);
        shelf.of(owner).into_iter().map(port).collect()
    }

    fn filled() -> (Shelf<Service>, Writer<Service>) {
        let (shelf, mut writer) = shelf(|_: &mut Service| {});
        assert_eq!(names(writer.follow(Event::Init)), [""; 0]);
        for (name, owner) in [("b", "one"), ("a", "one"), ("c", "two")] {
            assert_eq!(names(writer.follow(Event::InitApply(service(name, owner, 1, "1")))), [""; 0]);
        }
        assert_eq!(ports(&shelf, "n/one"), [], "a list counts when it is complete");
        assert_eq!(names(writer.follow(Event::InitDone)), ["n/one", "n/two"]);
        (shelf, writer)
    }

    #[test]
    fn each_owner_has_its_own() {
        let (shelf, mut writer) = filled();
        assert_eq!(ports(&shelf, "n/one"), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(names(writer.follow(Event::Apply(service("a", "one", 2, "2")))), ["n/one"]);
        assert_eq!(shelf.get("n/one", "a").unwrap().spec.unwrap().ports.unwrap()[0].port, 2);
        assert!(shelf.get("n/two", "a").is_none());
        assert_eq!(names(writer.follow(Event::Delete(service("c", "two", 1, "3")))), ["n/two"]);
        assert!(shelf.of("n/two").is_empty());
    }

    #[test]
    fn a_change_that_nobody_reads_is_none() {
        let (_, mut writer) = filled();
        assert_eq!(names(writer.follow(Event::Apply(service("a", "one", 1, "2")))), [""; 0]);
    }

    #[test]
    fn one_that_changes_hands_concerns_both() {
        let (shelf, mut writer) = filled();
        assert_eq!(names(writer.follow(Event::Apply(service("a", "two", 1, "2")))), ["n/one", "n/two"]);
        assert_eq!((ports(&shelf, "n/one").len(), ports(&shelf, "n/two").len()), (1, 2));
        let mut nobodys = service("a", "two", 1, "3");
        nobodys.metadata.labels = None;
        assert_eq!(names(writer.follow(Event::Apply(nobodys))), ["n/two"]);
        assert_eq!(ports(&shelf, "n/two").len(), 1);
    }

    #[test]
    fn a_list_that_comes_again_tells_what_it_missed() {
        let (shelf, mut writer) = filled();
        writer.follow(Event::Init);
        for (name, owner) in [("a", "one"), ("b", "one"), ("d", "three")] {
            writer.follow(Event::InitApply(service(name, owner, 1, "9")));
        }
        assert_eq!(ports(&shelf, "n/two").len(), 1, "the old list stands until then");
        assert_eq!(names(writer.follow(Event::InitDone)), ["n/three", "n/two"]);
        assert!(shelf.of("n/two").is_empty());
    }
}
