//! Delta (incremental) xDS on the wire: what changed, resource by resource.

use legation_protos::{
    ResourceType,
    discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
    pb::envoy::config::core::v3::ControlPlane,
};

use super::{
    VariantName,
    variant::{Ask, Names, Update, Variant},
};
use crate::snapshot::Form;

/// The delta variant.
#[derive(Debug)]
pub struct Delta;

impl Variant for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    const NAME: VariantName = VariantName::Delta;
    const MESSAGES: [u32; 2] = [1, 7];
    const FORM: Form = Form::Resource;

    fn read(request: Self::Request) -> Ask {
        Ask {
            node: request.node,
            type_url: request.type_url,
            nonce: request.response_nonce,
            error: request.error_detail.map(|status| status.message),
            holds: !request.initial_resource_versions.is_empty(),
            names: Names::Change {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                initial: request.initial_resource_versions,
            },
        }
    }

    fn write(kind: ResourceType, update: &Update, nonce: &str, generation: u64) -> Self::Response {
        DeltaDiscoveryResponse {
            system_version_info: generation.to_string(),
            resources: Vec::new(),
            type_url: kind.type_url().to_owned(),
            nonce: nonce.to_owned(),
            removed_resources: update.removed.iter().map(|name| name.to_string()).collect(),
            control_plane: Some(ControlPlane { identifier: super::variant::IDENTIFIER.to_owned() }),
        }
    }
}
