//! Resources in Envoy's own words, served to a real Envoy.

use crate::support::{Gateway, Response, eventually, free_port, upstream};

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

/// A raw cluster that leads to a port; `extra` are further fields.
fn cluster(port: u16, extra: &str) -> String {
    format!(
        "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: raw\n  type: STATIC\n{extra}  \
         load_assignment: {{cluster_name: raw, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: \
         {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}\n"
    )
}

fn file(port: u16, resources: &str) -> String {
    format!(
        "version: 1\nlisteners: [{{name: http, port: {port}}}]\n\
         routes: [{{name: r, match: {{prefix: /}}, cluster: raw}}]\nenvoy:\n{resources}"
    )
}

/// An HTTP listener with its routes inside, in the words of Envoy.
fn listener(port: u16, body: &str, indentation: &str) -> String {
    let text = format!(
        "name: own\naddress: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\nfilter_chains:\n- filters:\n  \
         - name: hcm\n    typed_config:\n      \
         \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n      \
         stat_prefix: own\n      route_config:\n        name: own\n        virtual_hosts:\n        - name: all\n          \
         domains: [\"*\"]\n          routes:\n          - match: {{prefix: /}}\n            \
         direct_response: {{status: 200, body: {{inline_string: {body}}}}}\n      http_filters:\n      \
         - name: router\n        typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}\n"
    );
    text.lines().map(|line| format!("{indentation}{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_goes_to_a_raw_cluster_and_follows_its_edit() {
    let (first, second) = (upstream("first").await, upstream("second").await);
    let gateway = Gateway::start(|port| file(port, &cluster(first.port(), ""))).await;
    assert!(text(&gateway.get("/", &[]).await).contains("first"));
    gateway.edit(&file(gateway.port, &cluster(second.port(), ""))).await;
    eventually("the other upstream answers", || async { text(&gateway.get("/", &[]).await).contains("second") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_envoy_finds_bad_shows_at_the_entrys_line() {
    let up = upstream("up").await;
    let gateway = Gateway::start(|port| file(port, &cluster(up.port(), ""))).await;
    // A positive duration is a rule of Envoy's beyond the form.
    gateway.write(&file(gateway.port, &cluster(up.port(), "  connect_timeout: 0s\n")));
    eventually("the rejection shows", || async {
        let status = gateway.status().await;
        let rejected = &status["nodes"][0]["types"]["CDS"];
        rejected["at"].as_str().is_some_and(|at| at.ends_with("gateway.yaml:5:3"))
            && rejected["error"].as_str().is_some_and(|error| error.contains("ConnectTimeout"))
    })
    .await;
    assert_eq!(gateway.get("/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_bootstrap_is_served_and_reloaded() {
    let file = |port, body: &str| {
        format!("node: {{id: ignored}}\nstatic_resources:\n  listeners:\n  -\n{}", listener(port, body, "    "))
    };
    let gateway = Gateway::start(|port| file(port, "one")).await;
    assert_eq!(text(&gateway.get("/", &[]).await), "one");
    gateway.edit(&file(gateway.port, "two")).await;
    eventually("the edit is served", || async { text(&gateway.get("/", &[]).await) == "two" }).await;
    gateway.write(&file(gateway.port, "three").replace("stat_prefix", "stat_prefixx"));
    eventually("the fault shows", || async {
        let status = gateway.status().await;
        let diagnostics = status["file"]["diagnostics"].as_array().unwrap().clone();
        diagnostics.iter().any(|found| {
            found["code"] == "unknown_field"
                && found["at"].as_str().is_some_and(|at| at.ends_with("gateway.yaml:12:11"))
        })
    })
    .await;
    assert_eq!(text(&gateway.get("/", &[]).await), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_listener_stands_beside_the_files_own() {
    let other = free_port();
    let gateway = Gateway::start(|port| {
        format!(
            "version: 1\nlisteners: [{{name: http, port: {port}}}]\nroutes: [{{name: r, match: {{prefix: /}}, respond: {{status: 204}}}}]\n\
             envoy:\n- \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n{}",
            listener(other, "raw", "  ")
        )
    })
    .await;
    assert_eq!(gateway.get("/", &[]).await.status, 204);
    assert_eq!(text(&gateway.client.get(&format!("http://127.0.0.1:{other}/"), &[]).await), "raw");
}
