//! What servers follow: the ConfigMap with the configuration of one revision's servers, where there may be several models. A change of
//! these is a change of it, and of no pod. It stays as it was last once another revision takes over, so a revision that is gone back
//! to has the models that it had.

use k8s_openapi::api::core::v1::ConfigMap;

use super::{CONFIG_FILE, Owner, REVISION_LABEL, deployment_name, metadata};
use crate::resolve::Resolved;

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>) -> Option<ConfigMap> {
    let mut own = metadata(resolved, owner, deployment_name(&resolved.name, &resolved.revision));
    own.labels.get_or_insert_default().extend([(REVISION_LABEL.to_owned(), resolved.revision.clone())]);
    resolved.follows().then(|| ConfigMap {
        metadata: own,
        data: Some([(CONFIG_FILE.to_owned(), resolved.config.to_json())].into()),
        ..ConfigMap::default()
    })
}
