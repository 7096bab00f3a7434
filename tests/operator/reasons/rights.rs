//! What the operator itself may not do.

use serde_json::{Value, json};

use crate::cluster::{self, RELEASE};
use crate::deployed::{condition, mnist};
use crate::fields::POLICIES;
use crate::namespace::within;

/// The operator's role; as it was again when this is dropped.
struct Role(Value);

impl Role {
    fn read() -> Self {
        let role = cluster::run("kubectl", &["get", "clusterrole", RELEASE, "-o", "json"], "");
        let mut role: Value = serde_json::from_str(&role).unwrap();
        role["metadata"].as_object_mut().unwrap().retain(|key, _| ["name", "labels", "annotations"].contains(&key.as_str()));
        Self(role)
    }

    /// Leaves of a resource's verbs only those that read.
    fn without_writing(&self, resource: &str) {
        let mut role = self.0.clone();
        let rules = role["rules"].as_array_mut().unwrap();
        let rule = rules.iter_mut().find(|rule| rule["resources"][0] == resource).unwrap();
        rule["verbs"] = json!(["get", "list", "watch"]);
        cluster::run("kubectl", &["replace", "-f", "-"], &role.to_string());
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        cluster::run("kubectl", &["replace", "-f", "-"], &self.0.to_string());
    }
}

#[tokio::test]
async fn a_right_that_the_operator_lacks() {
    // All tests share one operator: those that need this right wait.
    let _alone = POLICIES.lock().await;
    within("forbidden", async |namespace| {
        let deployed = namespace.deploy("mnist", mnist(1)).await;
        deployed.until_ready().await;
        let role = Role::read();
        role.without_writing("networkpolicies");
        let mut closed = mnist(1);
        closed["networkPolicy"] = json!({ "from": [] });
        deployed.apply(closed).await;
        let account = format!("system:serviceaccount:{RELEASE}:{RELEASE}");
        let words = ["NetworkPolicy mnist was refused", &account, "networkpolicies", "give the operator that permission"];
        let told = deployed.until_not_ready("Forbidden", &words).await;
        assert_eq!(condition(&told, "Serving").status, "True", "what serves goes on serving");
        deployed.until_event("Forbidden", "Warning").await;
        drop(role);
        deployed.until_ready().await;
        namespace.kubectl(&["get", "networkpolicy", "mnist"]);
    })
    .await;
}
