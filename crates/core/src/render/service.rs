//! The Service: the one name that clients need, whatever protocol they speak.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Owner, metadata, selector};
use crate::resolve::Resolved;

/// 80 for all, and the ports at which TensorFlow Serving's clients look for gRPC and REST.
const PORTS: [(&str, i32, Option<&str>); 3] =
    [("http", 80, None), ("tfs-grpc", 8500, Some("kubernetes.io/h2c")), ("tfs-rest", 8501, None)];

pub(super) fn render(resolved: &Resolved, owner: Owner<'_>) -> Service {
    let port = |(name, port, protocol): (&str, i32, Option<&str>)| ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String("http".to_owned())),
        protocol: Some("TCP".to_owned()),
        app_protocol: protocol.map(str::to_owned),
        ..ServicePort::default()
    };
    let options = &resolved.service;
    let mut own = metadata(resolved, owner, resolved.name.clone());
    own.labels.get_or_insert_default().extend(options.labels.clone());
    own.annotations = (!options.annotations.is_empty()).then(|| options.annotations.clone());
    Service {
        metadata: own,
        spec: Some(ServiceSpec {
            selector: Some(selector(resolved)),
            ports: Some(PORTS.map(port).into()),
            type_: Some(options.kind.as_str().to_owned()),
            traffic_distribution: options.traffic_distribution.map(|which| which.as_str().to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
