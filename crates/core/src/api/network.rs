//! How clients reach the replicas, how many stay while machines are emptied, and where artefacts are kept.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{labels, units};

/// The Service in front of the replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOptions {
    /// Who can reach it: `ClusterIP` within the cluster, `NodePort` and `LoadBalancer` from outside too.
    #[serde(default, rename = "type")]
    pub kind: ServiceType,
    /// Labels, beside the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = labels::beside_ours())]
    pub labels: BTreeMap<String, String>,
    /// Annotations, such as those that load balancers read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// Which replicas a client gets first: `PreferSameZone`, `PreferSameNode`. Without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_distribution: Option<TrafficDistribution>,
}

/// Who can reach a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Within the cluster.
    #[default]
    ClusterIP,
    /// At a port of every node.
    NodePort,
    /// At an address of a load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// The name in a Service.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Which replicas a client gets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TrafficDistribution {
    /// Those of its own zone.
    PreferSameZone,
    /// Those of its own node.
    PreferSameNode,
}

impl TrafficDistribution {
    /// The name in a Service.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreferSameZone => "PreferSameZone",
            Self::PreferSameNode => "PreferSameNode",
        }
    }
}

/// How many replicas stay while machines are emptied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// The least that stay, a number or a percentage such as `50%`. Without it, one at a time may go; a single replica is never held
    /// back, for it would block the drain of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::number_or_percentage")]
    pub min_available: Option<IntOrString>,
}

/// Where artefacts are kept between a download and their use. Without either, in an emptyDir.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.emptyDir) && has(self.persistentVolumeClaim))")
    .message("write one of emptyDir and persistentVolumeClaim"))]
pub struct Cache {
    /// On the node, for the life of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<CacheEmptyDir>,
    /// On a claim that outlives the pods and that they share: a replica that starts finds what another has fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<CacheClaim>,
}

/// A cache on the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheEmptyDir {
    /// The most that it may hold; a pod that exceeds it is evicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_quantity")]
    pub size_limit: Option<Quantity>,
}

/// A cache on a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheClaim {
    /// The PersistentVolumeClaim, of the same namespace. With several replicas its access mode must be ReadWriteMany.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
}

/// Who may call the replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyOptions {
    /// The callers of the models' port: pods, namespaces or addresses, as in a NetworkPolicy. An empty list lets nobody in. Health and
    /// metrics stay reachable, for the node's probes and for Prometheus.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub from: Vec<NetworkPolicyPeer>,
}
