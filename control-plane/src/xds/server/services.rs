//! The discovery services by path: the kind of resource and the variant that each carries.

use legation_protos::ResourceType;

use super::super::VariantName;

/// A method of a discovery service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    /// The path of its requests.
    pub(super) path: &'static str,
    /// The one kind that it carries; none for ADS.
    pub(super) scope: Option<ResourceType>,
    /// The variant that it speaks.
    pub(super) variant: VariantName,
}

/// The aggregated service and one for each kind (G1).
pub(super) const SERVICES: [&str; 7] = [
    "envoy.service.discovery.v3.AggregatedDiscoveryService",
    "envoy.service.extension.v3.ExtensionConfigDiscoveryService",
    "envoy.service.secret.v3.SecretDiscoveryService",
    "envoy.service.cluster.v3.ClusterDiscoveryService",
    "envoy.service.endpoint.v3.EndpointDiscoveryService",
    "envoy.service.listener.v3.ListenerDiscoveryService",
    "envoy.service.route.v3.RouteDiscoveryService",
];

const fn method(path: &'static str, scope: Option<ResourceType>, variant: VariantName) -> Method {
    Method { path, scope, variant }
}

/// Their streaming methods.
pub(super) const METHODS: [Method; 14] = {
    use ResourceType::{Cluster, Endpoints, Extension, Listener, Route, Secret};
    use VariantName::{Delta, Sotw};
    [
        method("/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources", None, Sotw),
        method("/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources", None, Delta),
        method(
            "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs",
            Some(Extension),
            Sotw,
        ),
        method(
            "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
            Some(Extension),
            Delta,
        ),
        method("/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets", Some(Secret), Sotw),
        method("/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets", Some(Secret), Delta),
        method("/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters", Some(Cluster), Sotw),
        method("/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters", Some(Cluster), Delta),
        method("/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints", Some(Endpoints), Sotw),
        method("/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints", Some(Endpoints), Delta),
        method("/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners", Some(Listener), Sotw),
        method("/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners", Some(Listener), Delta),
        method("/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes", Some(Route), Sotw),
        method("/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes", Some(Route), Delta),
    ]
};
