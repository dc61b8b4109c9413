//! What changes with clusters, through the whole product and as a real Envoy takes it: what is new is in place before anything
//! leads to it, what is old goes when nothing does any more, and neither waits for Envoy's 15 s.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::support::{DELTA, Gateway, Hammer, SOTW, eventually, free_port, upstream};

/// How long Envoy waits for endpoints that nobody sends.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// A file whose routes lead to clusters of one endpoint.
struct File<'a> {
    /// Name and port.
    listeners: Vec<(&'a str, u16)>,
    /// Path prefix and cluster.
    routes: Vec<(&'a str, &'a str)>,
    /// Name, what is said of it besides, and its endpoint, if it has one.
    clusters: Vec<(&'a str, &'a str, Option<SocketAddr>)>,
}

impl File<'_> {
    fn text(&self) -> String {
        let mut text = "version: 1\nlisteners:\n".to_owned();
        for (name, port) in &self.listeners {
            let _ = writeln!(text, "- {{name: {name}, port: {port}}}");
        }
        text.push_str("routes:\n");
        for (prefix, cluster) in &self.routes {
            let _ = writeln!(text, "- {{name: to-{cluster}, match: {{prefix: {prefix}}}, cluster: {cluster}}}");
        }
        text.push_str("clusters:\n");
        for (name, settings, endpoint) in &self.clusters {
            let endpoint = endpoint.map_or(String::new(), |endpoint| format!("\"{endpoint}\""));
            let _ = writeln!(text, "- {{name: {name}, endpoints: [{endpoint}]{settings}}}");
        }
        text
    }
}

async fn a_changed_timeout_is_effective_at_once(variant: &[&str]) {
    let svc = upstream("svc").await;
    let file = |port, timeout: &str| {
        let settings = format!(", connect_timeout: {timeout}");
        let clusters = vec![("svc", settings.as_str(), Some(svc))];
        File { listeners: vec![("http", port)], routes: vec![("/", "svc")], clusters }.text()
    };
    let gateway = Gateway::start_with(variant.into(), |port| file(port, "5s")).await;
    let hammer = Hammer::start(gateway.url("/"));
    let start = Instant::now();
    gateway.write(&file(gateway.port, "7s"));
    eventually("the timeout is in effect", || async {
        gateway.envoy_admin("/config_dump?resource=dynamic_active_clusters").await.contains("\"7s\"")
    })
    .await;
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "effective after {took:?}; without its endpoints Envoy waits {FETCH_TIMEOUT:?}"
    );
    gateway.confirmed(2).await;
    hammer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_timeout_is_effective_at_once_in_delta_o4() {
    a_changed_timeout_is_effective_at_once(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_timeout_is_effective_at_once_in_state_of_the_world_o4() {
    a_changed_timeout_is_effective_at_once(SOTW).await;
}

async fn a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails(variant: &[&str]) {
    let svc = upstream("svc").await;
    let file = |port, cluster: &str| {
        let clusters = vec![(cluster, "", Some(svc))];
        File { listeners: vec![("http", port)], routes: vec![("/", cluster)], clusters }.text()
    };
    let gateway = Gateway::start_with(variant.into(), |port| file(port, "svc-0")).await;
    let hammers = [0; 4].map(|_| Hammer::start(gateway.url("/")));
    for number in 1..=20 {
        gateway.edit(&file(gateway.port, &format!("svc-{number}"))).await;
    }
    eventually("only the last cluster is left", || async {
        let clusters = gateway.envoy_admin("/clusters").await;
        clusters.contains("svc-20::") && !clusters.contains("svc-19::")
    })
    .await;
    for hammer in hammers {
        assert!(hammer.stop().await > 20, "there was traffic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails_in_delta_o1_o2() {
    a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails_in_state_of_the_world_o1_o2() {
    a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails(SOTW).await;
}

async fn a_listener_a_route_and_its_cluster_go_in_one_edit(variant: &[&str]) {
    let (stays, goes) = (upstream("stays").await, upstream("goes").await);
    let second = free_port();
    let both = |port| {
        File {
            listeners: vec![("http", port), ("second", second)],
            routes: vec![("/", "stays"), ("/goes", "goes")],
            clusters: vec![("stays", "", Some(stays)), ("goes", "", Some(goes))],
        }
        .text()
    };
    let gateway = Gateway::start_with(variant.into(), both).await;
    let second_url = format!("http://127.0.0.1:{second}/goes");
    let answers = async || gateway.client.try_get(&second_url, &[]).await.is_ok_and(|it| it.status == 200);
    eventually("both listeners answer", &answers).await;
    let hammer = Hammer::start(gateway.url("/"));
    let goes_hammer = Hammer::start(gateway.url("/goes"));
    let one = File {
        listeners: vec![("http", gateway.port)],
        routes: vec![("/", "stays")],
        clusters: vec![("stays", "", Some(stays))],
    };
    gateway.edit(&one.text()).await;
    eventually("all three are gone", || async {
        let clusters = gateway.envoy_admin("/clusters").await;
        let listeners = gateway.envoy_admin("/config_dump?resource=dynamic_listeners").await;
        let is_active =
            listeners.contains(&format!("\"port_value\": {second}")) && !listeners.contains("draining_state");
        clusters.contains("stays::") && !clusters.contains("goes::") && !is_active && !answers().await
    })
    .await;
    hammer.stop().await;
    // Its path falls to the route that is left; at no time to nothing.
    goes_hammer.stop().await;
    assert_eq!(gateway.envoy_counter("listener_manager.lds.update_rejected").await, 0);
    assert_eq!(gateway.envoy_counter("cluster_manager.cds.update_rejected").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_a_route_and_its_cluster_go_in_one_edit_in_delta_o1() {
    a_listener_a_route_and_its_cluster_go_in_one_edit(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_a_route_and_its_cluster_go_in_one_edit_in_state_of_the_world_o1() {
    a_listener_a_route_and_its_cluster_go_in_one_edit(SOTW).await;
}

async fn a_cluster_without_endpoints_does_not_hold_up_the_others(variant: &[&str]) {
    let svc = upstream("svc").await;
    let file = |port, more: bool| {
        let mut file = File {
            listeners: vec![("http", port)],
            routes: vec![("/", "svc")],
            clusters: vec![("svc", "", Some(svc))],
        };
        if more {
            file.routes.extend([("/empty", "empty"), ("/new", "new")]);
            file.clusters.extend([("empty", "", None), ("new", "", Some(svc))]);
        }
        file.text()
    };
    let gateway = Gateway::start_with(variant.into(), |port| file(port, false)).await;
    let hammers = ["/", "/new"].map(|path| Hammer::start(gateway.url(path)));
    let start = Instant::now();
    gateway.edit(&file(gateway.port, true)).await;
    eventually("the empty one is there, and empty", || async { gateway.get("/empty", &[]).await.status == 503 }).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "effective after {took:?}, as if it had waited {FETCH_TIMEOUT:?}");
    for hammer in hammers {
        hammer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_endpoints_does_not_hold_up_the_others_in_delta_o5() {
    a_cluster_without_endpoints_does_not_hold_up_the_others(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_endpoints_does_not_hold_up_the_others_in_state_of_the_world_o5() {
    a_cluster_without_endpoints_does_not_hold_up_the_others(SOTW).await;
}
