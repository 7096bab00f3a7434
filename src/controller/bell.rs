//! The bell: a kubelet looks after a pod that changes at once, and after the volumes of any other only now and then, a minute or more
//! later. So once a configuration is another, an annotation of the pods whose servers follow it becomes another too. It says nothing that
//! anybody reads: what is to be served is in the ConfigMap alone.

use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use modelyard_core::render::MANAGER;
use serde_json::json;

use super::apply::{ApplyError, Target, failed};

/// Pods that are changed at once, of one ModelDeployment.
const AT_ONCE: usize = 8;

/// Digits of a SHA-256 that are enough to tell two configurations apart.
const DIGITS: usize = 16;

/// What a pod carries whose server has been sent after the configuration with this SHA-256.
pub(super) fn mark(digest: &str) -> &str {
    digest.get(..DIGITS).unwrap_or(digest)
}

impl Target<'_> {
    /// Sends the servers of these pods after what has this SHA-256: the configuration that they follow, or the pins that they are held to. The
    /// annotation says which.
    pub(super) async fn ring(&self, pods: &[String], annotation: &str, digest: &str) -> Result<(), ApplyError> {
        for some in pods.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|pod| self.ring_one(pod, annotation, mark(digest)))).await?;
        }
        Ok(())
    }

    async fn ring_one(&self, pod: &str, annotation: &str, mark: &str) -> Result<(), ApplyError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: mark } } }));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch_metadata(pod, &params, &patch).await {
            Ok(_) => {
                tracing::info!(namespace = self.namespace, pod, annotation, "its server is sent after its models");
                Ok(())
            }
            // Gone: its successor starts with what there is.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(failed(format!("Pod {pod}"), error)),
        }
    }
}
