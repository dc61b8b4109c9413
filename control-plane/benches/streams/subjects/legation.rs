//! What Legation makes of a gateway file: Envoy with its settings for streams, and its filter where there is something to check.

use std::{path::Path, process::Command};

use super::Check;
use crate::{
    shared::envoy::{self, dump},
    support::ALICE_SHA256,
};

pub fn command(folder: &Path, port: u16, upstream: u16, check: Check) -> Command {
    let checks = match check {
        Check::None => String::new(),
        Check::KeyAndLimit(limit) => {
            format!(", api_key: {{}}, rate_limit: {{limit: {limit}, window: 1s, by: consumer}}")
        }
    };
    let file = format!(
        r#"
version: 1
listeners: [{{name: http, address: 127.0.0.1, port: {port}}}]
routes:
- {{name: events, match: {{prefix: /events}}, cluster: svc, stream: sse{checks}}}
- {{name: download, match: {{prefix: /download}}, cluster: svc, stream: download{checks}}}
- {{name: measured, match: {{prefix: /measured}}, cluster: svc{checks}}}
clusters: [{{name: svc, endpoints: ["127.0.0.1:{upstream}"]}}]
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
    );
    envoy::command(folder, 1, &dump(&file))
}
