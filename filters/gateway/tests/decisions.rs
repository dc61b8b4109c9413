//! What becomes of requests, scenario by scenario.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{Gateway, SECOND, sha256};
use legation_filter::compile::policy_of;
use legation_filter::decide::{Outcome, decide, is_grpc};
use legation_filter::headers::Edit;
use legation_filter::rate_limit::address_of;
use proptest::prelude::*;
use serde_json::{Value, json};

fn with_policies(policies: Value, rules: Value) -> Value {
    json!({
        "version": 1,
        "plans": [
            {"name": "free", "limits": [{"limit": 2, "window": "1m"}]},
            {"name": "pro", "limits": [{"limit": 600, "window": "1m"}, {"limit": 10000, "window": "1d"}]},
        ],
        "consumers": [
            {"name": "alice", "plan": "pro", "api_keys": [
                {"id": "now", "sha256": sha256("alice-key")},
                {"id": "then", "sha256": sha256("alice-old"), "expires": "2027-01-15T08:00:10Z"},
            ]},
            {"name": "bob", "plan": "free", "api_keys": [{"sha256": sha256("bob-key").to_uppercase()}]},
            {"name": "carol", "api_keys": [{"sha256": sha256("carol-key")}]},
        ],
        "policies": policies,
        "rules": rules,
    })
}

/// One policy for all requests.
fn with_policy(mut policy: Value) -> Gateway {
    policy["name"] = json!("p");
    Gateway::new(&with_policies(json!([policy]), json!([{"policy": "p"}])))
}

#[test]
fn a_key_decides_who_passes() {
    let mut gateway = with_policy(json!({"api_key": {}}));
    for (headers, says) in [
        (vec![], "missing_api_key"),
        (vec![("x-api-key", "")], "missing_api_key"),
        (vec![("x-other", "alice-key")], "missing_api_key"),
        (vec![("x-api-key", "nobody's")], "unknown_api_key"),
        (vec![("x-api-key", "ALICE-KEY")], "unknown_api_key"),
        (vec![("x-api-key", "alice-key,alice-key")], "unknown_api_key"),
        (vec![("x-api-key", "alice-key"), ("x-api-key", "alice-key")], "duplicate_api_key"),
        (vec![("x-api-key", "alice-key"), ("x-api-key", "")], "duplicate_api_key"),
        (vec![("x-api-key", ""), ("x-api-key", "alice-key")], "duplicate_api_key"),
        (vec![("x-api-key", "alice-key")], "pass"),
        (vec![("x-api-key", "bob-key")], "pass"),
        (vec![("x-api-key", "alice-old")], "pass"),
    ] {
        assert_eq!(gateway.send(&headers).says, says, "{headers:?}");
    }
}

#[test]
fn a_key_expires_on_the_second() {
    let mut gateway = with_policy(json!({"api_key": {}}));
    let key = [("x-api-key", "alice-old")];
    gateway.outside.now += 10 * SECOND - 1;
    assert_eq!(gateway.send(&key).says, "pass");
    gateway.outside.now += 1;
    assert_eq!(gateway.send(&key).says, "expired_api_key");
    assert_eq!(gateway.send(&[("x-api-key", "alice-key")]).says, "pass");
}

#[test]
fn a_policy_may_be_for_some_consumers_and_plans() {
    let passes = |rule: Value| -> Vec<&'static str> {
        let mut gateway = with_policy(json!({"api_key": rule}));
        let keys = ["alice-key", "bob-key", "carol-key"];
        keys.into_iter().filter(|key| gateway.send(&[("x-api-key", key)]).says == "pass").collect()
    };
    assert_eq!(passes(json!({"plans": ["pro"]})), ["alice-key"]);
    assert_eq!(passes(json!({"consumers": ["bob", "carol"]})), ["bob-key", "carol-key"]);
    assert_eq!(passes(json!({"consumers": ["carol"], "plans": ["pro"]})), ["alice-key", "carol-key"]);
    let mut gateway = with_policy(json!({"api_key": {"plans": ["pro"]}}));
    let refused = gateway.send(&[("x-api-key", "carol-key")]);
    assert_eq!((refused.says.as_str(), refused.reply.unwrap().status), ("consumer_not_allowed", 403));
}

