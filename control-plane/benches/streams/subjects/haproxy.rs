//! HAProxy, with a stick table by consumer. Without `http-no-delay` it holds each event of a stream
//! back for 0.2 s.

use std::{path::Path, process::Command};

use legation_testing::ALICE_KEY;

use super::{CONNECTIONS, Check, program, write};

pub fn command(folder: &Path, port: u16, upstream: u16, check: Check) -> Command {
    let mut checks = String::new();
    if let Check::KeyAndLimit(limit) = check {
        let keys = write(folder, "keys.map", &format!("{ALICE_KEY} alice\n"));
        checks = format!(
            "
    stick-table type string len 32 size 1k expire 1m store http_req_rate(1s)
    http-request set-var(txn.consumer) req.hdr(x-api-key),map({})
    http-request deny deny_status 401 unless {{ var(txn.consumer) -m found }}
    http-request track-sc0 var(txn.consumer)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {limit} }}
    http-request set-header x-consumer-id %[var(txn.consumer)]
    http-request del-header x-api-key",
            keys.display()
        );
    }
    let configuration = format!(
        "
global
    nbthread 1
    maxconn {CONNECTIONS}
    tune.bufsize 65536
defaults
    mode http
    timeout connect 5s
    timeout client 1d
    timeout server 1d
    option http-no-delay
frontend http
    bind 127.0.0.1:{port}{checks}
    default_backend svc
backend svc
    server svc 127.0.0.1:{upstream}
"
    );
    let mut command = Command::new(program("haproxy"));
    command.arg("-db").arg("-f").arg(write(folder, "haproxy.cfg", &configuration));
    command
}
