//! Raw resources in a configuration without a control plane.

use std::fmt;

use legation_protos::{ResourceType, pb::envoy::config::bootstrap::v3::Bootstrap};
use prost::Message;

use crate::model::{Model, RawResource};

/// A resource that only a control plane can serve.
#[derive(Debug)]
pub struct NotStatic(String);

impl fmt::Display for NotStatic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotStatic {}

/// Adds the model's raw resources to its static configuration.
///
/// # Errors
/// A resource is of a kind that has no place in a static configuration: routes, endpoints,
/// extensions.
pub fn add_raw(bootstrap: &mut Bootstrap, model: &Model) -> Result<(), NotStatic> {
    let resources = bootstrap.static_resources.get_or_insert_default();
    for raw in &model.raw {
        match raw.kind {
            ResourceType::Listener => resources.listeners.push(decoded(raw)?),
            ResourceType::Cluster => resources.clusters.push(decoded(raw)?),
            ResourceType::Secret => resources.secrets.push(decoded(raw)?),
            _ => {
                let RawResource { kind, name, origin, .. } = raw;
                let message = format!("{origin}: `{name}` of {} has no place in a static configuration", kind.short());
                return Err(NotStatic(message));
            }
        }
    }
    Ok(())
}

fn decoded<M: Message + Default>(raw: &RawResource) -> Result<M, NotStatic> {
    M::decode(raw.message.body().clone()).map_err(|error| NotStatic(format!("{}: {error}", raw.origin)))
}