#[test]
fn the_key_is_read_from_the_header_of_the_policy_and_removed() {
    let mut gateway = with_policy(json!({"api_key": {"header": "X-Secret"}}));
    let outcome = gateway.send(&[("x-secret", "carol-key"), ("x-api-key", "left"), ("x-kept", "1")]);
    let expected = [("x-api-key", "left"), ("x-kept", "1"), ("x-consumer-id", "carol")];
    assert_eq!(outcome.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let missing = gateway.send(&[]);
    assert_eq!(missing.header("www-authenticate"), Some(r#"ApiKey realm="legation", header="x-secret""#));
}

#[test]
fn the_first_place_that_has_a_key_decides_and_all_keys_are_taken_out() {
    let mut gateway =
        with_policy(json!({"api_key": {"query": "key", "cookie": "key", "bearer": true, "header": "x-key"}}));
    for (headers, says, left) in [
        (vec![(":path", "/a?b=1&key=carol-key")], "carol", vec![(":path", "/a?b=1")]),
        (
            vec![("cookie", "a=1; key=carol-key"), (":path", "/a?key=bob-key")],
            "carol",
            vec![("cookie", "a=1"), (":path", "/a")],
        ),
        (vec![("authorization", "Bearer carol-key"), ("cookie", "key=bob-key")], "carol", vec![]),
        (
            vec![("authorization", "Basic YTpi"), ("cookie", "key=carol-key")],
            "carol",
            vec![("authorization", "Basic YTpi")],
        ),
        (vec![("x-key", "carol-key"), ("authorization", "Bearer unknown")], "carol", vec![]),
        (vec![("x-key", ""), ("authorization", "Bearer carol-key")], "carol", vec![]),
        (vec![("x-api-key", "carol-key")], "missing_api_key", vec![]),
        (vec![("x-key", "unknown"), ("authorization", "Bearer carol-key")], "unknown_api_key", vec![]),
        (vec![("x-key", "carol-key"), ("x-key", "carol-key"), ("cookie", "key=bob-key")], "duplicate_api_key", vec![]),
        (vec![("cookie", "key=x; key=y"), (":path", "/?key=carol-key")], "duplicate_api_key", vec![]),
        // Where the first has one, a later place may have two: they go, too.
        (vec![("x-key", "carol-key"), (":path", "/?key=x&key=y")], "carol", vec![(":path", "/")]),
    ] {
        let outcome = gateway.send(&headers);
        let says_who = outcome.header("x-consumer-id").unwrap_or(&outcome.says);
        assert_eq!(says_who, says, "{headers:?}");
        if outcome.says == "pass" {
            let rest = outcome.headers.iter().filter(|(name, _)| !name.starts_with("x-consumer"));
            let rest: Vec<_> = rest.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(rest, left, "{headers:?}");
        }
    }
}

#[test]
fn a_key_in_the_path_is_taken_out_of_a_refused_request_too() {
    let mut gateway = with_policy(json!({"api_key": {"query": "key", "header": "x-key"}}));
    let headers: [(&[u8], &[u8]); 2] = [(b":path", b"/a?key=old&b"), (b"x-key", b"unknown")];
    let policy = policy_of(&gateway.tables, &mut gateway.policies, &headers, &mut gateway.outside, |_| ());
    let decision = decide(policy.as_deref(), &gateway.tables, &headers, &mut gateway.outside);
    assert!(matches!(decision.outcome, Outcome::Refuse(_)));
    assert_eq!(decision.edits, [Edit::Replace(":path", b"/a?b"[..].into())], "the header is not in the access log");
}

#[test]
fn where_a_key_is_optional_who_has_none_is_nobody_and_who_has_a_bad_one_is_refused() {
    let mut gateway = with_policy(json!({"api_key": {"optional": true, "anonymous_plan": "free"}}));
    let anonymous = gateway.send(&[("x-consumer-id", "root")]);
    assert_eq!((anonymous.says.as_str(), anonymous.header("x-consumer-id")), ("pass", None));
    assert_eq!(anonymous.header("x-consumer-plan"), Some("free"));
    assert_eq!(gateway.send(&[("x-api-key", "")]).says, "pass", "an empty key is none");
    assert_eq!(gateway.send(&[("x-api-key", "carol-key")]).header("x-consumer-id"), Some("carol"));
    assert_eq!(gateway.send(&[("x-api-key", "unknown")]).says, "unknown_api_key");
    assert_eq!(gateway.send(&[("x-api-key", "a"), ("x-api-key", "b")]).says, "duplicate_api_key");
}

#[test]
fn who_comes_without_a_key_is_counted_by_address() {
    for limit in [json!({"plan": true}), json!({"limit": 2, "window": "1m", "by": "consumer"})] {
        let rule = json!({"optional": true, "anonymous_plan": "free"});
        let mut gateway = with_policy(json!({"api_key": rule, "rate_limit": [limit]}));
        let mut says = |address: &'static str, headers: &[(&str, &str)]| {
            gateway.outside.address = Some(address.into());
            gateway.send(headers).says
        };
        assert_eq!([says("10.0.0.1:5", &[]), says("10.0.0.1:6", &[])], ["pass", "pass"]);
        assert_eq!(says("10.0.0.1:7", &[]), "rate_limited");
        assert_eq!(says("10.0.0.2:7", &[]), "pass", "another has its own count");
        assert_eq!(says("10.0.0.1:7", &[("x-api-key", "bob-key")]), "pass", "as has a consumer");
    }
}

#[test]
fn a_mistyped_key_is_told_from_an_unknown_one_and_a_held_one_is_good_whatever_it_looks_like() {
    let mut config = with_policies(json!([{"name": "p", "api_key": {}}]), json!([{"policy": "p"}]));
    let key = legation_filter::consumer::key_format::key("k", "somesecret");
    config["consumers"][2]["api_keys"] = json!([{"sha256": sha256(&key)}, {"sha256": sha256("lg_of_another_make")}]);
    let mut gateway = Gateway::new(&config);
    let mut says = |key: &str| gateway.send(&[("x-api-key", key)]).says;
    assert_eq!([says(&key), says("lg_of_another_make")], ["pass", "pass"]);
    assert_eq!(says(&key.replace("some", "sume")), "malformed_api_key");
    assert_eq!(says(&key[..key.len() - 2]), "malformed_api_key");
    assert_eq!(says(&legation_filter::consumer::key_format::key("k", "another")), "unknown_api_key");
}

#[test]
fn a_key_is_not_valid_before_its_time() {
    let mut config = with_policies(json!([{"name": "p", "api_key": {}}]), json!([{"policy": "p"}]));
    config["consumers"][2]["api_keys"][0]["not_before"] = json!("2027-01-15T08:00:10Z");
    let mut gateway = Gateway::new(&config);
    let refused = gateway.send(&[("x-api-key", "carol-key")]);
    assert_eq!((refused.says.as_str(), refused.reply.unwrap().status), ("not_yet_valid_api_key", 401));
    gateway.outside.now += 10 * SECOND;
    assert_eq!(gateway.send(&[("x-api-key", "carol-key")]).says, "pass");
}

#[test]
fn a_key_is_kept_where_the_policy_says_so() {
    let mut gateway = with_policy(json!({"api_key": {"keep": true}}));
    assert_eq!(gateway.send(&[("x-api-key", "carol-key")]).header("x-api-key"), Some("carol-key"));
}

#[test]
fn an_identity_that_the_client_claims_never_reaches_the_upstream() {
    let forged = [
        ("x-consumer-id", "root"),
        ("x_consumer_id", "root"),
        ("x-consumer_id", "root"),
        ("x-consumer-plan", "gold"),
        ("x-consumer-plan", "platinum"),
        ("x_consumer_plan", "gold"),
    ];
    let identity = |headers: &[(String, String)]| -> Vec<(String, String)> {
        headers.iter().filter(|(name, _)| name.contains("consumer")).cloned().collect()
    };
    let with_key = |key: &'static str| forged.into_iter().chain([("x-api-key", key)]).collect::<Vec<_>>();
    let own = |list: &[(&str, &str)]| list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();

    let mut keyed = with_policy(json!({"api_key": {}}));
    assert_eq!(
        identity(&keyed.send(&with_key("alice-key")).headers),
        own(&[("x-consumer-id", "alice"), ("x-consumer-plan", "pro")])
    );
    assert_eq!(identity(&keyed.send(&with_key("carol-key")).headers), own(&[("x-consumer-id", "carol")]));
    let mut open = with_policy(json!({}));
    assert_eq!(identity(&open.send(&forged).headers), own(&[]));
    assert_eq!(open.send(&[("x-consumer-ids", "mine")]).header("x-consumer-ids"), Some("mine"));
}

#[test]
fn header_values_need_not_be_utf8() {
    let mut gateway = with_policy(json!({"api_key": {}}));
    let outcome = gateway.send_bytes(&[(b"x-api-key", b"\xff\xfe"), (b"x-other", b"\x80")]);
    assert_eq!(outcome.says, "unknown_api_key");
    let outcome = gateway.send_bytes(&[(b"x-api-key", b"carol-key"), (b"cookie", b"\xc3\x28"), (b":path", b"/\xff")]);
    assert_eq!(outcome.says, "pass");
}

#[test]
fn a_limit_counts_for_the_route_the_consumer_or_the_address() {
    let alice = [("x-api-key", "alice-key")];
    let bob = [("x-api-key", "bob-key")];
    for (by, same_for_bob, same_elsewhere) in [("route", true, true), ("consumer", false, true), ("ip", true, false)] {
        let mut gateway = with_policy(json!({"api_key": {}, "rate_limit": [{"limit": 1, "window": "1m", "by": by}]}));
        gateway.outside.address = Some("192.0.2.1:4000".into());
        assert_eq!(gateway.send(&alice).says, "pass");
        assert_eq!(gateway.send(&alice).says, "rate_limited", "{by}");
        assert_eq!(gateway.send(&bob).says == "rate_limited", same_for_bob, "{by}");
        gateway.outside.address = Some("192.0.2.2:4000".into());
        assert_eq!(gateway.send(&alice).says == "rate_limited", same_elsewhere, "{by}");
    }
}

#[test]
fn a_plan_gives_its_consumers_their_limits_over_all_policies() {
    let policies = json!([
        {"name": "a", "api_key": {}, "rate_limit": [{"plan": true}]},
        {"name": "b", "api_key": {}, "rate_limit": [{"plan": true}]},
    ]);
    let mut gateway = Gateway::new(&with_policies(policies, json!([{"prefix": "/a", "policy": "a"}, {"policy": "b"}])));
    let on_a = |key: &'static str| [(":path", "/a"), ("x-api-key", key)];
    let on_b = |key: &'static str| [(":path", "/b"), ("x-api-key", key)];
    assert_eq!(gateway.send(&on_a("bob-key")).limits.as_deref(), Some(r#""free";r=1;t=30"#));
    assert_eq!(gateway.send(&on_b("bob-key")).limits.as_deref(), Some(r#""free";r=0;t=30"#));
    assert_eq!(gateway.send(&on_a("bob-key")).says, "rate_limited");
    let of_pro = r#""pro";r=599;t=1, "pro-2";r=9999;t=9"#;
    assert_eq!(gateway.send(&on_a("alice-key")).limits.as_deref(), Some(of_pro));
    for _ in 0..5 {
        let carol = gateway.send(&on_a("carol-key"));
        assert_eq!((carol.says.as_str(), carol.limits), ("pass", None), "no plan, no limit of a plan");
    }
}

#[test]
fn a_limited_caller_is_told_the_limit_and_when_to_come_back() {
    let limits = json!([{"limit": 10, "window": "1s", "name": "fast"}, {"limit": 2, "window": "1m", "burst": 1}]);
    let mut gateway = with_policy(json!({"rate_limit": limits}));
    assert_eq!(gateway.send(&[]).limits.as_deref(), Some(r#""fast";r=9;t=1, "p";r=0;t=30"#));
    let refused = gateway.send(&[]);
    assert_eq!(refused.says, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""fast";q=10;w=1, "p";q=2;w=60"#));
    assert_eq!(refused.header("ratelimit"), Some(r#""fast";r=9;t=1, "p";r=0;t=30"#), "the other is not charged");
    gateway.outside.now += 30 * SECOND;
    assert_eq!(gateway.send(&[]).says, "pass");
}

#[test]
fn a_request_without_a_good_key_is_not_counted() {
    let mut gateway = with_policy(json!({"api_key": {}, "rate_limit": [{"limit": 1, "window": "1m"}]}));
    assert_eq!(gateway.send(&[("x-api-key", "wrong")]).says, "unknown_api_key");
    assert_eq!(gateway.send(&[("x-api-key", "bob-key")]).says, "pass");
}

#[test]
fn counts_outlive_a_new_configuration() {
    let config = |limit: u64| {
        let limits = json!([{"limit": limit, "window": "1m", "by": "consumer"}]);
        with_policies(json!([{"name": "p", "api_key": {}, "rate_limit": limits}]), json!([{"policy": "p"}]))
    };
    let mut gateway = Gateway::new(&config(3));
    let bob = [("x-api-key", "bob-key")];
    for _ in 0..3 {
        assert_eq!(gateway.send(&bob).says, "pass");
    }
    gateway.reload(&config(3));
    assert_eq!(gateway.send(&bob).says, "rate_limited");
    gateway.reload(&config(1));
    assert_eq!(gateway.send(&bob).header("retry-after"), Some("60"));
}

#[test]
fn a_count_that_cannot_be_kept_refuses() {
    let mut gateway = with_policy(json!({"rate_limit": [{"limit": 1, "window": "1m"}]}));
    gateway.outside.is_broken = true;
    let refused = gateway.send(&[]);
    assert_eq!((refused.says.as_str(), refused.header("retry-after")), ("rate_limit_unavailable", Some("1")));
}

#[test]
fn a_request_that_no_rule_knows_is_refused() {
    let policies = json!([{"name": "p"}]);
    let mut gateway = Gateway::new(&with_policies(policies.clone(), json!([{"route": "a", "policy": "p"}])));
    for (route, says) in [(Some("a"), "pass"), (Some("b"), "unknown_policy"), (None, "unknown_policy")] {
        gateway.outside.route = route;
        assert_eq!(gateway.send(&[]).says, says, "{route:?}");
    }
    let mut gateway = Gateway::new(&with_policies(policies, json!([])));
    assert_eq!(gateway.send(&[]).says, "unknown_policy");
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policies = json!(
        ["one", "two", "three", "four"]
            .map(|name| json!({"name": name, "rate_limit": [{"limit": 9, "window": "1m", "name": name}]}))
    );
    let rules = json!([
        {"hosts": ["a.test", "*.b.test"], "prefix": "/x", "policy": "one"},
        {"route": "r", "policy": "two"},
        {"prefix": "/x/", "policy": "three"},
        {"route": "r", "hosts": ["a.test"], "policy": "one"},
        {"route": "s", "policy": "four"},
    ]);
    let mut gateway = Gateway::new(&with_policies(policies, rules));
    for (route, host, path, policy) in [
        ("-", "A.test:8080", "/x?q", Some("one")),
        ("r", "c.b.test.", "/x/y", Some("one")),
        ("r", "a.test", "/xy", Some("two")),
        ("-", "b.test", "/x", Some("three")),
        ("s", "b.test", "/x", Some("three")),
        ("s", "b.test", "/", Some("four")),
        ("-", "a.test", "/", None),
    ] {
        gateway.outside.route = Some(route);
        let outcome = gateway.send(&[(":authority", host), (":path", path)]);
        let limits = outcome.limits.unwrap_or_default();
        let named = limits.split('"').nth(1);
        assert_eq!(named, policy, "{route} {host} {path}");
    }
}

#[test]
fn nothing_is_asked_of_envoy_that_the_decision_does_not_need() {
    let asked = |policy: Value, rule: Value| -> BTreeMap<&'static str, u32> {
        let mut policy = policy;
        policy["name"] = json!("p");
        let mut gateway = Gateway::new(&with_policies(json!([policy]), json!([rule])));
        gateway.outside.route = Some("r");
        assert_eq!(gateway.send(&[("x-api-key", "carol-key")]).says, "pass");
        gateway.outside.asked
    };
    assert_eq!(asked(json!({"api_key": {}}), json!({"policy": "p"})), BTreeMap::new());
    assert_eq!(asked(json!({"api_key": {}}), json!({"route": "r", "policy": "p"})), BTreeMap::from([("route", 1)]));
    let limits = json!({"rate_limit": [{"limit": 5, "window": "1s", "by": "ip"}]});
    let all = BTreeMap::from([("address", 1), ("clock", 1), ("get", 1), ("set", 1)]);
    assert_eq!(asked(limits, json!({"policy": "p"})), all);
}

#[test]
fn a_grpc_caller_is_refused_in_grpc() {
    let mut gateway = with_policy(json!({"api_key": {}}));
    let reply = gateway.send(&[("content-type", "application/grpc")]).reply.unwrap();
    assert_eq!(reply.grpc_status, Some(16));
    for (content_type, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc; x=y", true),
        ("application/grpc-web", false),
        ("application/json", false),
        ("", false),
    ] {
        assert_eq!(is_grpc(content_type.as_bytes()), grpc, "{content_type}");
    }
}

#[test]
fn an_address_is_counted_without_port_and_ipv6_by_network() {
    let same = |one: &str, other: &str| address_of(one.as_bytes()) == address_of(other.as_bytes());
    assert!(same("192.0.2.1:1", "192.0.2.1:65535"));
    assert!(!same("192.0.2.1:1", "192.0.2.2:1"));
    assert!(same("[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:2"));
    assert!(!same("[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1"));
    assert!(same("[::ffff:192.0.2.1]:1", "192.0.2.1:2"));
    assert!(same("[fe80::1%eth0]:1", "[fe80::1%eth0]:2"));
    assert!(!same("/run/a.sock", "/run/b.sock"));
    assert_eq!(address_of(b""), b"");
    assert_eq!(address_of(b"\xff:1"), b"\xff");
}

proptest! {
    #[test]
    fn no_request_panics_or_passes_without_its_key(
        headers in proptest::collection::vec(
            (
                prop_oneof![
                    Just(b"x-api-key".to_vec()), Just(b":path".to_vec()), Just(b":authority".to_vec()),
                    Just(b"content-type".to_vec()), Just(b"x-consumer-id".to_vec()), proptest::collection::vec(any::<u8>(), 0..20),
                ],
                proptest::collection::vec(any::<u8>(), 0..40),
            ),
            0..12,
        )
    ) {
        let mut gateway = with_policy(json!({"api_key": {}}));
        let headers: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        prop_assert_ne!(gateway.send_bytes(&headers).says, "pass");
    }
}
