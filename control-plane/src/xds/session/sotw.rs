//! State-of-the-world xDS on the wire: LDS and CDS responses carry all resources, those of other
//! kinds the changed ones.

use legation_protos::{
    ResourceType,
    discovery::{DiscoveryRequest, DiscoveryResponse},
    pb::envoy::config::core::v3::ControlPlane,
};
use xxhash_rust::xxh3::Xxh3;

use super::{
    VariantName,
    variant::{Ask, Names, Update, Variant},
};
use crate::snapshot::Form;

/// The state-of-the-world variant.
#[derive(Debug)]
pub struct Sotw;

impl Variant for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    const NAME: VariantName = VariantName::Sotw;
    const MESSAGES: [u32; 2] = [2, 6];
    const FORM: Form = Form::Any;

    fn read(request: Self::Request) -> Ask {
        Ask {
            node: request.node,
            type_url: request.type_url,
            nonce: request.response_nonce,
            error: request.error_detail.map(|status| status.message),
            holds: !request.version_info.is_empty(),
            names: Names::All(request.resource_names),
        }
    }

    fn write(kind: ResourceType, update: &Update, nonce: &str, _generation: u64) -> Self::Response {
        DiscoveryResponse {
            version_info: version(update),
            resources: Vec::new(),
            type_url: kind.type_url().to_owned(),
            nonce: nonce.to_owned(),
            control_plane: Some(ControlPlane { identifier: super::variant::IDENTIFIER.to_owned() }),
        }
    }
}

/// The version of all that the client then has. It is a hash of names and versions, so that the
/// same resources have the same version after a restart and on another replica (S7).
fn version(update: &Update) -> String {
    let mut hash = Xxh3::new();
    for resource in &update.all {
        for part in [&resource.name, &resource.version] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    format!("{:016x}", hash.digest())
}
