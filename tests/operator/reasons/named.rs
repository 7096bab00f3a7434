//! What the spec names and is not there: a Secret, a claim, an account.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, ServiceAccount};
use serde_json::json;

use crate::deployed::{condition, mnist, model};
use crate::namespace::within;
use crate::store;

#[tokio::test]
async fn a_secret_that_is_not_there_then_lacks_its_key_then_is_wrong() {
    within("secret", async |namespace| {
        let private = json!({ "uri": store::uri("private/model.onnx"), "secretRef": { "name": "reader" } });
        let mnist = namespace.deploy("mnist", model(private)).await;
        mnist.until_not_ready("SecretNotFound", &["secret \"reader\" not found", "create it"]).await;
        mnist.until_event("SecretNotFound", "Warning").await;
        namespace.put::<Secret>("reader", json!({ "stringData": { "PASSWORD": "secret" } })).await;
        mnist.until_not_ready("SecretNotFound", &["HTTP_AUTHORIZATION", "add the key to the Secret"]).await;
        let header = |credentials: &str| json!({ "stringData": { "HTTP_AUTHORIZATION": format!("Basic {credentials}") } });
        namespace.put::<Secret>("reader", header("cmVhZGVyOndyb25n")).await; // reader:wrong
        mnist.until_not_ready("ModelUnauthorized", &["private/model.onnx", "401"]).await;
        namespace.put::<Secret>("reader", header("cmVhZGVyOnNlY3JldA==")).await; // reader:secret
        mnist.until_ready().await;
        assert_eq!(mnist.predict().await, 7);
        let shown = namespace.kubectl(&["get", "mdep,deployments,pods,events", "-o", "yaml"]);
        assert!(!shown.contains("cmVhZGVyOnNlY3JldA"), "what opens the store is nowhere but in the Secret");
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_is_not_there_and_then_has_no_volume() {
    within("claim", async |namespace| {
        let mut cached = mnist(1);
        cached["cache"] = json!({ "persistentVolumeClaim": { "claimName": "models" } });
        let deployed = namespace.deploy("mnist", cached).await;
        deployed.until_not_ready("ClaimNotFound", &["persistentvolumeclaim \"models\" not found", "create the claim"]).await;
        deployed.until_event("ClaimNotFound", "Warning").await;
        let claim = json!({ "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": format!("{}-absent", namespace.name),
            "resources": { "requests": { "storage": "1Gi" } },
        } });
        namespace.put::<PersistentVolumeClaim>("models", claim).await;
        deployed
            .until_not_ready("Unschedulable", &["unbound immediate PersistentVolumeClaims", "a StorageClass that makes one"])
            .await;
        deployed.apply(mnist(1)).await;
        deployed.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn an_account_that_is_not_there() {
    within("account", async |namespace| {
        let mut spec = mnist(1);
        spec["pod"] = json!({ "serviceAccountName": "reader" });
        let deployed = namespace.deploy("mnist", spec).await;
        let words = ["serviceaccount \"reader\" not found", "create it, or mend its name in spec.pod"];
        let told = deployed.until_not_ready("InvalidSpec", &words).await;
        assert_eq!(condition(&told, "Serving").reason, "InvalidSpec");
        deployed.until_event("InvalidSpec", "Warning").await;
        namespace.put::<ServiceAccount>("reader", json!({})).await;
        deployed.until_ready().await;
    })
    .await;
}
