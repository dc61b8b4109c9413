//! From the model to Envoy's resources: a pure function for each kind, in a file each.
//!
//! A resource depends on one fragment of the model and on nothing else. Its version is a hash of
//! that fragment and of this code (`version`), so versions are equal across restarts and replicas.
//! It is never a hash of the encoded bytes: the generated messages keep protobuf maps in hash maps,
//! so one message has many encodings.

mod chain;
mod cluster;
mod clusters;
pub(crate) mod common;
pub(crate) mod endpoints;
mod extensions;
mod flow_control;
mod listener;
mod listeners;
mod route;
mod routes;
pub(crate) mod runtime;
mod secrets;
mod r#static;
mod tls;
mod trailers;
mod version;

use std::sync::Arc;

use bytes::Bytes;
use legation_protos::ResourceType;
use prost::Message;

use crate::{
    model::{Endpoints, Model, Secret},
    origin::Origin,
    snapshot::Resource,
};

pub use extensions::{FILTER_NAME, Module, PEPPER_VARIABLE, configuration_bytes};
use extensions::{Inputs, PepperSource};
pub use listeners::CONNECTION_LIMIT;
pub use route::policy;
use routes::Ordered;
use tls::Secrets;

pub use r#static::{NotStatic, add_raw, static_bootstrap};

/// Returns all resources of a model. `secrets` are the contents of its named files.
pub fn resources(model: &Model, secrets: &[Secret], module: &Module) -> Vec<(ResourceType, Resource)> {
    let mut resources = Vec::new();
    let mut add = |kind, name: &str, version, body: Bytes, origin: &Origin| {
        let resource = Resource { name: name.into(), version, body, origin: origin.clone(), service_name: None };
        resources.push((kind, resource));
    };

    let inputs = Inputs { model, module, pepper: PepperSource::Held(secrets) };
    for (version, resource) in chain::extensions(&inputs) {
        add(ResourceType::Extension, &resource.name, version, encode(&resource), &model.origin);
    }

    for secret in secrets {
        if let (Some(fragment), Some(served)) = (secrets::fragment(secret), secrets::secret(secret)) {
            let version = version::of(ResourceType::Secret, &fragment);
            add(ResourceType::Secret, &secret.name, version, encode(&served), &secret.origin);
        }
    }

    for cluster in &model.clusters {
        let version = version::of(ResourceType::Cluster, &clusters::fragment(cluster));
        add(
            ResourceType::Cluster,
            &cluster.name,
            version,
            encode(&clusters::cluster(cluster, Secrets::Discovered)),
            &cluster.origin,
        );
        if let Endpoints::Addresses(addresses) = &cluster.endpoints {
            let version = version::of(ResourceType::Endpoints, addresses);
            let assignment = endpoints::from_addresses(&cluster.name, addresses);
            add(ResourceType::Endpoints, &cluster.name, version, encode(&assignment), &cluster.origin);
        }
    }

    let routes = Ordered::new(&model.routes);
    for listener in &model.listeners {
        let version = version::of(ResourceType::Listener, &listeners::fragment(listener));
        add(ResourceType::Listener, &listener.name, version, encode(&listeners::listener(listener)), &listener.origin);
        let version = version::of(ResourceType::Route, &routes.fragment(listener));
        let body = encode(&routes.configuration(listener));
        add(ResourceType::Route, &listener.name, version, body, &listener.origin);
    }
    for raw in &model.raw {
        let version = version::of(raw.kind, raw.message.value());
        let (name, body, origin) = (raw.name.as_str().into(), raw.message.body().clone(), raw.origin.clone());
        let service_name = raw.service_name().map(Arc::from);
        resources.push((raw.kind, Resource { name, version, body, origin, service_name }));
    }
    resources
}

fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

#[cfg(test)]
mod tests;
