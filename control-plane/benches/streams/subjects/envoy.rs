//! Plain Envoy as a proxy of streams in a few lines, with its own filters for keys and limits.

use std::{path::Path, process::Command};

use legation_testing::measure::envoy::{self, api_key_auth, local_ratelimit};
use serde_json::{Value, json};

use super::{CONNECTIONS, Check};

pub fn command(folder: &Path, port: u16, upstream: u16, check: Check) -> Command {
    let mut filters = Vec::new();
    if let Check::KeyAndLimit(limit) = check {
        let bucket = json!({"max_tokens": limit, "tokens_per_fill": limit, "fill_interval": "1s"});
        filters = vec![api_key_auth(), local_ratelimit(&bucket)];
    }
    envoy::command(folder, 1, &bootstrap(port, upstream, filters))
}

fn bootstrap(port: u16, upstream: u16, mut filters: Vec<Value>) -> Value {
    let address = |port| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let of_type = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.{name}");
    filters.push(json!({"name": "router", "typed_config": {"@type": of_type("http.router.v3.Router")}}));
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "svc", "timeout": "0s"}});
    let manager = json!({
        "@type": of_type("network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters
    });
    json!({"static_resources": {
        "listeners": [{
            "name": "http",
            "address": address(port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]
        }],
        "clusters": [{
            "name": "svc",
            "type": "STATIC",
            "circuit_breakers": circuit_breakers(),
            "load_assignment": {"cluster_name": "svc", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}
            ]}
        }]
    }})
}

/// Makes room for all streams. By default a cluster has 1,024 connections, and further streams wait
/// until one ends.
fn circuit_breakers() -> Value {
    json!({"thresholds": [
        {"max_connections": CONNECTIONS, "max_pending_requests": CONNECTIONS, "max_requests": CONNECTIONS}
    ]})
}
