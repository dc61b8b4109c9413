//! Resources in Envoy's own words.

use legation_protos::{ResourceType, descriptors::EnvoyMessage};

use crate::origin::Origin;

/// A resource that is served exactly as the file has it. No other resource of the model has the
/// same kind and name, not even one that is made from other parts. Its version is a hash of the
/// message's JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawResource {
    /// Its kind.
    pub kind: ResourceType,
    /// Its name, as the message has it.
    pub name: String,
    /// The message, checked to be one of this kind.
    pub message: EnvoyMessage,
    /// Its place in the file.
    pub origin: Origin,
}

impl RawResource {
    /// The name of a cluster's endpoints in EDS, if that is not the cluster's name.
    pub fn service_name(&self) -> Option<&str> {
        let name = self.message.value().get("eds_cluster_config")?.get("service_name")?.as_str()?;
        Some(name).filter(|name| self.kind == ResourceType::Cluster && !name.is_empty())
    }
}
