//! The gateway's table, from what runs: only replicas that answer for a model, and only of revisions that have traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelyard_core::api::Class;

use super::deployment::{Deployment, Slot};
use super::events::ModelState;
use crate::gateway::{Absent, Route, Table};

/// Ends in a row after which a replica counts as failing rather than as on its way back.
const FAILING: u32 = 2;

pub(super) fn table<'a>(deployments: impl Iterator<Item = &'a Deployment>, draining: bool) -> Table {
    let mut models = BTreeMap::new();
    for deployment in deployments.filter(|deployment| !deployment.removed) {
        // The wanted names last: where two revisions have one name, its time limit is the new one's, and its bytes are what both
        // take, since either may get the request.
        let old = deployment.revisions.iter().filter(|revision| revision.weight > 0).map(|revision| &revision.served.config);
        for config in old.chain([&deployment.resolved.config]) {
            for model in &config.models {
                let taken = models.get(&model.name).map_or(u64::MAX, |other: &Route| other.max_request_bytes);
                let route = Route {
                    deployment: deployment.resolved.name.as_str().into(),
                    version: Some(model.version),
                    backends: backends(deployment, &model.name),
                    absent: absent(deployment, &model.name),
                    timeout: config.serving.request_timeout,
                    max_request_bytes: config.serving.max_request_bytes.min(taken),
                };
                models.insert(model.name.clone(), route);
            }
        }
    }
    Table { models, draining }
}

fn backends(deployment: &Deployment, model: &str) -> Vec<Arc<crate::gateway::Backend>> {
    let has_traffic =
        |slot: &Slot| deployment.revisions.iter().any(|revision| revision.name == slot.revision && revision.weight > 0);
    let answers = |slot: &Slot| slot.readiness.models.iter().any(|state| state.name == model && state.is_ready());
    let open = deployment.slots.iter().filter(|slot| !slot.is_stopping() && slot.readiness.state != "Draining");
    open.filter(|slot| has_traffic(slot) && answers(slot)).filter_map(|slot| slot.backend.clone()).collect()
}

/// Why a model has no replica, should that be so.
fn absent(deployment: &Deployment, model: &str) -> Absent {
    if deployment.resolved.replicas == 0 {
        return Absent::Zero;
    }
    let mut slots = deployment.slots.iter().filter(|slot| !slot.is_stopping());
    let failing = slots.find_map(|slot| {
        let failure = slot.failure.as_ref()?;
        // A server that serves others has no failure for this model unless it says so.
        let own = |state: &ModelState| state.name == model && state.state != "Failed";
        let hopeless = slot.in_a_row >= FAILING || failure.reason.class() == Class::User;
        (hopeless && !slot.readiness.models.iter().any(own)).then(|| failure.message.clone())
    });
    failing.map_or(Absent::Starting, Absent::Failing)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use modelyard_core::pins::Pins;
    use modelyard_core::resolve::Resolved;

    use super::super::deployment::Revision;
    use super::super::launch::Served;
    use super::*;

    fn resolved(most: &str) -> Resolved {
        let yaml = format!(
            "apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {{name: m}}\n\
             spec: {{model: {{uri: 'file:m', version: 3}}, serving: {{maxRequestBytes: {most}}}}}\n"
        );
        crate::manifest::read_text(std::path::Path::new("m.yaml"), &yaml).manifests.remove(0).resolved
    }

    #[test]
    fn while_two_revisions_serve_a_body_is_one_that_both_take() {
        for (old, new) in [("1Mi", "2Mi"), ("2Mi", "1Mi")] {
            let mut deployment = Deployment::new(resolved(new));
            deployment.revisions.push(Revision {
                name: "old".to_owned(),
                version: Some(1),
                created: Timestamp::UNIX_EPOCH,
                wanted: 1,
                has_served: true,
                weight: 100,
                served: Served { config: resolved(old).config, pins: Pins::default() },
            });
            let table = table([&deployment].into_iter(), false);
            assert_eq!((table.models["m"].max_request_bytes, table.models["m"].version), (1 << 20, Some(3)));
            deployment.revisions[0].weight = 0;
            let alone = super::table([&deployment].into_iter(), false).models["m"].max_request_bytes;
            assert_eq!(alone, resolved(new).config.serving.max_request_bytes);
        }
    }
}
