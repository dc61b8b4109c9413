//! A whole Envoy configuration without a control plane: the same resources, in one bootstrap.

use std::{net::SocketAddr, path::Path};

use legation_protos::pb::envoy::config::{
    bootstrap::v3::{Admin, Bootstrap, bootstrap::StaticResources},
    cluster::v3::{
        Cluster,
        cluster::{ClusterDiscoveryType, DiscoveryType},
    },
};

mod raw;

use super::{
    Module, clusters,
    common::tcp_address,
    endpoints,
    extensions::{Inputs, PepperSource},
    listeners,
    routes::Ordered,
    runtime::layered_runtime,
    tls::Secrets,
};
use crate::model::{self, Endpoints, Model};

pub use raw::{NotStatic, add_raw};

/// Returns a bootstrap that serves the model, with the filter's module inside. `admin` is the
/// address of Envoy's admin interface, if it has one. Certificates stay in their files, whose paths
/// are relative to `folder`; Envoy reads them once. The pepper of API keys comes from Envoy's
/// environment.
pub fn static_bootstrap(model: &Model, module: &Module, admin: Option<SocketAddr>, folder: &Path) -> Bootstrap {
    let inputs = Inputs { model, module, pepper: PepperSource::Environment };
    let routes = Ordered::new(&model.routes);
    let listeners = model
        .listeners
        .iter()
        .map(|listener| listeners::static_listener(listener, routes.configuration(listener), &inputs, folder));
    Bootstrap {
        static_resources: Some(StaticResources {
            listeners: listeners.collect(),
            clusters: model.clusters.iter().map(|cluster| static_cluster(cluster, folder)).collect(),
            ..StaticResources::default()
        }),
        admin: admin.map(|admin| Admin {
            address: Some(tcp_address(admin.ip().to_string(), admin.port())),
            ..Admin::default()
        }),
        layered_runtime: Some(layered_runtime()),
        ..Bootstrap::default()
    }
}

fn static_cluster(cluster: &model::Cluster, folder: &Path) -> Cluster {
    let discovered = clusters::cluster(cluster, Secrets::Files(folder));
    match cluster.endpoints {
        Endpoints::Names(_) => discovered,
        Endpoints::Addresses(_) => Cluster {
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
            eds_cluster_config: None,
            load_assignment: Some(endpoints::assignment(&cluster.name, &cluster.endpoints)),
            ..discovered
        },
    }
}
