//! Without the control plane: a static Envoy, and the filter alone.

use std::fs;

use legation_testing::{
    ALICE_KEY, ALICE_SHA256, Bare, Client, File, bare_envoy, eventually, free_port, legation,
    mesh::{Mesh, listener, module, wasm_filter},
    upstream,
};
use serde_json::{Value, json};

async fn status(port: u16, key: &str) -> u16 {
    let url = format!("http://127.0.0.1:{port}/svc");
    Client::new().try_get(&url, &[("x-api-key", key)]).await.map_or(0, |response| response.status.as_u16())
}

async fn serves_with_a_key_and_three_times_only(port: u16) {
    eventually("Envoy answers", || async { status(port, "nobody's").await == 401 }).await;
    for _ in 0..3 {
        assert_eq!(status(port, ALICE_KEY).await, 200);
    }
    assert_eq!(status(port, ALICE_KEY).await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_dump_serves_the_same_in_a_bare_envoy() {
    let svc = upstream("svc").await;
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let file = directory.path().join("gateway.yaml");
    let routes = "
        - name: svc
          match: {prefix: /svc}
          clusters: [{name: svc, weight: 1}, {name: named, weight: 1}]
          api_key: {}
          rate_limit: {limit: 3, window: 1h, by: consumer}
        - {name: large, match: {path: /large}, respond: {status: 200, body: $LARGE}}
    ";
    let written = File::routes(routes)
        .listener_with("address: 127.0.0.1")
        .cluster_with("svc", svc, "lb: maglev")
        .cluster_with(
            "named",
            format!("localhost:{}", svc.port()),
            "lb: least_request, connect_timeout: 1s, protocol: auto",
        )
        .alice()
        .set("LARGE", "x".repeat(4096));
    fs::write(&file, written.at(port)).unwrap();
    let dump = legation().arg("dump").arg("--static").arg(&file).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let config = directory.path().join("envoy.yaml");
    fs::write(&config, dump.stdout).unwrap();
    let _envoy = bare_envoy(&config);
    serves_with_a_key_and_three_times_only(port).await;
    let large = Client::new().get(&format!("http://127.0.0.1:{port}/large"), &[]).await;
    assert_eq!(large.body.len(), 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_alone_works_in_a_plain_envoy() {
    let svc = upstream("svc").await;
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = json!({
        "version": 1,
        "consumers": [{"name": "alice", "api_keys": [{"sha256": ALICE_SHA256}]}],
        "policies": [
            {"name": "svc", "api_key": {}, "rate_limit": [{"limit": 3, "window": "1h", "by": "consumer"}]},
        ],
        "rules": [{"prefix": "/svc", "policy": "svc"}],
    });
    let filter = wasm_filter("legation", &config, &module(directory.path()));
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "svc"}}]);
    let _envoy = Mesh::start(&directory, &[listener(port, &[filter], &routes)], &[("svc", svc)]).await;
    serves_with_a_key_and_three_times_only(port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_without_a_configuration_refuses_and_other_routes_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.yaml");
    let routes = "
        - {name: open, match: {prefix: /open}, respond: {status: 200, body: open}}
        - {name: shut, match: {prefix: /shut}, respond: {status: 200, body: shut}, api_key: {}}
    ";
    let port = free_port();
    fs::write(&file, File::routes(routes).alice().at(port)).unwrap();
    let dump = |kind: &str| -> Value {
        let dump = legation().args(["dump", "--type", kind]).arg(&file).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        serde_yaml::from_slice(&dump.stdout).unwrap()
    };
    // The same listener, but the filter's configuration is to come from a file that has none.
    let (mut listeners, routes) = (dump("listeners"), dump("routes"));
    let nothing = directory.path().join("nothing.json");
    fs::write(&nothing, r#"{"resources": []}"#).unwrap();
    let source = json!({"path_config_source": {"path": nothing}, "resource_api_version": "V3"});
    let manager = listeners.pointer_mut("/0/filter_chains/0/filters/1/typed_config").unwrap();
    manager["http_filters"][0]["config_discovery"]["config_source"] = source;
    manager.as_object_mut().unwrap().remove("rds").unwrap();
    manager["route_config"] = routes[0].clone();
    let admin = json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}});
    let bootstrap = json!({"static_resources": {"listeners": listeners}, "admin": admin});
    let _envoy = Bare::start(|_| bootstrap.to_string()).await;
    let status = async |path: &str, key: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        Client::new().get(&url, &[("x-api-key", key)]).await.status.as_u16()
    };
    assert_eq!(status("/open", "").await, 200);
    assert_eq!(status("/shut", "").await, 403);
    assert_eq!(status("/shut", ALICE_KEY).await, 403, "nobody can say whose key it is");
}
