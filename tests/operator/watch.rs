//! Waiting: by a watch, with a deadline.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// One object, by its name.
pub(crate) fn named(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}

/// Objects by a label.
pub(crate) fn labelled(selector: &str) -> watcher::Config {
    watcher::Config::default().labels(selector)
}

/// All objects.
pub(crate) fn all() -> watcher::Config {
    watcher::Config::default()
}

/// Watches until `holds` gives something, which is asked with every object that there is, after every change. The error is what
/// there was when the time had passed.
pub(crate) async fn until<K, T>(
    api: Api<K>,
    chosen: watcher::Config,
    patience: Duration,
    mut holds: impl FnMut(&[&K]) -> Option<T>,
) -> Result<T, Vec<K>>
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut there: BTreeMap<String, K> = BTreeMap::new();
    // Only a whole list tells what there is not.
    let (mut coming, mut listed) = (BTreeMap::new(), false);
    let mut events = watcher(api, chosen).boxed();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match tokio::time::timeout_at(deadline, events.next()).await {
            Err(_) | Ok(None) => return Err(there.into_values().collect()),
            Ok(Some(Ok(event))) => match event {
                Event::Init => {
                    coming.clear();
                    listed = false;
                }
                Event::InitApply(object) => drop(coming.insert(object.name_any(), object)),
                Event::InitDone => {
                    there = std::mem::take(&mut coming);
                    listed = true;
                }
                Event::Apply(object) => drop(there.insert(object.name_any(), object)),
                Event::Delete(object) => drop(there.remove(&object.name_any())),
            },
            // A watch that broke is opened again by the next question.
            Ok(Some(Err(error))) => println!("a watch broke: {error}"),
        }
        if listed && let Some(found) = holds(&there.values().collect::<Vec<_>>()) {
            return Ok(found);
        }
    }
}
