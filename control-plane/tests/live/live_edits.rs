//! Edits while traffic runs: each takes effect, none fails a request or touches a running stream.

use std::net::SocketAddr;

use crate::support::{
    ALICE_SHA256, BOB_KEY, BOB_SHA256, DELTA, Events, Gateway, Hammer, SOTW, eventually, free_port, upstream,
};

/// The parts of the file that the test edits.
#[derive(Clone)]
struct File {
    port: u16,
    second_port: Option<u16>,
    one: SocketAddr,
    two: SocketAddr,
    moving: SocketAddr,
    weights: (u32, u32),
    limit: u32,
    with_route: bool,
    with_bob: bool,
}

impl File {
    fn text(&self) -> String {
        let Self { port, one, two, moving, weights, limit, .. } = self;
        let second = self.second_port.map_or(String::new(), |port| format!("- {{name: second, port: {port}}}\n"));
        let route = if self.with_route { "- {name: new, match: {prefix: /new}, cluster: one}\n" } else { "" };
        let bob = if self.with_bob {
            format!("- {{name: bob, api_keys: [{{sha256: {BOB_SHA256}}}]}}\n")
        } else {
            String::new()
        };
        format!(
            r#"
version: 1
listeners:
- {{name: http, port: {port}}}
{second}
routes:
- {{name: events, match: {{prefix: /events}}, cluster: one, stream: sse, api_key: {{}}}}
- {{name: steady, match: {{prefix: /steady}}, cluster: one}}
- {{name: keyed, match: {{prefix: /keyed}}, cluster: one, api_key: {{}}}}
- {{name: canary, match: {{prefix: /canary}}, clusters: [{{name: one, weight: {}}}, {{name: two, weight: {}}}]}}
- {{name: limited, match: {{prefix: /limited}}, cluster: one, rate_limit: {{limit: {limit}, window: 1h}}}}
- {{name: moving, match: {{prefix: /moving}}, cluster: moving}}
{route}
clusters:
- {{name: one, endpoints: ["{one}"]}}
- {{name: two, endpoints: ["{two}"]}}
- {{name: moving, endpoints: ["{moving}"]}}
consumers:
- {{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}
{bob}
"#,
            weights.0, weights.1
        )
    }
}

async fn every_edit_takes_effect_and_disturbs_nothing(arguments: &[&str]) {
    let (one, two, moved) = (upstream("one").await, upstream("two").await, upstream("moved").await);
    let start = |port| File {
        port,
        second_port: None,
        one,
        two,
        moving: one,
        weights: (90, 10),
        limit: 1,
        with_route: false,
        with_bob: false,
    };
    let gateway = Gateway::start_with(arguments.into(), |port| start(port).text()).await;
    let mut file = start(gateway.port);
    let mut events = Events::open(gateway.url("/events/sse")).await;
    let hammers = ["/steady", "/keyed", "/canary", "/moving"].map(|path| Hammer::start(gateway.url(path)));
    let status = async |path: &str, key: &str| gateway.get(path, &[("x-api-key", key)]).await.status.as_u16();
    let upstream_of = async |path: &str| gateway.get(path, &[]).await.json()["upstream"].as_str().unwrap().to_owned();

    assert_eq!(status("/new", "").await, 404);
    file.with_route = true;
    gateway.edit(&file.text()).await;
    eventually("the new route answers", || async { status("/new", "").await == 200 }).await;
    events.go_on().await;

    file.weights = (0, 100);
    gateway.edit(&file.text()).await;
    eventually("only the other cluster answers", || async {
        for _ in 0..20 {
            if upstream_of("/canary").await != "two" {
                return false;
            }
        }
        true
    })
    .await;
    events.go_on().await;

    assert_eq!(status("/limited", "").await, 200);
    assert_eq!(status("/limited", "").await, 429);
    file.limit = 1000;
    gateway.edit(&file.text()).await;
    eventually("the new limit counts", || async { status("/limited", "").await == 200 }).await;
    events.go_on().await;

    assert_eq!(status("/keyed", BOB_KEY).await, 401);
    file.with_bob = true;
    gateway.edit(&file.text()).await;
    eventually("the new key passes", || async { status("/keyed", BOB_KEY).await == 200 }).await;
    file.with_bob = false;
    gateway.edit(&file.text()).await;
    eventually("the revoked key does not pass", || async { status("/keyed", BOB_KEY).await == 401 }).await;
    events.go_on().await;

    file.moving = moved;
    gateway.edit(&file.text()).await;
    eventually("the new endpoint answers", || async { upstream_of("/moving").await == "moved" }).await;
    events.go_on().await;

    let second = free_port();
    file.second_port = Some(second);
    gateway.edit(&file.text()).await;
    eventually("the new listener answers", || async {
        gateway.client.try_get(&format!("http://127.0.0.1:{second}/steady"), &[]).await.is_ok_and(|it| it.status == 200)
    })
    .await;
    events.go_on().await;

    for hammer in hammers {
        hammer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_takes_effect_and_disturbs_nothing_in_delta() {
    every_edit_takes_effect_and_disturbs_nothing(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_takes_effect_and_disturbs_nothing_in_state_of_the_world() {
    every_edit_takes_effect_and_disturbs_nothing(SOTW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_comes_and_goes_without_a_failed_request() {
    let svc = upstream("svc").await;
    let file = |port: u16, policy: &str| {
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: changing, match: {{prefix: /changing}}, cluster: svc{policy}}}
clusters: [{{name: svc, endpoints: ["{svc}"]}}]
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
        )
    };
    let gateway = Gateway::start(|port| file(port, "")).await;
    let hammer = Hammer::start(gateway.url("/changing"));
    for _ in 0..5 {
        gateway.edit(&file(gateway.port, ", api_key: {}")).await;
        eventually("a key is asked for", || async { gateway.get("/changing", &[]).await.status == 401 }).await;
        gateway.edit(&file(gateway.port, "")).await;
        eventually("no key is asked for", || async { gateway.get("/changing", &[]).await.status == 200 }).await;
    }
    hammer.stop().await;
}
