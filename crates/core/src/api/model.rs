//! What is served: one model, or several in one server.

use kube::KubeSchema;
use kube::core::Rule;
use serde::{Deserialize, Serialize};

use super::{Engine, Format};
use crate::steps::WrittenStep;

/// One model to serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = without_credentials())]
pub struct Model {
    /// The model's name in URLs, such as `/v2/models/NAME/infer`. Without one it is the object's name. It must not contain `/` or `:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[^/:]+$"))]
    pub name: Option<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become a description of the whole")]
    pub artefact: Artefact,
}

/// One of several models in one server, told apart by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = without_credentials())]
pub struct NamedModel {
    /// The model's name in URLs, such as `/v2/models/NAME/infer`; unique in this object. It must not contain `/` or `:`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[^/:]+$"))]
    pub name: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become a description of the whole")]
    pub artefact: Artefact,
    /// What computes this model, and how it is loaded, in place of the object's `engine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
}

/// Where a model comes from, and what it calls itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artefact {
    /// Where the model is: `file:PATH`, `http://HOST/PATH`, `https://HOST/PATH`, `s3://BUCKET/KEY`, `gs://BUCKET/KEY`,
    /// `az://CONTAINER[@ACCOUNT]/BLOB`, `hf://OWNER/REPO[@REVISION][/PATH]`, `oci://HOST/REPOSITORY[:TAG|@DIGEST]` or `pvc://CLAIM/PATH`, a
    /// PersistentVolumeClaim of the same namespace, which is mounted read-only. An artefact is a .onnx file, a
    /// folder with one (external data beside it), or a .tar, .tar.gz or .zip of that. In an object store a folder is every object whose
    /// key begins with KEY and a slash. A relative `file:` path starts, in local mode, at the folder of the YAML file. On a cluster a
    /// `file:` path is one in the server's container, where no model is unless its image has one: use another.
    #[schemars(length(min = 1, max = 4096))]
    #[x_kube(validation = spelled("self.matches('^(file|https?|s3|gs|az|hf|oci|pvc):')"))]
    #[x_kube(validation = spelled("!self.startsWith('file:') || self.matches('^file:.+$')"))]
    #[x_kube(validation = spelled("!(self.startsWith('http:') || self.startsWith('https:')) || self.matches('^https?://[^/?#]+.*$')"))]
    #[x_kube(validation = spelled("!self.startsWith('s3:') || self.matches('^s3://[A-Za-z0-9._-]+/.+$')"))]
    #[x_kube(validation = spelled("!self.startsWith('gs:') || self.matches('^gs://[A-Za-z0-9._-]+/.+$')"))]
    #[x_kube(validation = spelled("!self.startsWith('az:') || self.matches('^az://[A-Za-z0-9$-]+(@[A-Za-z0-9-]+)?/.+$')"))]
    #[x_kube(validation = spelled("!self.startsWith('hf:') || self.matches('^hf:/(/[A-Za-z0-9._-]+){2}(@[^/]+)?(/.*)?$')"))]
    #[x_kube(validation = spelled("!self.startsWith('oci:') || self.matches('^oci://[^/?#@]+/.+$')"))]
    #[x_kube(validation = spelled("!self.startsWith('pvc:') || self.matches('^pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?/.+$')"))]
    #[x_kube(validation = Rule::new("!self.matches('^pvc://[^/]+/(.*/)?[.][.](/.*)?$')")
        .message("must stay in the claim: write a path without '..'"))]
    pub uri: String,
    /// The SHA-256 of the artefact's bytes, as 64 hexadecimal digits. It is checked while the bytes arrive; a model with another
    /// sum never becomes ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-fA-F]{64}$"))]
    pub sha256: Option<String>,
    /// What the file is, in place of what its first bytes tell: `Onnx`, `XGBoost`, `LightGBM` or `CatBoost`. A file that cannot be read
    /// as that is ModelInvalid. In a folder the model is found as without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The version in URLs and in answers, 1 or more.
    #[serde(default = "first_version")]
    #[schemars(range(min = 1))]
    pub version: i64,
    /// Class names by index of a classifier's scores: for the classification extension, for `modelyard predict` and
    /// `modelyard evaluate`. Two may be equal; their indices tell them apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 65536), extend("x-kubernetes-list-type" = "atomic"))]
    pub classes: Vec<String>,
    /// Steps that make of a request's columns what the model takes. Clients see the columns that go in, not the model's own inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub preprocess: Vec<WrittenStep>,
    /// Steps that make of the model's outputs what clients get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub postprocess: Vec<WrittenStep>,
    /// The Secret that holds the store's credentials, of the same namespace, by the names that the store's own tools read. `http:` and
    /// `https:`: HTTP_AUTHORIZATION, sent as the Authorization header to the host of the uri only. `s3:`: AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, and where they are needed AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL. `gs:`:
    /// GOOGLE_APPLICATION_CREDENTIALS, a service account's key as JSON. `az:`: AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or
    /// AZURE_STORAGE_CONNECTION_STRING. `hf:`: HF_TOKEN. `oci:`: .dockerconfigjson. `file:` and `pvc:` take none. Only replicas read it; the operator does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A rule of how a store's addresses are spelled. One for each: the API server bounds what each may cost, for all the models of a list.
fn spelled(rule: &str) -> Rule {
    Rule::new(rule).message(
        "must be file:PATH, http://HOST/PATH, https://HOST/PATH, s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER[@ACCOUNT]/BLOB, \
         hf://OWNER/REPO[@REVISION][/PATH], oci://HOST/REPOSITORY[:TAG|@DIGEST] or pvc://CLAIM/PATH",
    )
}

/// What is on a disk is read as it is: a Secret for it would have to hold a key that nothing reads.
fn without_credentials() -> Rule {
    Rule::new("!has(self.secretRef) || !(self.uri.startsWith('file:') || self.uri.startsWith('pvc:'))")
        .message("secretRef is for stores that take credentials: file: and pvc: take none, leave it out")
}

const fn first_version() -> i64 {
    1
}
