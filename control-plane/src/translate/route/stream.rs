//! `stream`: what a long-lived exchange needs besides its timeouts, which `timeouts` sets.

use legation_protos::pb::envoy::config::route::v3::route_action::UpgradeConfig;

use super::{Draft, policy};
use crate::{
    model::{Stream, route::stream::Meaning},
    translate::common::bool_value,
};

pub(super) fn apply(stream: &Meaning, draft: &mut Draft<'_>) {
    match stream {
        // The filter marks events, so that proxies further out do not hold them back.
        Some(Stream::Sse) => policy::judge(draft),
        Some(Stream::Websocket) => {
            if let Some(forward) = &mut draft.forward {
                forward.upgrade_configs.push(UpgradeConfig {
                    upgrade_type: "websocket".to_owned(),
                    enabled: bool_value(true),
                    ..UpgradeConfig::default()
                });
            }
        }
        Some(Stream::Grpc | Stream::Download | Stream::Upload) | None => {}
    }
}
