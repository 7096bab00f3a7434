//! What servers follow: the ConfigMap with the configuration of one revision's servers, where there may be several models. A change of
//! these is a change of it, and of no pod. It stays as it was last once another revision takes over, so a revision that is gone back
//! to has the models that it had.

use k8s_openapi::api::core::v1::ConfigMap;

use super::{CONFIG_FILE, Owner, PINS_FILE, REVISION_LABEL, deployment_name, metadata};
use crate::pins::Pins;
use crate::resolve::Resolved;

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>) -> Option<ConfigMap> {
    let name = deployment_name(&resolved.name, &resolved.revision);
    resolved.follows().then(|| holding((CONFIG_FILE, resolved.config.to_json()), name, resolved, owner))
}

/// What a Deployment's name has no such end as: a revision's ten digits end it.
const PINS_SUFFIX: &str = "-pins";

/// The name of the ConfigMap with what the names of a revision's models led to.
#[must_use]
pub fn pins_name(name: &str, revision: &str) -> String {
    format!("{}{PINS_SUFFIX}", deployment_name(name, revision))
}

/// The name of the Deployment whose servers read a ConfigMap of that name.
#[must_use]
pub fn workload_of(configuration: &str) -> &str {
    configuration.strip_suffix(PINS_SUFFIX).unwrap_or(configuration)
}

/// What the names led to, in a ConfigMap of its own: its pods do without while there is none, and the other may be as large as one can be.
pub(super) fn pins(resolved: &Resolved, owner: Owner<'_>, pins: &Pins) -> Option<ConfigMap> {
    let name = pins_name(&resolved.name, &resolved.revision);
    (!pins.is_empty()).then(|| holding((PINS_FILE, pins.to_json()), name, resolved, owner))
}

fn holding((key, text): (&str, String), name: String, resolved: &Resolved, owner: Owner<'_>) -> ConfigMap {
    let mut own = metadata(resolved, owner, name);
    own.labels.get_or_insert_default().extend([(REVISION_LABEL.to_owned(), resolved.revision.clone())]);
    ConfigMap { metadata: own, data: Some([(key.to_owned(), text)].into()), ..ConfigMap::default() }
}
