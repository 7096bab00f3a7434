//! The questions to the cluster, one for each check. What may not be asked is a note, not a fault: few users may read everything.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Resource, ResourceExt};
use modelyard_core::api::{self, GROUP, ModelDeployment};
use serde::de::DeserializeOwned;

use super::{Finding, judge, quota};
use crate::cli::cluster::{Cluster, ClusterError};

/// Of the operator's Deployment, as the Helm chart labels it.
const OPERATOR: &str = "app.kubernetes.io/name=modelyard";

/// Every check, in the order in which they depend on one another.
pub(super) async fn everything(cluster: &Cluster, now: Timestamp) -> Vec<Finding> {
    let version = match cluster.version().await {
        Ok(version) => judge::version(&cluster.address, &version),
        // Without an API server the rest says nothing.
        Err(error) => return vec![unreached(&error)],
    };
    let mut findings = vec![version];
    findings.extend(definitions(cluster).await);
    findings.push(operator(cluster, now).await);
    findings.push(rights(cluster).await);
    let (objects, namespaces) = objects(cluster).await;
    findings.extend(objects);
    findings.extend(quotas(cluster, &namespaces).await);
    findings
}

/// No cluster, or none that answers.
pub(super) fn unreached(error: &ClusterError) -> Finding {
    Finding::wrong("cluster", error.to_string(), "Nothing else can be checked.")
}

async fn definitions(cluster: &Cluster) -> Vec<Finding> {
    let installed = cluster.global::<CustomResourceDefinition>();
    let mut findings = Vec::new();
    for ours in api::crds() {
        findings.push(match installed.get_opt(&ours.name_any()).await {
            Ok(found) => judge::definition(found.as_ref(), &ours),
            Err(error) => unasked("CRD", &cluster.failed("read CustomResourceDefinitions", error)),
        });
    }
    findings
}

async fn operator(cluster: &Cluster, now: Timestamp) -> Finding {
    let leases = cluster.everywhere::<Lease>().list(&ListParams::default().fields("metadata.name=modelyard")).await;
    let operators = cluster.everywhere::<Deployment>().list(&ListParams::default().labels(OPERATOR)).await;
    match (leases, operators) {
        (Err(_), Err(error)) => unasked("operator", &cluster.failed("list Deployments of all namespaces", error)),
        (leases, operators) => {
            let items = |operators: kube::core::ObjectList<Deployment>| operators.items;
            judge::operator(&leases.map(|list| list.items).unwrap_or_default(), &operators.map(items).unwrap_or_default(), now)
        }
    }
}

async fn rights(cluster: &Cluster) -> Finding {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some("modeldeployments".to_owned()),
                verb: Some("create".to_owned()),
                namespace: Some(cluster.namespace.clone()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    match cluster.global().create(&PostParams::default(), &review).await {
        Ok(review) => judge::rights(&cluster.namespace, review.status.as_ref()),
        Err(error) => unasked("rights", &cluster.failed("ask for your rights", error)),
    }
}

/// What is said of the ModelDeployments, and the namespaces that have some.
async fn objects(cluster: &Cluster) -> (Vec<Finding>, Vec<String>) {
    match list::<DeserializeGuard<ModelDeployment>>(cluster).await {
        Ok(objects) => {
            let mut namespaces: Vec<String> = objects.iter().filter_map(|object| object.meta().namespace.clone()).collect();
            namespaces.push(cluster.namespace.clone());
            namespaces.sort();
            namespaces.dedup();
            (judge::objects(&objects), namespaces)
        }
        Err(ClusterError::NoKind) => (Vec::new(), Vec::new()), // told already
        Err(error) => (vec![unasked("models", &error)], Vec::new()),
    }
}

async fn quotas(cluster: &Cluster, namespaces: &[String]) -> Vec<Finding> {
    match list::<ResourceQuota>(cluster).await {
        Ok(quotas) => {
            let ours = |quota: &&ResourceQuota| quota.namespace().is_some_and(|namespace| namespaces.contains(&namespace));
            quota::judge(quotas.iter().filter(ours))
        }
        Err(error) => vec![unasked("quotas", &error)],
    }
}

/// Of all namespaces; of this one where all may not be listed.
async fn list<K>(cluster: &Cluster) -> Result<Vec<K>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let deed = format!("list {}", K::plural(&()));
    let all = ListParams::default();
    let listed = match cluster.everywhere::<K>().list(&all).await {
        Err(kube::Error::Api(status)) if status.is_forbidden() => cluster.api::<K>().list(&all).await,
        listed => listed,
    };
    Ok(listed.map_err(|error| cluster.failed(&deed, error))?.items)
}

fn unasked(check: &'static str, error: &ClusterError) -> Finding {
    Finding::note(check, format!("not checked: {error}"))
}
