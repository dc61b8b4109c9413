//! What works without the control plane: a static Envoy, and the filter alone.

use std::{fs, net::SocketAddr, path::Path};

use crate::support::{ALICE_KEY, ALICE_SHA256, Client, bare_envoy, eventually, free_port, legation, upstream};

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
    fs::write(
        &file,
        format!(
            r#"
version: 1
listeners: [{{name: http, address: 127.0.0.1, port: {port}}}]
routes:
- name: svc
  match: {{prefix: /svc}}
  clusters: [{{name: svc, weight: 1}}, {{name: named, weight: 1}}]
  api_key: {{}}
  rate_limit: {{limit: 3, window: 1h, by: consumer}}
- {{name: large, match: {{path: /large}}, respond: {{status: 200, body: "{}"}}}}
clusters:
- {{name: svc, endpoints: ["{svc}"], lb: maglev}}
- {{name: named, endpoints: ["localhost:{}"], lb: least_request, connect_timeout: 1s, protocol: auto}}
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#,
            "x".repeat(4096),
            svc.port()
        ),
    )
    .unwrap();
    let dump = legation().arg("dump").arg("--static").arg(&file).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let config = directory.path().join("envoy.yaml");
    fs::write(&config, dump.stdout).unwrap();
    let _envoy = bare_envoy(&config);
    serves_with_a_key_and_three_times_only(port).await;
    let large = Client::new().get(&format!("http://127.0.0.1:{port}/large"), &[]).await;
    assert_eq!(large.body.len(), 4096);
}

/// A static Envoy as a person writes it who has only the `.wasm`.
fn plain_envoy(port: u16, svc: SocketAddr, module: &Path) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - name: http
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          http_filters:
          - name: legation
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: legation
                vm_config:
                  vm_id: legation
                  runtime: envoy.wasm.runtime.v8
                  code: {{local: {{filename: "{}"}}}}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
                    {{
                      "version": 1,
                      "consumers": [{{"name": "alice", "api_keys": [{{"sha256": "{ALICE_SHA256}"}}]}}],
                      "policies": [{{
                        "name": "svc",
                        "api_key": {{}},
                        "rate_limit": [{{"limit": 3, "window": "1h", "by": "consumer"}}]
                      }}],
                      "rules": [{{"prefix": "/svc", "policy": "svc"}}]
                    }}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: any
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: svc}}}}]
  clusters:
  - name: svc
    load_assignment:
      cluster_name: svc
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}}}]
"#,
        module.display(),
        svc.ip(),
        svc.port()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_alone_works_in_a_plain_envoy() {
    let svc = upstream("svc").await;
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let module = directory.path().join("f.wasm");
    assert!(legation().arg("filter").arg("-o").arg(&module).status().unwrap().success());
    let config = directory.path().join("envoy.yaml");
    fs::write(&config, plain_envoy(port, svc, &module)).unwrap();
    let _envoy = bare_envoy(&config);
    serves_with_a_key_and_three_times_only(port).await;
}
