//! The connected nodes in the words of CSDS: what the server sent each node of each kind, and what
//! the node answered.

use std::{collections::BTreeMap, time::SystemTime};

use legation_protos::{
    ResourceType,
    pb::{
        envoy::{
            admin::v3::UpdateFailureState,
            config::core::v3::{Node, node::UserAgentVersionType},
            service::status::v3::{ClientConfig, ConfigStatus, client_config::GenericXdsConfig},
        },
        google::protobuf::Timestamp,
    },
};

use super::{Status, TypeState};
use crate::xds::{NodeInfo, server::csds::Clients};

impl Clients for Status {
    fn client_configs(&self) -> Vec<ClientConfig> {
        let state = self.state();
        let nodes = state.nodes();
        nodes.values().map(|(node, types)| client_config(node, types)).collect()
    }
}

fn client_config(node: &NodeInfo, types: &BTreeMap<ResourceType, &TypeState>) -> ClientConfig {
    let version =
        (!node.build_version.is_empty()).then(|| UserAgentVersionType::UserAgentVersion(node.build_version.clone()));
    ClientConfig {
        node: Some(Node {
            id: node.id.clone(),
            cluster: node.cluster.clone(),
            user_agent_version_type: version,
            ..Node::default()
        }),
        generic_xds_configs: ResourceType::ALL
            .into_iter()
            .map(|kind| generic_config(kind, types.get(&kind).copied()))
            .collect(),
        ..ClientConfig::default()
    }
}

/// One entry for each kind. Its version is the generation. It has no contents, since routes and
/// filters carry what is not for everybody.
fn generic_config(kind: ResourceType, of_type: Option<&TypeState>) -> GenericXdsConfig {
    let (status, of_type) = match of_type {
        Some(of_type) if of_type.rejected.is_some() => (ConfigStatus::Error, Some(of_type)),
        Some(of_type) if of_type.pending_since.is_some() => (ConfigStatus::Stale, Some(of_type)),
        Some(of_type) if of_type.acked.is_some() => (ConfigStatus::Synced, Some(of_type)),
        _ => (ConfigStatus::NotSent, None),
    };
    let rejected = of_type.and_then(|of_type| of_type.rejected.as_ref());
    GenericXdsConfig {
        type_url: kind.type_url().to_owned(),
        version_info: of_type
            .and_then(|of_type| of_type.acked)
            .map(|generation| generation.to_string())
            .unwrap_or_default(),
        last_updated: of_type.and_then(|of_type| of_type.acked_at).map(timestamp),
        config_status: status.into(),
        error_state: rejected.map(|rejected| UpdateFailureState {
            last_update_attempt: Some(timestamp(rejected.when)),
            details: match rejected.at() {
                Some(at) => format!("{at}: {}", rejected.error()),
                None => rejected.error().to_owned(),
            },
            version_info: rejected.rejection.generation.to_string(),
            ..UpdateFailureState::default()
        }),
        ..GenericXdsConfig::default()
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs().cast_signed(), nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default() }
}
