//! Legation: Envoy with Legation's settings for streams, and its filter if there is a check.

use std::{path::Path, process::Command};

use legation_testing::{
    File,
    measure::envoy::{self, dump},
};

use super::Check;

pub fn command(folder: &Path, port: u16, upstream: u16, check: Check) -> Command {
    let checks = match check {
        Check::None => String::new(),
        Check::KeyAndLimit(limit) => {
            ", api_key: {}, rate_limit: {limit: LIMIT, window: 1s, by: consumer}".replace("LIMIT", &limit.to_string())
        }
    };
    let routes = "
        - {name: events, match: {prefix: /events}, cluster: svc, stream: sse$CHECKS}
        - {name: download, match: {prefix: /download}, cluster: svc, stream: download$CHECKS}
        - {name: measured, match: {prefix: /measured}, cluster: svc$CHECKS}
    ";
    let file = File::routes(routes).cluster("svc", format!("127.0.0.1:{upstream}")).alice().set("CHECKS", checks);
    envoy::command(folder, 1, &dump(&file.listener_with("address: 127.0.0.1"), port))
}
