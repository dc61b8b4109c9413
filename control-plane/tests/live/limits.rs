//! Rate limits, as a caller sees them.

use futures::future::join_all;

use crate::support::{ALICE_KEY, ALICE_SHA256, BOB_KEY, BOB_SHA256, Gateway, Options, Response, upstream};

const LIMIT: usize = 40;

fn file(port: u16, svc: std::net::SocketAddr) -> String {
    format!(
        r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- name: limited
  match: {{prefix: /limited}}
  cluster: svc
  api_key: {{}}
  rate_limit: {{limit: {LIMIT}, window: 1h, by: consumer}}
- name: shared
  match: {{prefix: /shared}}
  cluster: svc
  rate_limit: {{limit: 3, window: 1h, by: route, name: everyone}}
- name: plan
  match: {{prefix: /plan}}
  cluster: svc
  api_key: {{}}
  rate_limit: {{plan: true}}
- name: plan-too
  match: {{prefix: /plan-too}}
  cluster: svc
  api_key: {{}}
  rate_limit: {{plan: true}}
clusters:
- {{name: svc, endpoints: ["{svc}"]}}
consumers:
- {{name: alice, plan: small, api_keys: [{{sha256: {ALICE_SHA256}}}]}}
- {{name: bob, plan: small, api_keys: [{{sha256: {BOB_SHA256}}}]}}
plans:
- {{name: small, limits: [{{limit: 2, window: 1h}}]}}
"#
    )
}

/// So many requests at once, each over a connection of its own, so that every worker gets some.
async fn burst(gateway: &Gateway, path: &str, key: &str, count: usize) -> Vec<Response> {
    let requests = (0..count)
        .map(|_| async { crate::support::Client::new().get(&gateway.url(path), &[("x-api-key", key)]).await });
    join_all(requests).await
}

fn passed(responses: &[Response]) -> usize {
    responses.iter().filter(|response| response.status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn just_as_many_pass_as_the_limit_says_whatever_the_number_of_workers() {
    for workers in ["1", "2", "4"] {
        let svc = upstream("svc").await;
        let options = Options { arguments: vec!["--concurrency".into(), workers.into()], ..Options::default() };
        let gateway = Gateway::start_with(options, |port| file(port, svc)).await;

        let responses = burst(&gateway, "/limited", ALICE_KEY, 3 * LIMIT).await;
        assert_eq!(passed(&responses), LIMIT, "{workers} workers");
        assert!(responses.iter().all(|response| [200, 429].contains(&response.status.as_u16())));
        // Another consumer has a count of its own.
        assert_eq!(passed(&burst(&gateway, "/limited", BOB_KEY, LIMIT + 5).await), LIMIT, "{workers} workers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_can_read_its_limit_and_when_to_come_back() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| file(port, svc)).await;

    let first = gateway.get("/shared", &[]).await;
    assert_eq!(first.header("ratelimit-policy"), "\"everyone\";q=3;w=3600", "{first:?}");
    // One of three in an hour comes back after 20 minutes.
    assert_eq!(first.header("ratelimit"), "\"everyone\";r=2;t=1200", "{first:?}");
    gateway.get("/shared", &[]).await;
    gateway.get("/shared", &[]).await;
    let refused = gateway.get("/shared", &[]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.header("ratelimit").starts_with("\"everyone\";r=0;t="), "{refused:?}");
    let retry_after: u64 = refused.header("retry-after").parse().expect("whole seconds");
    assert!((1190..=1200).contains(&retry_after), "{retry_after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plans_limit_is_counted_for_each_consumer_over_all_routes() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| file(port, svc)).await;
    let ask = async |path, key| gateway.get(path, &[("x-api-key", key)]).await.status.as_u16();

    assert_eq!(ask("/plan", ALICE_KEY).await, 200);
    assert_eq!(ask("/plan-too", ALICE_KEY).await, 200);
    assert_eq!(ask("/plan", ALICE_KEY).await, 429);
    assert_eq!(ask("/plan-too", ALICE_KEY).await, 429);
    assert_eq!(ask("/plan", BOB_KEY).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_outlive_a_change_of_the_configuration() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| file(port, svc)).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/shared", &[]).await.status, 200);
    }
    gateway.edit(&file(gateway.port, svc).replace("limit: 2,", "limit: 5,")).await;
    assert_eq!(gateway.get("/shared", &[]).await.status, 429);
}
