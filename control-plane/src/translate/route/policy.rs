//! What the gateway filter judges a route's requests by.

use legation_protos::pb::google::protobuf::Any;

use super::Draft;
use crate::translate::FILTER_NAME;

/// Has the gateway filter judge the route's requests. What it asks of them is the route's policy.
pub(super) fn judge(draft: &mut Draft<'_>) {
    draft.turn_on(FILTER_NAME, Any::default());
}
