//! The policy by which the gateway filter judges a route's requests.

use std::collections::HashMap;

use legation_filter::config::Policy;
use legation_protos::pb::{
    envoy::config::core::v3::Metadata,
    google::protobuf::{Any, Struct, Value, value},
};

use super::Draft;
use crate::translate::FILTER_NAME;

/// Makes the gateway filter judge the route's requests by the route's policy.
pub(super) fn judge(draft: &mut Draft<'_>) {
    if draft.metadata.is_none() {
        draft.metadata = draft.route.policy().map(|policy| carrying(&policy));
        draft.turn_on(FILTER_NAME, Any::default());
    }
}

/// Returns the metadata from which the filter reads the policy. Envoy thus gets a route and its
/// policy in one update. No request is judged by another route's policy, nor by an older or newer
/// one, whatever is renamed, moved or slow.
fn carrying(policy: &Policy) -> Metadata {
    let text = serde_json::to_string(policy).unwrap_or_default();
    let text = Value { kind: Some(value::Kind::StringValue(text)) };
    let fields = Struct { fields: HashMap::from([("policy".to_owned(), text)]) };
    Metadata { filter_metadata: HashMap::from([(FILTER_NAME.to_owned(), fields)]), ..Metadata::default() }
}
