//! Caddy. By default it has no rate limits.

use std::{path::Path, process::Command};

use legation_testing::ALICE_KEY;

use super::{Check, program, write};

pub fn command(folder: &Path, port: u16, upstream: u16, check: Check) -> Command {
    let (mut checks, mut headers) = (String::new(), "");
    if let Check::KeyAndLimit(_) = check {
        checks = format!(
            "
    @stranger not header x-api-key {ALICE_KEY}
    respond @stranger 401"
        );
        headers = "
        header_up x-consumer-id alice
        header_up -x-api-key";
    }
    let configuration = format!(
        "{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1{checks}
    reverse_proxy 127.0.0.1:{upstream} {{
        flush_interval -1{headers}
    }}
}}
"
    );
    let mut command = Command::new(program("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(write(folder, "Caddyfile", &configuration));
    command.env("GOMAXPROCS", "1").env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}
