//! Policies beyond keys and plain limits, through the whole gateway.

use std::{fs, net::SocketAddr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use legation_filter::consumer::pepper::Pepper;
use legation_testing::{
    ALICE_KEY, BOB_KEY, Client, File, Gateway, eventually, free_port, legation,
    mesh::{Mesh, listener, module, wasm_filter},
    upstream,
};
use serde_json::json;

fn file(svc: SocketAddr, bob: &str) -> File {
    let routes = "
        - name: told
          match: {prefix: /told}
          cluster: svc
          api_key: {forward_metadata: true}
          rate_limit:
          - {plan: true, override: {free: {limit: 1, window: 1h}}}
          - {limit: 1, window: 1h, dry_run: true, name: tried}
        - {name: open, match: {prefix: /open}, cluster: svc}
    ";
    let consumers = "
        - {name: alice, plan: pro, api_keys: [{sha256: $ALICE}], metadata: {tier: gold}}
        - {name: bob, plan: free, api_keys: [{sha256: $PEPPERED}]}
    ";
    let plans = "
        - {name: pro, quota: {limit: 3, window: day}}
        - {name: free, limits: [{limit: 9, window: 1s}]}
    ";
    let file = File::routes(routes).cluster("svc", svc).consumers(consumers).plans(plans).set("PEPPERED", bob);
    file.top("key_pepper_file: pepper")
}

const PEPPER: &str = "a pepper of some length";

fn peppered(key: &str, pepper: &str) -> String {
    Pepper::new(pepper.as_bytes()).unwrap().digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a gateway whose pepper is in a file beside the gateway file. Each test that looks at counts
/// or at the pepper has its own.
async fn gateway() -> (Gateway, SocketAddr) {
    let svc = upstream("svc").await;
    let gateway = File::default().start().await;
    fs::write(gateway.directory().join("pepper"), format!("{PEPPER}\n")).unwrap();
    gateway.edit(file(svc, &peppered(BOB_KEY, PEPPER))).await;
    (gateway, svc)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_tells_the_upstream_counts_plans_and_is_counted_itself() {
    let (gateway, _) = gateway().await;
    let alice = [("x-api-key", ALICE_KEY), ("x-consumer-metadata-tier", "forged")];
    for _ in 0..3 {
        let response = gateway.get("/told", &alice).await;
        assert_eq!(
            (response.status.as_u16(), &response.seen_headers()["x-consumer-metadata-tier"]),
            (200, &json!("gold"))
        );
    }
    let refused = gateway.get("/told", &alice).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (429, &json!("rate_limited")));
    assert!(refused.header("ratelimit").starts_with("\"pro\";r=0;t="), "{refused:?}");

    let bob = [("x-api-key", BOB_KEY)];
    assert_eq!(gateway.get("/told", &bob).await.header("ratelimit-policy"), "\"free\";q=1;w=3600");
    assert_eq!(gateway.get("/told", &bob).await.status, 429);

    // An upstream does not see forged headers on a route without a policy either.
    let open = gateway.get("/open", &[("x-consumer-metadata-tier", "forged"), ("x-consumer-id", "root")]).await;
    let seen = open.seen_headers();
    assert!(!seen.contains_key("x-consumer-metadata-tier") && !seen.contains_key("x-consumer-id"), "{seen:?}");

    let metrics = gateway.envoy_admin("/stats/prometheus").await;
    for (plan, decision, count) in [
        ("pro", "passed", 3),
        ("pro", "rate_limited", 1),
        ("pro", "dry_run_rate_limited", 2),
        ("free", "passed", 1),
        ("free", "rate_limited", 1),
    ] {
        let counter = metrics.lines().find(|line| {
            let labels = [("policy", "told"), ("plan", plan), ("decision", decision)];
            line.starts_with("legation_requests{")
                && labels.iter().all(|(name, value)| line.contains(&format!("legation_{name}=\"{value}\"")))
        });
        let counted = counter.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        assert_eq!(counted, Some(count), "{plan} {decision}:\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pepper_is_followed_and_shown_nowhere() {
    let (gateway, svc) = gateway().await;
    assert_eq!(gateway.get("/told", &[("x-api-key", BOB_KEY)]).await.status, 200);
    // With another pepper, bob's digest is no longer valid. Alice's was made without a pepper.
    let other = "another pepper of some length";
    fs::write(gateway.directory().join("pepper"), other).unwrap();
    eventually("bob is refused", || async { gateway.get("/told", &[("x-api-key", BOB_KEY)]).await.status == 401 })
        .await;
    assert_eq!(gateway.get("/told", &[("x-api-key", ALICE_KEY)]).await.status, 200);
    let digest =
        legation().args(["key", "hash", BOB_KEY, "--key-pepper-file"]).arg(gateway.directory().join("pepper")).output();
    let digest = String::from_utf8(digest.unwrap().stdout).unwrap();
    let digest = digest.split('"').nth(1).unwrap();
    assert_eq!(digest, peppered(BOB_KEY, other));
    gateway.edit(file(svc, digest)).await;
    assert_eq!(gateway.get("/told", &[("x-api-key", BOB_KEY)]).await.status, 429, "he is known again");

    // A pepper that is too short changes nothing.
    fs::write(gateway.directory().join("pepper"), "short").unwrap();
    eventually("the file is at fault", || async {
        gateway.status().await["file"]["diagnostics"][0]["code"] == json!("bad_pepper")
    })
    .await;
    assert_eq!(gateway.get("/told", &[("x-api-key", "nobody's")]).await.status, 401);

    fs::write(gateway.directory().join("pepper"), other).unwrap();
    let dump = legation().arg("dump").arg(gateway.path()).output().unwrap();
    for said in [
        String::from_utf8(dump.stdout).unwrap(),
        gateway.status().await.to_string(),
        gateway.metrics().await,
        gateway.process.output(),
    ] {
        assert!(!said.contains("pepper of some length"), "{said}");
    }
    let fixed = legation().args(["dump", "--static"]).arg(gateway.path()).output().unwrap();
    let fixed = String::from_utf8(fixed.stdout).unwrap();
    assert!(fixed.contains("host_env_keys") && fixed.contains("LEGATION_KEY_PEPPER"), "it comes from the environment");
    assert!(!fixed.contains("pepper of some length"));
}

/// Returns a token for Envoy to verify, signed with the key of the test (HS256).
fn token(claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| BASE64.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = Pepper::new(PEPPER.as_bytes()).unwrap().digest(signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(signature))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_the_claims_that_envoy_verified() {
    let svc = upstream("svc").await;
    let folder = tempfile::tempdir().unwrap();
    let keys = json!({"keys": [{"kty": "oct", "alg": "HS256", "k": BASE64.encode(PEPPER)}]});
    let jwt = json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"local": {
                "local_jwks": {"inline_string": keys.to_string()},
                "payload_in_metadata": "verified",
                "forward": true,
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "local"}}],
        },
    });
    let limit = |claim: &str| json!([{"limit": 1, "window": "1h", "by": format!("jwt:{claim}")}]);
    let config = json!({
        "version": 1,
        "payload_in_metadata": "verified",
        "policies": [
            {"name": "sub", "rate_limit": limit("sub")},
            {"name": "org", "rate_limit": limit("org.id")},
            {"name": "none", "rate_limit": limit("none")},
        ],
        "rules": [{"prefix": "/org", "policy": "org"}, {"prefix": "/none", "policy": "none"}, {"policy": "sub"}],
    });
    let port = free_port();
    let filters = [jwt, wasm_filter("legation", &config, &module(folder.path()))];
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "svc"}}]);
    let _mesh = Mesh::start(&folder, &[listener(port, &filters, &routes)], &[("svc", svc)]).await;

    let (alice, bob) = (json!({"sub": "alice", "org": {"id": 7}}), json!({"sub": "bob", "org": {"id": 7}}));
    let client = Client::new();
    let ask = async |path: &str, claims: &serde_json::Value| {
        let authorization = format!("Bearer {}", token(claims));
        let url = format!("http://127.0.0.1:{port}{path}");
        client.try_get(&url, &[("authorization", &authorization)]).await.map_or(0, |response| response.status.as_u16())
    };
    eventually("Envoy answers", || async { client.try_get(&format!("http://127.0.0.1:{port}/"), &[]).await.is_ok() })
        .await;
    assert_eq!([ask("/", &alice).await, ask("/", &alice).await, ask("/", &bob).await], [200, 429, 200]);
    assert_eq!([ask("/org", &alice).await, ask("/org", &bob).await], [200, 429], "a number is a claim, too");
    assert_eq!(
        [ask("/none", &alice).await, ask("/none", &bob).await],
        [200, 429],
        "a caller that lacks it is known by its address"
    );
}
