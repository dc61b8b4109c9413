//! Edits while traffic runs. Each takes effect, and none fails a request or touches a running
//! stream. Each test edits its gateway, and so has its own.

use legation_testing::{
    BOB_KEY, Events, File, Gateway, Hammer, Variant, both_variants, eventually, free_port, upstream,
};

both_variants! {
    every_edit_takes_effect_and_disturbs_nothing,
}

async fn every_edit_takes_effect_and_disturbs_nothing(variant: Variant) {
    let (one, two, moved) = (upstream("one").await, upstream("two").await, upstream("moved").await);
    let routes = "
        - {name: events, match: {prefix: /events}, cluster: one, stream: sse, api_key: {}}
        - {name: steady, match: {prefix: /steady}, cluster: one}
        - {name: keyed, match: {prefix: /keyed}, cluster: one, api_key: {}}
        - {name: canary, match: {prefix: /canary}, clusters: [{name: one, weight: $ONE}, {name: two, weight: $TWO}]}
        - {name: limited, match: {prefix: /limited}, cluster: one, rate_limit: {limit: $LIMIT, window: 1h}}
        - {name: moving, match: {prefix: /moving}, cluster: moving}
    ";
    let file = File::routes(routes).cluster("one", one).cluster("two", two).cluster("moving", "$MOVING").alice();
    let mut file = file.set("MOVING", one).set("ONE", 90).set("TWO", 10).set("LIMIT", 1);
    let gateway = file.clone().start_with(variant).await;
    let mut events = Events::open(gateway.url("/events/sse")).await;
    let hammers = ["/steady", "/keyed", "/canary", "/moving"].map(|path| Hammer::start(gateway.url(path)));
    let status = async |path: &str, key: &str| gateway.get(path, &[("x-api-key", key)]).await.status.as_u16();
    let upstream_of = async |path: &str| gateway.get(path, &[]).await.upstream();

    assert_eq!(status("/new", "").await, 404);
    file = file.and_routes("- {name: new, match: {prefix: /new}, cluster: one}");
    gateway.edit(&file).await;
    eventually("the new route answers", || async { status("/new", "").await == 200 }).await;
    events.go_on().await;

    file = file.set("ONE", 0).set("TWO", 100);
    gateway.edit(&file).await;
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
    file = file.set("LIMIT", 1000);
    gateway.edit(&file).await;
    eventually("the new limit counts", || async { status("/limited", "").await == 200 }).await;
    events.go_on().await;

    assert_eq!(status("/keyed", BOB_KEY).await, 401);
    gateway.edit(file.clone().bob()).await;
    eventually("the new key passes", || async { status("/keyed", BOB_KEY).await == 200 }).await;
    gateway.edit(&file).await;
    eventually("the revoked key does not pass", || async { status("/keyed", BOB_KEY).await == 401 }).await;
    events.go_on().await;

    file = file.set("MOVING", moved);
    gateway.edit(&file).await;
    eventually("the new endpoint answers", || async { upstream_of("/moving").await == "moved" }).await;
    events.go_on().await;

    let second = free_port();
    gateway.edit(file.and_listener("second", second)).await;
    let url = format!("http://127.0.0.1:{second}/steady");
    eventually("the new listener answers", || gateway.client.gets(200, &url, &[])).await;
    events.go_on().await;

    for hammer in hammers {
        hammer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_comes_and_goes_without_a_failed_request() {
    let file = Gateway::routes("- {name: changing, match: {prefix: /changing}, cluster: svc$POLICY}");
    let open = file.cluster("svc", upstream("svc").await).alice().set("POLICY", "");
    let keyed = open.clone().set("POLICY", ", api_key: {}");
    let gateway = open.clone().start().await;
    let hammer = Hammer::start(gateway.url("/changing"));
    for _ in 0..5 {
        gateway.edit(&keyed).await;
        eventually("a key is asked for", || async { gateway.get("/changing", &[]).await.status == 401 }).await;
        gateway.edit(&open).await;
        eventually("no key is asked for", || async { gateway.get("/changing", &[]).await.status == 200 }).await;
    }
    hammer.stop().await;
}
