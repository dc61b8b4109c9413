//! Which route a request takes, and what becomes of it on the way.

use std::collections::BTreeMap;

use http::Method;

use crate::support::{Gateway, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_route_wins() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| {
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: any, match: {{prefix: /}}, respond: {{status: 200, body: any}}}}
- {{name: api, match: {{prefix: /api}}, respond: {{status: 200, body: api}}}}
- {{name: api-post, match: {{prefix: /api, methods: [POST, PUT]}}, respond: {{status: 201, body: post}}}}
- {{name: api-beta, match: {{prefix: /api, headers: {{x-beta: "1"}}}}, respond: {{status: 200, body: beta}}}}
- {{name: long, match: {{prefix: /api/long}}, respond: {{status: 200, body: long}}}}
- {{name: exact, match: {{path: /api/long/er}}, respond: {{status: 418, body: exact}}}}
- {{name: svc, match: {{prefix: /svc}}, cluster: svc}}
clusters: [{{name: svc, endpoints: ["{svc}"]}}]
"#
        )
    })
    .await;
    let ask = async |method, path, headers: &[(&str, &str)]| {
        let response = gateway.client.try_send(method, &gateway.url(path), headers).await.unwrap();
        String::from_utf8(response.body.to_vec()).unwrap()
    };
    assert_eq!(ask(Method::GET, "/api", &[]).await, "api");
    assert_eq!(ask(Method::GET, "/api/x", &[]).await, "api");
    assert_eq!(ask(Method::GET, "/apix", &[]).await, "any");
    assert_eq!(ask(Method::PUT, "/api/x", &[]).await, "post");
    assert_eq!(ask(Method::GET, "/api", &[("x-beta", "1")]).await, "beta");
    assert_eq!(ask(Method::GET, "/api", &[("x-beta", "2")]).await, "api");
    assert_eq!(ask(Method::GET, "/api/long", &[]).await, "long");
    assert_eq!(ask(Method::GET, "/api/long/er", &[]).await, "exact");
    assert_eq!(gateway.get("/svc/status/404", &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_rewritten_segment_by_segment() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| {
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: strip, match: {{prefix: /strip}}, cluster: svc, rewrite: {{prefix: /}}}}
- {{name: swap, match: {{prefix: /swap}}, cluster: svc, rewrite: {{prefix: /v2/other}}}}
- {{name: under, match: {{prefix: /}}, cluster: svc, rewrite: {{prefix: /under}}}}
clusters: [{{name: svc, endpoints: ["{svc}"]}}]
"#
        )
    })
    .await;
    for (asked, seen) in [
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip/x/y?q=/strip", "/x/y?q=/strip"),
        ("/swap", "/v2/other"),
        ("/swap/x", "/v2/other/x"),
        ("/x", "/under/x"),
        ("/", "/under/"),
    ] {
        assert_eq!(gateway.get(asked, &[]).await.json()["path"], seen, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_share_the_traffic() {
    let (one, two) = (upstream("one").await, upstream("two").await);
    let gateway = Gateway::start(|port| {
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: canary, match: {{prefix: /}}, clusters: [{{name: one, weight: 90}}, {{name: two, weight: 10}}]}}
clusters:
- {{name: one, endpoints: ["{one}"]}}
- {{name: two, endpoints: ["{two}"]}}
"#
        )
    })
    .await;
    let mut counts = BTreeMap::new();
    for _ in 0..400 {
        let upstream = gateway.get("/", &[]).await.json()["upstream"].as_str().unwrap().to_owned();
        *counts.entry(upstream).or_insert(0) += 1;
    }
    // 40 of 400 expected; a fair coin strays outside of this range less often than once in a million runs.
    assert!((10..=75).contains(&counts["two"]), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_hashes_sends_a_client_to_one_endpoint() {
    let endpoints =
        [upstream("a").await, upstream("b").await, upstream("c").await].map(|it| format!("\"{it}\"")).join(", ");
    let gateway = Gateway::start(|port| {
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: maglev, match: {{prefix: /maglev}}, cluster: maglev}}
- {{name: ring_hash, match: {{prefix: /ring_hash}}, cluster: ring_hash}}
- {{name: round_robin, match: {{prefix: /round_robin}}, cluster: round_robin}}
clusters:
- {{name: maglev, endpoints: [{endpoints}], lb: maglev}}
- {{name: ring_hash, endpoints: [{endpoints}], lb: ring_hash}}
- {{name: round_robin, endpoints: [{endpoints}]}}
"#
        )
    })
    .await;
    for (path, answering) in [("/maglev", 1), ("/ring_hash", 1), ("/round_robin", 3)] {
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..40 {
            names.insert(gateway.get(path, &[]).await.json()["upstream"].to_string());
        }
        assert_eq!(names.len(), answering, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_takes_longer_than_allowed_to_begin_or_to_end_is_cut() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| {
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: first, match: {{prefix: /first}}, cluster: silent, timeouts: {{first_byte: 200ms}}}}
- {{name: whole, match: {{prefix: /whole}}, cluster: svc, timeouts: {{request: 500ms}}}}
- {{name: both, match: {{prefix: /both}}, cluster: silent, timeouts: {{request: 200ms, max_stream: 1h}}}}
- {{name: begun, match: {{prefix: /begun}}, cluster: svc, stream: sse, timeouts: {{first_byte: 300ms}}}}
- {{name: usual, match: {{prefix: /usual}}, cluster: svc}}
clusters:
- {{name: svc, endpoints: ["{svc}"]}}
- {{name: silent, endpoints: ["{silent}"]}}
"#,
            silent = silent()
        )
    })
    .await;
    assert_eq!(gateway.get("/first", &[]).await.status, 504);
    assert_eq!(gateway.get("/both", &[]).await.status, 504);
    // Three events take 600 ms: the response ends before its end.
    assert!(gateway.client.try_get(&gateway.url("/whole/sse?count=4"), &[]).await.is_err());
    // No client changes that by the headers that Envoy heeds from those whom it trusts.
    for (name, value) in [("x-envoy-upstream-rq-timeout-ms", "1"), ("x-envoy-upstream-rq-per-try-timeout-ms", "1")] {
        for path in ["/usual/sse?count=2", "/begun/sse?count=2"] {
            let events = gateway.get(path, &[(name, value)]).await;
            assert_eq!(String::from_utf8_lossy(&events.body).matches("id: ").count(), 2, "{path} {name}");
        }
    }
    let longer = [("x-envoy-upstream-rq-timeout-ms", "60000")];
    assert_eq!(gateway.get("/both", &longer).await.status, 504);
    assert!(gateway.client.try_get(&gateway.url("/whole/sse?count=4"), &longer).await.is_err());
    // A response that has begun in time goes on.
    let events = gateway.get("/begun/sse?count=4", &[]).await;
    assert_eq!(String::from_utf8_lossy(&events.body).matches("id: ").count(), 4);
}

/// A server that accepts and says nothing, until the test ends.
fn silent() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::mem::forget(listener);
    address
}
