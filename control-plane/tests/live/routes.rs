//! Routes: which one a request takes, and how it changes the request. All tests share a gateway,
//! and each has prefixes of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
};

use http::Method;
use legation_testing::{File, Shared, upstream};

static GATEWAY: Shared = Shared::new(|| Box::pin(file()));

async fn file() -> File {
    let routes = r#"
        - {name: any, match: {prefix: /any}, respond: {status: 200, body: any}}
        - {name: api, match: {prefix: /any/api}, respond: {status: 200, body: api}}
        - {name: api-post, match: {prefix: /any/api, methods: [POST, PUT]}, respond: {status: 201, body: post}}
        - {name: api-beta, match: {prefix: /any/api, headers: {x-beta: "1"}}, respond: {status: 200, body: beta}}
        - {name: long, match: {prefix: /any/api/long}, respond: {status: 200, body: long}}
        - {name: exact, match: {path: /any/api/long/er}, respond: {status: 418, body: exact}}
        - {name: svc, match: {prefix: /any/svc}, cluster: svc}

        - {name: strip, match: {prefix: /strip}, cluster: svc, rewrite: {prefix: /}}
        - {name: swap, match: {prefix: /swap}, cluster: svc, rewrite: {prefix: /v2/other}}
        - {name: under, match: {prefix: /}, cluster: svc, rewrite: {prefix: /under}}

        - {name: canary, match: {prefix: /canary}, clusters: [{name: svc, weight: 90}, {name: two, weight: 10}]}

        - {name: maglev, match: {prefix: /maglev}, cluster: maglev}
        - {name: ring_hash, match: {prefix: /ring_hash}, cluster: ring_hash}
        - {name: round_robin, match: {prefix: /round_robin}, cluster: round_robin}

        - {name: first, match: {prefix: /first}, cluster: silent, timeouts: {first_byte: 200ms}}
        - {name: whole, match: {prefix: /whole}, cluster: svc, timeouts: {request: 2s}}
        - {name: both, match: {prefix: /both}, cluster: silent, timeouts: {request: 200ms, max_stream: 1h}}
        - {name: begun, match: {prefix: /begun}, cluster: svc, stream: sse, timeouts: {first_byte: 2s}}
        - {name: usual, match: {prefix: /usual}, cluster: svc}
    "#;
    let clusters = "
        - {name: maglev, endpoints: $THREE, lb: maglev}
        - {name: ring_hash, endpoints: $THREE, lb: ring_hash}
        - {name: round_robin, endpoints: $THREE}
    ";
    let (svc, two) = (upstream("one").await, upstream("two").await);
    let three = [svc, two, upstream("three").await].map(|endpoint| endpoint.to_string());
    let file = File::routes(routes).cluster("svc", svc).cluster("two", two).cluster("silent", silent());
    file.clusters(clusters).set("THREE", format!("{three:?}"))
}

/// A server that accepts and says nothing.
fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::mem::forget(listener);
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_route_wins() {
    let gateway = GATEWAY.get().await;
    let ask = async |method, path, headers: &[(&str, &str)]| {
        gateway.client.try_send(method, &gateway.url(path), headers).await.unwrap().text()
    };
    assert_eq!(ask(Method::GET, "/any/api", &[]).await, "api");
    assert_eq!(ask(Method::GET, "/any/api/x", &[]).await, "api");
    assert_eq!(ask(Method::GET, "/any/apix", &[]).await, "any");
    assert_eq!(ask(Method::PUT, "/any/api/x", &[]).await, "post");
    assert_eq!(ask(Method::GET, "/any/api", &[("x-beta", "1")]).await, "beta");
    assert_eq!(ask(Method::GET, "/any/api", &[("x-beta", "2")]).await, "api");
    assert_eq!(ask(Method::GET, "/any/api/long", &[]).await, "long");
    assert_eq!(ask(Method::GET, "/any/api/long/er", &[]).await, "exact");
    assert_eq!(gateway.get("/any/svc/status/404", &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_rewritten_segment_by_segment() {
    let gateway = GATEWAY.get().await;
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
    let gateway = GATEWAY.get().await;
    let mut counts = BTreeMap::new();
    for _ in 0..400 {
        *counts.entry(gateway.get("/canary", &[]).await.upstream()).or_insert(0) += 1;
    }
    // 40 of 400 expected; a fair coin strays outside of this range less often than once in a
    // million runs.
    assert!((10..=75).contains(&counts["two"]), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_hashes_sends_a_client_to_one_endpoint() {
    let gateway = GATEWAY.get().await;
    for (path, answering) in [("/maglev", 1), ("/ring_hash", 1), ("/round_robin", 3)] {
        let mut names = BTreeSet::new();
        for _ in 0..40 {
            names.insert(gateway.get(path, &[]).await.upstream());
        }
        assert_eq!(names.len(), answering, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_takes_longer_than_allowed_to_begin_or_to_end_is_cut() {
    let gateway = GATEWAY.get().await;
    let events = async |path: &str, headers: &[(&str, &str)]| {
        gateway.client.try_get(&gateway.url(path), headers).await.map(|answer| answer.text().matches("id: ").count())
    };
    assert_eq!(gateway.get("/first", &[]).await.status, 504);
    assert_eq!(gateway.get("/both", &[]).await.status, 504);
    // A client cannot change that with headers that Envoy heeds from trusted clients.
    for (name, value) in [("x-envoy-upstream-rq-timeout-ms", "1"), ("x-envoy-upstream-rq-per-try-timeout-ms", "1")] {
        for path in ["/usual/sse?count=2", "/begun/sse?count=2"] {
            assert_eq!(events(path, &[(name, value)]).await, Ok(2), "{path} {name}");
        }
    }
    let longer = [("x-envoy-upstream-rq-timeout-ms", "60000")];
    assert_eq!(gateway.get("/both", &longer).await.status, 504);
    // Fourteen events take 2.6 s. A limit on the whole response cuts them; one on its first byte
    // does not.
    let (cut, cut_too, goes_on) = tokio::join!(
        events("/whole/sse?count=14", &[]),
        events("/whole/sse?count=14", &longer),
        events("/begun/sse?count=14", &[])
    );
    assert!(cut.is_err() && cut_too.is_err(), "{cut:?} {cut_too:?}");
    assert_eq!(goes_on, Ok(14));
}
