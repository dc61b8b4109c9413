//! API keys, as a caller and an upstream see them.

use http::Method;
use legation_testing::{ALICE_KEY, BOB_KEY, CAROL_KEY, File, Response, Shared, empty, upstream};

static GATEWAY: Shared = Shared::new(|| {
    Box::pin(async {
        let routes = "
            - {name: any, match: {prefix: /any}, cluster: svc, api_key: {}}
            - {name: pro, match: {prefix: /pro}, cluster: svc, api_key: {plans: [pro]}}
            - {name: kept, match: {prefix: /kept}, cluster: svc, api_key: {header: x-token, keep: true}}
            - {name: open, match: {prefix: /open}, cluster: svc}
            - {name: ways, match: {prefix: /ways}, cluster: svc, api_key: {bearer: true, cookie: key, query: key}}
            - name: anonymous
              match: {prefix: /anonymous}
              cluster: svc
              api_key: {optional: true, anonymous_plan: free}
              rate_limit: {plan: true}
        ";
        let consumers = "
            - {name: alice, plan: pro, api_keys: [{id: a, sha256: $ALICE}]}
            - {name: bob, api_keys: [{id: b, sha256: $BOB, expires: \"2020-01-01\"}]}
            - {name: carol, api_keys: [{id: c, sha256: $CAROL}]}
            - {name: dave, api_keys: [{sha256: $DAVE, not_before: \"2999-01-01\"}]}
        ";
        let plans = "
            - {name: pro}
            - {name: free, limits: [{limit: 2, window: 1h}]}
        ";
        let file = File::routes(routes).cluster("svc", upstream("svc").await).consumers(consumers).plans(plans);
        file.set("DAVE", "fe09dace1224a91b590b9329dc3268b6db00ce6f9dbac4de34ee21d759fe9585")
    })
});

/// A key that is not valid yet.
const DAVE_KEY: &str = "dave-key";

fn assert_refused(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status.as_u16(), status, "{response:?}");
    assert_eq!(response.header("content-type"), "application/problem+json");
    let problem = response.json();
    assert_eq!(problem["code"], code);
    assert_eq!(problem["status"], status);
    assert_eq!(response.headers.contains_key("www-authenticate"), status == 401, "{response:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_passes_with_a_good_key_and_no_other_way() {
    let gateway = GATEWAY.get().await;

    assert_refused(&gateway.get("/any", &[]).await, 401, "missing_api_key");
    assert_refused(&gateway.get("/any", &[("x-api-key", "nobody's")]).await, 401, "unknown_api_key");
    assert_refused(&gateway.get("/any", &[("x-api-key", BOB_KEY)]).await, 401, "expired_api_key");
    let twice = gateway.get("/any", &[("x-api-key", ALICE_KEY), ("x-api-key", ALICE_KEY)]).await;
    assert_refused(&twice, 401, "duplicate_api_key");
    assert_refused(&gateway.get("/pro", &[("x-api-key", CAROL_KEY)]).await, 403, "consumer_not_allowed");

    assert_eq!(gateway.get("/any", &[("x-api-key", ALICE_KEY)]).await.status, 200);
    assert_eq!(gateway.get("/pro/x?y=z", &[("x-api-key", ALICE_KEY)]).await.status, 200);
    assert_eq!(gateway.get("/open", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_sees_who_calls_and_not_the_key() {
    let gateway = GATEWAY.get().await;

    let headers = gateway.get("/any", &[("x-api-key", ALICE_KEY)]).await.seen_headers();
    assert_eq!(headers["x-consumer-id"], "alice");
    assert_eq!(headers["x-consumer-plan"], "pro");
    assert!(!headers.contains_key("x-api-key"), "{headers:?}");

    let headers = gateway.get("/kept", &[("x-token", CAROL_KEY)]).await.seen_headers();
    assert_eq!(headers["x-consumer-id"], "carol");
    assert!(!headers.contains_key("x-consumer-plan"), "{headers:?}");
    assert_eq!(headers["x-token"], CAROL_KEY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_say_who_it_is() {
    let gateway = GATEWAY.get().await;
    let forged = [
        ("x-api-key", ALICE_KEY),
        ("x-consumer-id", "root"),
        ("X-Consumer-Id", "admin"),
        ("x_consumer_id", "root"),
        ("x-consumer-plan", "gold"),
    ];
    let headers = gateway.get("/any", &forged).await.seen_headers();
    assert_eq!(headers["x-consumer-id"], "alice");
    assert_eq!(headers["x-consumer-plan"], "pro");
    assert!(!headers.contains_key("x_consumer_id"), "{headers:?}");

    // The same holds on a route that asks for no key.
    let headers = gateway.get("/open", &forged).await.seen_headers();
    let said: Vec<_> = headers.keys().filter(|name| name.contains("consumer")).collect();
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_an_unknown_key_and_hurt_nobody() {
    let gateway = GATEWAY.get().await;
    for _ in 0..8 {
        let mut request = http::Request::builder().uri(gateway.url("/any"));
        let value = http::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
        request.headers_mut().unwrap().insert("x-api-key", value);
        let response = gateway.client.send(request.body(empty()).unwrap()).await.unwrap();
        assert_refused(&response, 401, "unknown_api_key");
    }
    assert_eq!(gateway.get("/any", &[("x-api-key", ALICE_KEY)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_caller_gets_a_grpc_status() {
    let gateway = GATEWAY.get().await;
    let response = gateway
        .client
        .try_send(Method::POST, &gateway.url("/any"), &[("content-type", "application/grpc")])
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("grpc-status"), "16", "{response:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_come_by_several_ways_and_the_upstream_sees_none_of_them() {
    let gateway = GATEWAY.get().await;
    let bearer = format!("Bearer {ALICE_KEY}");
    let cookie = format!("a=1; key={ALICE_KEY}; b=2");
    for (path, header) in [
        ("/ways/a?b=1".to_owned(), Some(("authorization", bearer.as_str()))),
        ("/ways/a?b=1".to_owned(), Some(("cookie", &cookie))),
        (format!("/ways/a?key={ALICE_KEY}&b=1"), None),
    ] {
        let answer = gateway.get(&path, header.as_slice()).await;
        assert_eq!(answer.status, 200, "{path} {header:?}");
        let seen = answer.json();
        assert_eq!(seen["headers"]["x-consumer-id"], "alice");
        assert!(!seen.to_string().contains(ALICE_KEY), "{seen}");
        assert!(seen.to_string().contains("b=1"), "the rest of the query is there: {seen}");
        if header.is_some_and(|(name, _)| name == "cookie") {
            assert_eq!(seen["headers"]["cookie"], "a=1; b=2");
        }
    }
    let missing = gateway.get("/ways", &[("x-api-key", ALICE_KEY)]).await;
    assert_refused(&missing, 401, "missing_api_key");
    let challenges: Vec<_> = missing.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 3, "{challenges:?}");
    assert_eq!(challenges[0], r#"Bearer realm="legation""#);
    assert_refused(&gateway.get("/ways", &[("authorization", "Bearer x")]).await, 401, "unknown_api_key");
    let early = format!("Bearer {DAVE_KEY}");
    assert_refused(&gateway.get("/ways", &[("authorization", &early)]).await, 401, "not_yet_valid_api_key");

    let anonymous = gateway.get("/anonymous", &[("x-consumer-id", "alice")]).await;
    assert_eq!(anonymous.status, 200);
    let seen = anonymous.json();
    assert!(seen["headers"]["x-consumer-id"].is_null(), "{seen}");
    assert_eq!(seen["headers"]["x-consumer-plan"], "free");
    assert_eq!(gateway.get("/anonymous", &[]).await.status, 200);
    assert_refused(&gateway.get("/anonymous", &[("x-api-key", "x")]).await, 401, "unknown_api_key");
    assert_refused(&gateway.get("/anonymous", &[]).await, 429, "rate_limited");
    assert_eq!(gateway.get("/anonymous", &[("x-api-key", ALICE_KEY)]).await.status, 200);
}
