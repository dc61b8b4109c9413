//! Rate limits, as a caller sees them.

use std::net::SocketAddr;

use futures::future::join_all;
use legation_testing::{ALICE_KEY, BOB_KEY, Client, File, Gateway, Response, Shared, upstream};

const LIMIT: usize = 40;

fn file(svc: SocketAddr) -> File {
    let routes = "
        - name: limited
          match: {prefix: /limited}
          cluster: svc
          api_key: {}
          rate_limit: {limit: $LIMIT, window: 1h, by: consumer}
        - name: shared
          match: {prefix: /shared}
          cluster: svc
          rate_limit: {limit: 3, window: 1h, by: route, name: everyone}
        - {name: plan, match: {prefix: /plan}, cluster: svc, api_key: {}, rate_limit: {plan: true}}
        - {name: plan-too, match: {prefix: /plan-too}, cluster: svc, api_key: {}, rate_limit: {plan: true}}
    ";
    let consumers = "
        - {name: alice, plan: small, api_keys: [{sha256: $ALICE}]}
        - {name: bob, plan: small, api_keys: [{sha256: $BOB}]}
    ";
    let file = File::routes(routes).cluster("svc", svc).consumers(consumers);
    file.plans("- {name: small, limits: [{limit: $SMALL, window: 1h}]}").set("LIMIT", LIMIT).set("SMALL", 2)
}

/// Each test that uses it asks other routes.
static GATEWAY: Shared = Shared::new(|| Box::pin(async { file(upstream("svc").await) }));

/// Sends this number of requests at once, each over a connection of its own, so that every worker
/// gets some.
async fn burst(gateway: &Gateway, path: &str, key: &str, count: usize) -> Vec<Response> {
    let requests = (0..count).map(|_| async { Client::new().get(&gateway.url(path), &[("x-api-key", key)]).await });
    join_all(requests).await
}

fn passed(responses: &[Response]) -> usize {
    responses.iter().filter(|response| response.status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn just_as_many_pass_as_the_limit_says_whatever_the_number_of_workers() {
    // Each number needs an Envoy of its own.
    for workers in ["1", "2", "4"] {
        let gateway = file(upstream("svc").await).start_with(["--concurrency", workers]).await;

        let responses = burst(&gateway, "/limited", ALICE_KEY, 3 * LIMIT).await;
        assert_eq!(passed(&responses), LIMIT, "{workers} workers");
        assert!(responses.iter().all(|response| [200, 429].contains(&response.status.as_u16())));
        // Another consumer has a count of its own.
        assert_eq!(passed(&burst(&gateway, "/limited", BOB_KEY, LIMIT + 5).await), LIMIT, "{workers} workers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_can_read_its_limit_and_when_to_come_back() {
    let gateway = GATEWAY.get().await;

    let first = gateway.get("/shared", &[]).await;
    assert_eq!(first.header("ratelimit-policy"), "\"everyone\";q=3;w=3600", "{first:?}");
    // With three in an hour, one comes back after 20 minutes.
    assert_eq!(first.header("ratelimit"), "\"everyone\";r=2;t=1200", "{first:?}");
    gateway.get("/shared", &[]).await;
    gateway.get("/shared", &[]).await;
    let refused = gateway.get("/shared", &[]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.header("ratelimit").starts_with("\"everyone\";r=0;t="), "{refused:?}");
    let retry_after: u64 = refused.header("retry-after").parse().expect("whole seconds");
    assert!((1000..=1200).contains(&retry_after), "{retry_after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plans_limit_is_counted_for_each_consumer_over_all_routes() {
    let gateway = GATEWAY.get().await;
    let ask = async |path, key| gateway.get(path, &[("x-api-key", key)]).await.status.as_u16();

    assert_eq!(ask("/plan", ALICE_KEY).await, 200);
    assert_eq!(ask("/plan-too", ALICE_KEY).await, 200);
    assert_eq!(ask("/plan", ALICE_KEY).await, 429);
    assert_eq!(ask("/plan-too", ALICE_KEY).await, 429);
    assert_eq!(ask("/plan", BOB_KEY).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_outlive_a_change_of_the_configuration() {
    // The test edits the file.
    let file = file(upstream("svc").await);
    let gateway = file.clone().start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/shared", &[]).await.status, 200);
    }
    gateway.edit(file.set("SMALL", 5)).await;
    assert_eq!(gateway.get("/shared", &[]).await.status, 429);
}
