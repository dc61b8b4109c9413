//! Resources in Envoy's own words, served to a real Envoy. Each test edits its gateway or has raw
//! listeners in it, and so has its own.

use legation_testing::{File, Gateway, eventually, free_port, upstream};

/// Returns a file with a route to a raw cluster, which leads to a port and has these further
/// fields.
fn file(port: u16, fields: &str) -> File {
    let resources = r#"
        envoy:
        - "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
          name: raw
          type: STATIC
          $FIELDS
          load_assignment:
            cluster_name: raw
            endpoints:
            - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $UPSTREAM}}}
    "#;
    let file = File::routes("- {name: r, match: {prefix: /}, cluster: raw}").top(resources);
    file.set("UPSTREAM", port).set("FIELDS", fields)
}

/// An HTTP listener with its routes, in Envoy's words.
const LISTENER: &str = r#"
    - "@type": type.googleapis.com/envoy.config.listener.v3.Listener
      name: own
      address: {socket_address: {address: 127.0.0.1, port_value: $OWN}}
      filter_chains:
      - filters:
        - name: hcm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: own
            route_config:
              name: own
              virtual_hosts:
              - name: all
                domains: ["*"]
                routes:
                - match: {prefix: /}
                  direct_response: {status: 200, body: {inline_string: $BODY}}
            http_filters:
            - name: router
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_route_goes_to_a_raw_cluster_and_follows_its_edit() {
    let (first, second) = (upstream("first").await, upstream("second").await);
    let gateway = file(first.port(), "").start().await;
    assert_eq!(gateway.get("/", &[]).await.upstream(), "first");
    gateway.edit(file(second.port(), "")).await;
    eventually("the other upstream answers", || async { gateway.get("/", &[]).await.upstream() == "second" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_envoy_finds_bad_shows_at_the_entrys_line() {
    let up = upstream("up").await;
    let gateway = file(up.port(), "").start().await;
    // Only Envoy knows that this duration has to be positive.
    gateway.write(file(up.port(), "connect_timeout: 0s"));
    let place = gateway.place("\"@type\"");
    eventually("the rejection shows", || async {
        let status = gateway.status().await;
        let rejected = &status["nodes"][0]["types"]["CDS"];
        rejected["at"].as_str().is_some_and(|at| at.ends_with(&place))
            && rejected["error"].as_str().is_some_and(|error| error.contains("ConnectTimeout"))
    })
    .await;
    assert_eq!(gateway.get("/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_bootstrap_is_served_and_reloaded() {
    let file = |body: &str| {
        let listeners = LISTENER.replace("$OWN", "$PORT").replace("$BODY", body);
        "node: {id: ignored}\nstatic_resources:\n  listeners:\n".to_owned() + &listeners
    };
    let gateway = Gateway::run([], file("one")).await;
    assert_eq!(gateway.get("/", &[]).await.body, "one");
    gateway.edit(file("two")).await;
    eventually("the edit is served", || async { gateway.get("/", &[]).await.body == "two" }).await;
    gateway.write(file("three").replace("stat_prefix", "stat_prefixx"));
    let place = gateway.place("stat_prefixx");
    eventually("the fault shows", || async {
        let status = gateway.status().await;
        let diagnostics = status["file"]["diagnostics"].as_array().unwrap().clone();
        diagnostics.iter().any(|found| {
            found["code"] == "unknown_field" && found["at"].as_str().is_some_and(|at| at.ends_with(&place))
        })
    })
    .await;
    assert_eq!(gateway.get("/", &[]).await.body, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_listener_stands_beside_the_files_own() {
    let other = free_port();
    let file = Gateway::routes("- {name: r, match: {prefix: /}, respond: {status: 204}}").top("envoy:").top(LISTENER);
    let gateway = file.set("OWN", other).set("BODY", "raw").start().await;
    assert_eq!(gateway.get("/", &[]).await.status, 204);
    assert_eq!(gateway.client.get(&format!("http://127.0.0.1:{other}/"), &[]).await.body, "raw");
}
