//! Resources in Envoy's own words.

use legation_protos::{ResourceType, descriptors::EnvoyMessage};

use crate::origin::Origin;

/// A resource that is served as the file says it. Kind and name together are unique among all resources of the model,
/// those made from its other parts included. Its version is a hash of the message's JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawResource {
    /// What it is.
    pub kind: ResourceType,
    /// Its name, which is that in the message.
    pub name: String,
    /// The message, found to be one of this kind.
    pub message: EnvoyMessage,
    /// Where it is written.
    pub origin: Origin,
}

impl RawResource {
    /// What a cluster calls its endpoints in EDS, where that is not its own name.
    pub fn service_name(&self) -> Option<&str> {
        let name = self.message.value().get("eds_cluster_config")?.get("service_name")?.as_str()?;
        Some(name).filter(|name| self.kind == ResourceType::Cluster && !name.is_empty())
    }
}
