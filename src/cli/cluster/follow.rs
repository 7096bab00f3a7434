//! One object, watched: what it is now, and each change of it.

use std::fmt::Debug;

use futures_util::{Stream, StreamExt};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;

use super::{Cluster, ClusterError};

/// What a watch saw.
#[derive(Debug)]
pub(crate) enum Seen<K> {
    /// It is so now.
    Object(Box<K>),
    /// There is none of this name.
    Gone,
}

/// The object of this name now, then after each change. A watch that breaks is opened again; one that is refused is an error.
pub(crate) fn follow<K>(cluster: &Cluster, name: &str) -> impl Stream<Item = Result<Seen<K>, ClusterError>> + Send + use<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let (deed, address) = (format!("watch {} {name}", K::kind(&())), cluster.address.clone());
    watcher::watch_object(cluster.api::<K>(), name).default_backoff().filter_map(move |seen| {
        let seen = match seen {
            Ok(Some(object)) => Some(Ok(Seen::Object(Box::new(object)))),
            Ok(None) => Some(Ok(Seen::Gone)),
            Err(error) => ClusterError::of_watch(&deed, &address, error).map(Err),
        };
        std::future::ready(seen)
    })
}
