//! Policies that routes carry: each request is judged by what its own route says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{Gateway, Outcome, sha256};
use serde_json::{Value, json};

fn config() -> Value {
    json!({
        "version": 1,
        "route_policies": true,
        "plans": [
            {"name": "free", "limits": [{"limit": 2, "window": "1m"}]},
            {"name": "pro", "limits": [{"limit": 600, "window": "1m"}]},
        ],
        "consumers": [
            {"name": "alice", "plan": "pro", "api_keys": [{"sha256": sha256("alice-key")}]},
            {"name": "bob", "plan": "free", "api_keys": [{"sha256": sha256("bob-key")}]},
        ],
    })
}

fn gateway() -> Gateway {
    Gateway::new(&config())
}

fn send(gateway: &mut Gateway, policy: &Value, key: &str) -> Outcome {
    gateway.outside.route_policy = Some(policy.to_string().into_bytes());
    if key.is_empty() { gateway.send(&[]) } else { gateway.send(&[("x-api-key", key)]) }
}

fn says(gateway: &mut Gateway, policy: &Value, key: &str) -> String {
    send(gateway, policy, key).says
}

#[test]
fn a_request_is_judged_by_the_policy_of_its_route_whatever_came_before() {
    let mut gateway = gateway();
    let (keyed, open) = (json!({"name": "a", "api_key": {}}), json!({"name": "a"}));
    for _ in 0..3 {
        assert_eq!(says(&mut gateway, &keyed, ""), "missing_api_key");
        assert_eq!(says(&mut gateway, &open, ""), "pass");
        assert_eq!(says(&mut gateway, &keyed, "bob-key"), "pass");
    }
}

#[test]
fn a_route_without_a_readable_policy_is_refused() {
    let mut gateway = gateway();
    for text in [
        None,
        Some(&b""[..]),
        Some(b"{}"),
        Some(b"null"),
        Some(b"\xff\xfe"),
        Some(br#"{"name": "a""#),
        Some(br#"{"name": "a", "api_keys": {}}"#),
        Some(br#"{"name": "a", "rate_limit": [{"limit": 0, "window": "1s"}]}"#),
        Some(br#"{"name": "a", "rate_limit": [{"plan": true}]}"#),
        Some(br#"{"name": "a", "api_key": {"header": "a b"}}"#),
        Some(br#"{"name": "a"} {"name": "a"}"#),
    ] {
        gateway.outside.route_policy = text.map(<[u8]>::to_vec);
        for _ in 0..2 {
            let outcome = gateway.send(&[("x-api-key", "bob-key")]);
            assert_eq!((outcome.says.as_str(), outcome.reply.unwrap().status), ("unknown_policy", 503), "{text:?}");
        }
    }
}

#[test]
fn a_document_of_rules_asks_no_route_for_its_policy() {
    let mut config = config();
    config.as_object_mut().unwrap().remove("route_policies");
    config["policies"] = json!([{"name": "p", "api_key": {}}]);
    config["rules"] = json!([{"policy": "p"}]);
    let mut gateway = Gateway::new(&config);
    assert_eq!(says(&mut gateway, &json!({"name": "open"}), ""), "missing_api_key");
    assert_eq!(gateway.outside.asked, BTreeMap::new());
}

#[test]
fn who_is_named_and_not_known_is_nobody() {
    let mut gateway = gateway();
    for (rule, alice, without) in [
        (json!({"consumers": ["eve"]}), "consumer_not_allowed", "missing_api_key"),
        (json!({"plans": ["gold"]}), "consumer_not_allowed", "missing_api_key"),
        (json!({"consumers": ["eve"], "plans": ["pro"]}), "pass", "missing_api_key"),
        (json!({"optional": true, "anonymous_plan": "gold"}), "pass", "missing_api_key"),
        (json!({"optional": true, "anonymous_plan": "free"}), "pass", "pass"),
        (json!({"optional": true}), "pass", "pass"),
    ] {
        let policy = json!({"name": "a", "api_key": rule});
        assert_eq!(says(&mut gateway, &policy, "alice-key"), alice, "{policy}");
        assert_eq!(says(&mut gateway, &policy, ""), without, "{policy}");
    }
    let overriding = |plan: &str| {
        let limits = BTreeMap::from([(plan, [json!({"limit": 1, "window": "1h"})])]);
        json!({"name": "a", "api_key": {}, "rate_limit": [{"plan": true, "override": limits}]})
    };
    assert_eq!(send(&mut gateway, &overriding("gold"), "alice-key").limits.as_deref(), Some(r#""pro";r=599;t=1"#));
    assert_eq!(send(&mut gateway, &overriding("pro"), "alice-key").limits.as_deref(), Some(r#""pro";r=0;t=3600"#));
}

#[test]
fn consumers_and_plans_take_effect_at_once_whatever_the_age_of_the_policy() {
    let mut gateway = gateway();
    let policy = json!({
        "name": "a",
        "api_key": {"plans": ["free", "pro"], "optional": true, "anonymous_plan": "free"},
        "rate_limit": [{"plan": true}],
    });
    let limits = |gateway: &mut Gateway, key| send(gateway, &policy, key).limits.unwrap_or_default();
    assert_eq!(limits(&mut gateway, "alice-key"), r#""pro";r=599;t=1"#);
    let mut edited = config();
    edited["consumers"][0]["plan"] = json!("free");
    edited["consumers"][1]["api_keys"] = json!([]);
    gateway.reload(&edited);
    assert_eq!(limits(&mut gateway, "alice-key"), r#""free";r=1;t=30"#);
    assert_eq!(says(&mut gateway, &policy, "bob-key"), "unknown_api_key");
    edited["consumers"] = json!([]);
    edited["plans"] = json!([]);
    gateway.reload(&edited);
    assert_eq!(says(&mut gateway, &policy, "alice-key"), "unknown_api_key");
    assert_eq!(says(&mut gateway, &policy, ""), "missing_api_key", "nothing says any more what those may");
}

#[test]
fn an_edit_of_a_policy_resets_no_count_of_another_limit_nor_its_own() {
    let mut gateway = gateway();
    let policy = |limit: u64, keyed: bool| {
        let mut policy = json!({"name": "a", "rate_limit": [{"limit": limit, "window": "1h", "name": "n"}]});
        if keyed {
            policy["api_key"] = json!({});
        }
        policy
    };
    assert_eq!(send(&mut gateway, &policy(2, false), "").limits.as_deref(), Some(r#""n";r=1;t=1800"#));
    assert_eq!(send(&mut gateway, &policy(2, true), "bob-key").limits.as_deref(), Some(r#""n";r=0;t=1800"#));
    gateway.reload(&config());
    assert_eq!(says(&mut gateway, &policy(2, false), ""), "rate_limited");
}
