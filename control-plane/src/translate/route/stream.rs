//! `stream`: what a long-lived exchange needs beside its timeouts. Those are in `timeouts`.

use legation_filter::config::Policy;
use legation_protos::pb::envoy::config::route::v3::route_action::UpgradeConfig;

use super::{Draft, Word};
use crate::{
    model::{Stream, route::stream::Meaning},
    translate::common::bool_value,
};

pub(super) enum Feature {}

impl Word for Feature {
    type Meaning = Meaning;

    fn apply(stream: &Meaning, draft: &mut Draft<'_>) {
        if let (Some(Stream::Websocket), Some(forward)) = (stream, &mut draft.forward) {
            forward.upgrade_configs.push(UpgradeConfig {
                upgrade_type: "websocket".to_owned(),
                enabled: bool_value(true),
                ..UpgradeConfig::default()
            });
        }
    }

    /// The filter marks events, so that proxies further out do not hold them back.
    fn ask(stream: &Meaning, policy: &mut Policy) {
        policy.stream_headers = *stream == Some(Stream::Sse);
    }
}
