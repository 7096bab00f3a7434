//! One ModelDeployment, watched: what it is now, and each change of it.

use futures_util::{Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use modelyard_core::api::ModelDeployment;

use super::{Cluster, ClusterError};

/// What a watch saw.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is so now.
    Object(Box<ModelDeployment>),
    /// There is none of this name.
    Gone,
}

/// The object of this name now, then after each change. A watch that breaks is opened again; one that is refused is an error.
pub(crate) fn follow(cluster: &Cluster, name: &str) -> impl Stream<Item = Result<Seen, ClusterError>> + Send + use<> {
    let (deed, address) = (format!("watch ModelDeployment {name}"), cluster.address.clone());
    watcher::watch_object(cluster.api::<ModelDeployment>(), name).default_backoff().filter_map(move |seen| {
        let seen = match seen {
            Ok(Some(object)) => Some(Ok(Seen::Object(Box::new(object)))),
            Ok(None) => Some(Ok(Seen::Gone)),
            Err(error) => ClusterError::of_watch(&deed, &address, error).map(Err),
        };
        std::future::ready(seen)
    })
}
