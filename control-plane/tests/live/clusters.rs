//! Changes of clusters, through the whole product and a real Envoy. A new cluster is in place
//! before a route leads to it, an old one goes when no route needs it any more, and neither has to
//! wait until Envoy gives up waiting for endpoints.
//!
//! Each test has its own gateway, since it looks at all clusters and listeners of its Envoy.

use legation_testing::{File, Gateway, Hammer, Variant, both_variants, eventually, free_port, upstream};

both_variants! {
    a_changed_timeout_is_effective_at_once_o4,
    a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails_o1_o2,
    a_listener_a_route_and_its_cluster_go_in_one_edit_o1,
    a_cluster_without_endpoints_does_not_hold_up_the_others_o5,
}

/// Returns a file with one route `/` to a cluster of this name.
fn file(cluster: &str) -> File {
    File::routes("- {name: to-$CLUSTER, match: {prefix: /}, cluster: $CLUSTER}").set("CLUSTER", cluster)
}

/// Makes sure that Envoy got the endpoints of a cluster before it gave up waiting for them, which
/// it does after 15 s.
async fn had_its_endpoints(gateway: &Gateway, cluster: &str) {
    let given_up = gateway.known_envoy_counter(&format!("cluster.{cluster}.init_fetch_timeout")).await;
    assert_eq!(given_up, Some(0), "Envoy gave up waiting for the endpoints of {cluster}");
}

async fn a_changed_timeout_is_effective_at_once_o4(variant: Variant) {
    let svc = upstream("svc").await;
    let file = |timeout: &str| file("svc").cluster_with("svc", svc, &format!("connect_timeout: {timeout}"));
    let gateway = file("5s").start_with(variant).await;
    let hammer = Hammer::start(gateway.url("/"));
    gateway.write(file("7s"));
    eventually("the timeout is in effect", || async {
        gateway.envoy_admin("/config_dump?resource=dynamic_active_clusters").await.contains("\"7s\"")
    })
    .await;
    had_its_endpoints(&gateway, "svc").await;
    gateway.confirmed(2).await;
    hammer.stop().await;
}

async fn a_route_moves_to_a_new_cluster_twenty_times_and_no_request_fails_o1_o2(variant: Variant) {
    let svc = upstream("svc").await;
    let file = |cluster: &str| file(cluster).cluster(cluster, svc);
    let gateway = file("svc-0").start_with(variant).await;
    let hammers = [0; 4].map(|_| Hammer::start(gateway.url("/")));
    for number in 1..=20 {
        gateway.edit(file(&format!("svc-{number}"))).await;
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

async fn a_listener_a_route_and_its_cluster_go_in_one_edit_o1(variant: Variant) {
    let (stays, goes) = (upstream("stays").await, upstream("goes").await);
    let second = free_port();
    let one = file("stays").cluster("stays", stays);
    let both = one.clone().and_listener("second", second).cluster("goes", goes);
    let both = both.and_routes("- {name: to-goes, match: {prefix: /goes}, cluster: goes}");
    let gateway = both.start_with(variant).await;
    let second_url = format!("http://127.0.0.1:{second}/goes");
    let answers = || gateway.client.gets(200, &second_url, &[]);
    eventually("both listeners answer", answers).await;
    let hammer = Hammer::start(gateway.url("/"));
    let goes_hammer = Hammer::start(gateway.url("/goes"));
    gateway.edit(one).await;
    eventually("all three are gone", || async {
        let clusters = gateway.envoy_admin("/clusters").await;
        let listeners = gateway.envoy_admin("/config_dump?resource=dynamic_listeners").await;
        let is_active =
            listeners.contains(&format!("\"port_value\": {second}")) && !listeners.contains("draining_state");
        clusters.contains("stays::") && !clusters.contains("goes::") && !is_active && !answers().await
    })
    .await;
    hammer.stop().await;
    // The route that is left serves its path at once.
    goes_hammer.stop().await;
    assert_eq!(gateway.envoy_counter("listener_manager.lds.update_rejected").await, 0);
    assert_eq!(gateway.envoy_counter("cluster_manager.cds.update_rejected").await, 0);
}

async fn a_cluster_without_endpoints_does_not_hold_up_the_others_o5(variant: Variant) {
    let svc = upstream("svc").await;
    let before = file("svc").cluster("svc", svc);
    let routes = "
        - {name: to-empty, match: {prefix: /empty}, cluster: empty}
        - {name: to-new, match: {prefix: /new}, cluster: new}
    ";
    let after = before.clone().and_routes(routes).clusters("- {name: empty, endpoints: []}").cluster("new", svc);
    let gateway = before.start_with(variant).await;
    let hammers = ["/", "/new"].map(|path| Hammer::start(gateway.url(path)));
    gateway.edit(after).await;
    eventually("the empty one is there, and empty", || async { gateway.get("/empty", &[]).await.status == 503 }).await;
    for cluster in ["svc", "empty", "new"] {
        had_its_endpoints(&gateway, cluster).await;
    }
    for hammer in hammers {
        hammer.stop().await;
    }
}
