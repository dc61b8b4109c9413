//! What is said of configurations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use legation_filter::compile::{MAX_BYTES, compile, compile_config, compile_with};
use legation_filter::config::Config;
use proptest::prelude::*;
use serde_json::{Value, json};

const DIGEST: &str = "4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd";

fn good() -> Value {
    json!({
        "version": 1,
        "key_pepper": "sixteen bytes or more",
        "rate_limit_headers": "x-ratelimit",
        "payload_in_metadata": "payload",
        "plans": [
            {"name": "pro", "limits": [{"limit": 600, "window": "1m", "burst": 100}], "quota": {"limit": 9, "window": "month"}},
        ],
        "consumers": [{
            "name": "alice",
            "plan": "pro",
            "api_keys": [{"id": "a", "sha256": DIGEST, "expires": "2027-01-31"}],
            "metadata": {"tier": "gold"},
        }],
        "policies": [{
            "name": "api",
            "api_key": {"header": "X-Key", "consumers": ["alice"], "plans": ["pro"]},
            "rate_limit": [
                {"plan": true, "override": {"pro": [{"limit": 5, "window": "1s", "algorithm": "sliding_window"}]}},
                {"limit": 5, "window": "1s", "by": "consumer", "name": "n", "cost": "header:X-Cost", "dry_run": true},
            ],
            "stream_headers": true,
        }],
        "rules": [{"route": "r", "hosts": ["a.test", "*.b.test", "[::1]"], "prefix": "/x", "policy": "api"}, {"policy": "api"}],
    })
}

/// The good configuration with the value at a JSON pointer put in, and what is then said.
fn said_with(pointer: &str, value: Value) -> Vec<String> {
    let mut config = good();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(field.to_owned(), value)),
        Value::Array(list) if field == "-" => list.push(value),
        Value::Array(list) => list[field.parse::<usize>().unwrap()] = value,
        other => panic!("{other} at {parent}"),
    }
    match compile(config.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_good_configuration_compiles() {
    assert!(compile(good().to_string().as_bytes()).is_ok());
    assert!(compile(br#"{"version": 1}"#).is_ok());
    let config: Config = serde_json::from_value(good()).unwrap();
    assert!(compile_config(&config, |_| None).is_ok());
    assert_eq!(serde_json::from_str::<Config>(&serde_json::to_string(&config).unwrap()).unwrap(), config);
}

#[test]
fn each_mistake_is_said_with_its_place() {
    let api_key = json!({"name": "x", "rate_limit": [{"plan": true}]});
    for (pointer, value, said) in [
        ("/version", json!(2), "version: version 2 is not known"),
        ("/plans/-", json!({"name": "pro"}), "plans[1].name: there is already a plan `pro` at plans[0].name"),
        ("/plans/-", json!({"name": ""}), "plans[1].name: `` is no name for a plan: 1 to 128 letters"),
        ("/plans/0/limits/0/limit", json!(0), "plans[0].limits[0].limit: `limit` must be 1 to 1000000000, not 0"),
        (
            "/plans/0/limits/0/limit",
            json!(1_000_000_001),
            "plans[0].limits[0].limit: `limit` must be 1 to 1000000000, not 1000000001",
        ),
        (
            "/plans/0/limits/0/limit",
            json!(100_000_000),
            "plans[0].limits[0].limit: more than 1000000 requests a second",
        ),
        ("/plans/0/limits/0/burst", json!(0), "plans[0].limits[0].burst: `burst` must be 1 to 1000000000, not 0"),
        ("/plans/0/limits/0/window", json!("0s"), "plans[0].limits[0].window: `window` must be more than zero"),
        (
            "/plans/0/limits/0/window",
            json!("367d"),
            "plans[0].limits[0].window: `window` must be at most `366d`, not `367d`",
        ),
        ("/plans/0/limits/0/window", json!("1 min"), "plans[0].limits[0].window: `window` must be a duration"),
        (
            "/plans/0/limits/0",
            json!({"limit": 1, "window": "1d", "burst": 367}),
            "plans[0].limits[0].burst: at this limit a `burst` of 367 takes",
        ),
        (
            "/consumers/-",
            json!({"name": "alice"}),
            "consumers[1].name: there is already a consumer `alice` at consumers[0].name",
        ),
        (
            "/consumers/-",
            json!({"name": "a\nb"}),
            "consumers[1].name: `a\\nb` is no name for a consumer: 1 to 128 visible",
        ),
        ("/consumers/0/plan", json!("gold"), "consumers[0].plan: there is no plan `gold`"),
        ("/consumers/0/api_keys/0/sha256", json!("ab"), "consumers[0].api_keys[0].sha256: `sha256` must be the 64"),
        (
            "/consumers/0/api_keys/0/sha256",
            json!(format!("{DIGEST}0")),
            "consumers[0].api_keys[0].sha256: `sha256` must be the 64",
        ),
        (
            "/consumers/0/api_keys/0/sha256",
            json!("+f".repeat(32)),
            "consumers[0].api_keys[0].sha256: `sha256` must be the 64",
        ),
        (
            "/consumers/0/api_keys/0/expires",
            json!("soon"),
            "consumers[0].api_keys[0].expires: `expires` must be a date such as",
        ),
        (
            "/policies/-",
            json!({"name": "api"}),
            "policies[1].name: there is already a policy `api` at policies[0].name",
        ),
        ("/policies/0/api_key/header", json!("a b"), "policies[0].api_key.header: `a b` is not a header's name"),
        ("/policies/0/api_key/header", json!(":path"), "policies[0].api_key.header: `:path` is not a header's name"),
        ("/policies/0/api_key/header", json!("Host"), "policies[0].api_key.header: `Host` can not carry a key"),
        ("/policies/0/api_key/header", json!("X_Consumer-Id"), "policies[0].api_key.header: `X_Consumer-Id` can not"),
        ("/policies/0/api_key/cookie", json!("a b"), "policies[0].api_key.cookie: `a b` is not the name of a cookie"),
        (
            "/policies/0/api_key/query",
            json!("a\"b"),
            "policies[0].api_key.query: `a\\\"b` is not the name of a parameter",
        ),
        ("/policies/0/api_key/query", json!("a=b"), "policies[0].api_key.query: `a=b` is not the name of a parameter"),
        (
            "/policies/0/api_key",
            json!({"bearer": true, "header": "Authorization"}),
            "policies[0].api_key.bearer: the header",
        ),
        ("/policies/0/api_key", json!({"anonymous_plan": "pro"}), "policies[0].api_key.anonymous_plan: only with"),
        (
            "/policies/0/api_key",
            json!({"anonymous_plan": "gold", "optional": true}),
            "policies[0].api_key.anonymous_plan: there is no plan `gold`",
        ),
        (
            "/consumers/0/api_keys/0/not_before",
            json!("2999-01-01"),
            "consumers[0].api_keys[0].not_before: the key is never valid",
        ),
        (
            "/policies/0/api_key/consumers/-",
            json!("eve"),
            "policies[0].api_key.consumers[1]: there is no consumer `eve`",
        ),
        ("/policies/0/api_key/plans/-", json!("gold"), "policies[0].api_key.plans[1]: there is no plan `gold`"),
        ("/policies/-", api_key, "policies[1].rate_limit[0].plan: a limit by plan needs `api_key` beside it (add"),
        (
            "/policies/0/rate_limit/-",
            json!({"plan": true}),
            "policies[0].rate_limit[2].plan: the plan's limits are already asked for at policies[0].rate_limit[0].plan",
        ),
        ("/policies/0/rate_limit/0/limit", json!(5), "policies[0].rate_limit[0].limit: only one of `plan` and `limit`"),
        ("/policies/0/rate_limit/0/by", json!("ip"), "policies[0].rate_limit[0].by: only one of `plan` and `by`"),
        (
            "/policies/0/rate_limit/-",
            json!({"window": "1s"}),
            "policies[0].rate_limit[2].limit: `rate_limit` needs a field `limit` (or",
        ),
        (
            "/policies/0/rate_limit/-",
            json!({"limit": 1}),
            "policies[0].rate_limit[2].window: `rate_limit` needs a field `window` (or",
        ),
        (
            "/policies/0/rate_limit/0/name",
            json!("n"),
            "policies[0].rate_limit[1].name: there is already a limit `n` at policies[0].rate_limit[0].name",
        ),
        ("/policies/0/rate_limit/1/name", json!(""), "policies[0].rate_limit[1].name: `` is no name for a limit"),
        ("/rules/0/policy", json!("other"), "rules[0].policy: there is no policy `other`"),
        ("/rules/0/hosts/0", json!("a.test:80"), "rules[0].hosts[0]: `a.test:80` is not a host"),
        ("/rules/0/hosts/1", json!("*"), "rules[0].hosts[1]: `*` is not a host"),
        ("/rules/0/hosts/1", json!("*b.test"), "rules[0].hosts[1]: `*b.test` is not a host"),
        ("/rules/0/prefix", json!("x"), "rules[0].prefix: `x` is not a path prefix"),
        ("/rules/0/prefix", json!("/x?y"), "rules[0].prefix: `/x?y` is not a path prefix"),
        (
            "/policies/0/rate_limit/1/by",
            json!("moon"),
            "policies[0].rate_limit[1].by: unknown `by` `moon`, expected route,",
        ),
        ("/policies/0/rate_limit/1/limit", json!(-1), "policies[0].rate_limit[1].limit: invalid value"),
        ("/policies/0/api_keys", json!({}), "policies[0].api_keys: unknown field `api_keys`"),
        ("/key_pepper", json!("short"), "key_pepper: a pepper has at least 16 bytes"),
        ("/key_pepper", json!(["a secret that is long enough"]), "key_pepper: not a text"),
        ("/key_pepper_env", json!("PEPPER"), "key_pepper_env: the pepper is already given by `key_pepper`"),
        ("/rate_limit_headers", json!("draft"), "rate_limit_headers: unknown variant `draft`"),
        ("/plans/0/quota/limit", json!(0), "plans[0].quota.limit: `limit` must be 1 to 1000000000, not 0"),
        ("/plans/0/quota/window", json!("week"), "plans[0].quota.window: unknown variant `week`"),
        ("/consumers/0/metadata/Tier", json!("x"), "consumers[0].metadata.Tier: `Tier` is not a name of metadata"),
        ("/consumers/0/metadata/tier", json!("a\r\nb"), "consumers[0].metadata.tier: a value of metadata is printable"),
        (
            "/policies/0/rate_limit/1/by",
            json!("header:a b"),
            "policies[0].rate_limit[1].by: `a b` is not a header's name",
        ),
        (
            "/policies/0/rate_limit/1/by",
            json!("header:Host"),
            "policies[0].rate_limit[1].by: no limit can look at `Host`",
        ),
        (
            "/policies/0/rate_limit/1/by",
            json!("header:x_consumer_id"),
            "policies[0].rate_limit[1].by: no limit can look at `x_consumer_id`",
        ),
        (
            "/policies/0/rate_limit/1/cost",
            json!("header:x-consumer-plan"),
            "policies[0].rate_limit[1].cost: no limit can look at",
        ),
        (
            "/plans/0/limits/-",
            json!({"limit": 1, "window": "1s", "name": ""}),
            "plans[0].limits[1].name: `` is no name for a limit",
        ),
        (
            "/policies/-",
            json!({"name": "x", "rate_limit": [{"limit": 1, "window": "1s", "by": "plan"}]}),
            "policies[1].rate_limit[0].by: a limit by plan needs `api_key` beside it (add",
        ),
        ("/policies/0/rate_limit/1/by", json!("header:"), "policies[0].rate_limit[1].by: unknown `by` `header:`"),
        (
            "/policies/0/rate_limit/1/cost",
            json!(0),
            "policies[0].rate_limit[1].cost: `cost` must be a whole number from 1",
        ),
        ("/policies/0/rate_limit/1/cost", json!("x"), "policies[0].rate_limit[1].cost: invalid value"),
        (
            "/policies/0/rate_limit/1/cost",
            json!("header:a b"),
            "policies[0].rate_limit[1].cost: `a b` is not a header's name",
        ),
        (
            "/policies/0/rate_limit/0/cost",
            json!(6),
            "policies[0].rate_limit[0].cost: `cost` 6 is more than the plan `pro`",
        ),
        (
            "/policies/0/rate_limit/1/limit",
            json!(1_u64 << 63),
            "policies[0].rate_limit[1].limit: `limit` must be 1 to 1000000000, not",
        ),
        (
            "/policies/0/rate_limit/1/limit",
            json!(0),
            "policies[0].rate_limit[1].limit: `limit` must be 1 to 1000000000, not 0",
        ),
        (
            "/policies/0/rate_limit/0/algorithm",
            json!("sliding_window"),
            "policies[0].rate_limit[0].algorithm: only one of `plan` and",
        ),
        (
            "/policies/0/rate_limit/0/override/pro/0/burst",
            json!(2),
            "policies[0].rate_limit[0].override.pro[0].burst: a sliding window has no `burst`",
        ),
        (
            "/policies/0/rate_limit/0/override/pro",
            json!([]),
            "policies[0].rate_limit[0].override.pro: no limit is given for `pro`",
        ),
        (
            "/policies/0/rate_limit/0/override/gold",
            json!([{"limit": 1, "window": "1s"}]),
            "policies[0].rate_limit[0].override.gold: there is no plan `gold`",
        ),
        (
            "/policies/0/rate_limit/1/override",
            json!({"pro": [{"limit": 1, "window": "1s"}]}),
            "policies[0].rate_limit[1].override: `override` changes the limits",
        ),
        ("/route_policies", json!(1), "route_policies: invalid type"),
        ("/plans/0/limits/0/limit", json!("many"), "plans[0].limits[0].limit: invalid type"),
    ] {
        let all = said_with(pointer, value.clone());
        assert!(all.iter().any(|one| one.starts_with(said)), "{pointer} = {value}: {all:?}");
        assert_eq!(all.len(), 1, "{pointer} = {value}: {all:?}");
    }
}

#[test]
fn a_document_has_policies_and_rules_or_leaves_them_to_routes() {
    let mut config = good();
    config["route_policies"] = json!(true);
    let said = |config: &Value| -> Vec<String> {
        let problems = compile(config.to_string().as_bytes()).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    };
    let both = said(&config);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[0].starts_with("policies: with `route_policies`"), "{both:?}");
    assert!(both[1].starts_with("rules: with `route_policies`"), "{both:?}");
    for list in ["policies", "rules"] {
        config.as_object_mut().unwrap().remove(list);
    }
    assert_eq!(said(&config), [""; 0]);
    assert!(compile(config.to_string().as_bytes()).unwrap().has_limits(), "a route may bring the first limit");
}

#[test]
fn text_with_escapes_is_what_it_stands_for() {
    let written =
        good().to_string().replace(r#""name":"alice""#, r#""name":"\u0061lice""#).replace(DIGEST, &escaped(DIGEST));
    assert!(written.contains(r"\u0061lice") && !written.contains(DIGEST));
    assert!(compile(written.as_bytes()).is_ok());
}

fn escaped(text: &str) -> String {
    text.chars().map(|character| format!(r"\u{:04x}", u32::from(character))).collect()
}

#[test]
fn a_key_given_twice_is_said_without_its_digest() {
    let said = said_with("/consumers/-", json!({"name": "eve", "api_keys": [{"sha256": DIGEST.to_uppercase()}]}));
    assert_eq!(
        said,
        [
            "consumers[1].api_keys[0].sha256: this key is already given at consumers[0].api_keys[0].sha256: a key belongs to one consumer"
        ]
    );
}

#[test]
fn a_key_written_where_its_digest_belongs_is_not_repeated() {
    for keys in [json!("secret"), json!(["secret"]), json!({"sha256": "secret"}), json!([{"sha256": "secret"}])] {
        let said = said_with("/consumers/0/api_keys", keys);
        assert!(said[0].starts_with("consumers[0].api_keys"), "{said:?}");
        assert!(!said[0].contains("secret"), "{said:?}");
    }
}

#[test]
fn a_cost_above_a_limit_is_a_mistake_where_it_would_refuse_somebody() {
    let said = |rule: Value, limit: Value| -> Vec<String> {
        let mut config = good();
        config["plans"][0]["limits"][0]["burst"] = json!(10);
        for (name, limit) in [("small", 2), ("unused", 1)] {
            let plan = json!({"name": name, "limits": [{"limit": limit, "window": "1s"}]});
            config["plans"].as_array_mut().unwrap().push(plan);
        }
        let bob = json!({"name": "bob", "plan": "small", "api_keys": [{"sha256": "0".repeat(64)}]});
        config["consumers"].as_array_mut().unwrap().push(bob);
        config["policies"] = json!([{"name": "api", "api_key": rule, "rate_limit": [limit]}]);
        match compile(config.to_string().as_bytes()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    };
    let own = json!({"limit": 5, "window": "1s", "cost": 6});
    assert!(
        said(json!({}), own.clone())[0]
            .starts_with("policies[0].rate_limit[0].cost: `cost` 6 is more than this limit ever allows at once, 5")
    );
    let plan = |cost: u64| json!({"plan": true, "cost": cost});
    assert!(said(json!({}), plan(3))[0].contains("the plan `small` ever allows at once, 2"));
    assert_eq!(said(json!({"plans": ["pro"]}), plan(3)), [""; 0], "nobody of the small plan comes");
    assert_eq!(said(json!({"plans": ["pro"], "optional": true, "anonymous_plan": "small"}), plan(3)).len(), 1);
    let tried = |mut limit: Value| {
        limit["dry_run"] = json!(true);
        limit
    };
    assert_eq!(said(json!({}), tried(own)), [""; 0], "what is only tried out refuses nobody");
    assert_eq!(said(json!({}), tried(plan(3))), [""; 0]);
}

#[test]
fn a_pepper_may_come_from_the_environment() {
    let config = json!({"version": 1, "key_pepper_env": "PEPPER"}).to_string();
    let with = |value: Option<&str>| {
        compile_with(config.as_bytes(), |name| {
            value.filter(|_| name == "PEPPER").map(|value| value.as_bytes().to_vec())
        })
    };
    assert!(with(Some("sixteen bytes or more")).is_ok());
    let said = |value| with(value).unwrap_err()[0].to_string();
    assert!(said(None).starts_with("key_pepper_env: the environment of the VM has no variable `PEPPER`"));
    assert!(said(Some("short")).starts_with("key_pepper_env: a pepper has at least 16 bytes"));
}

#[test]
fn a_pepper_is_never_shown() {
    let config: Config = serde_json::from_value(good()).unwrap();
    assert!(!format!("{config:?}").contains("sixteen"));
    assert!(!format!("{:?}", compile_config(&config, |_| None).unwrap()).contains("sixteen"));
    assert!(!said_with("/key_pepper", json!(["sixteen bytes or more"]))[0].contains("sixteen"));
}

#[test]
fn all_mistakes_are_said_at_once() {
    let problems = compile(json!({"version": 3, "rules": [{"policy": "a"}, {"policy": "b"}]}).to_string().as_bytes());
    let paths: Vec<String> = problems.unwrap_err().into_iter().map(|problem| problem.at.to_string()).collect();
    assert_eq!(paths, ["version", "rules[0].policy", "rules[1].policy"]);
}

#[test]
fn what_is_not_a_document_is_refused() {
    for (text, said) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("null", "invalid type: null"),
        ("{}", "missing field `version`"),
        ("{\"version\": 1} x", "trailing characters"),
        ("{\"version\": 1", "EOF"),
        ("[[[[", "invalid"),
    ] {
        let problems = compile(text.as_bytes()).unwrap_err();
        assert!(problems[0].to_string().contains(said), "{text}: {problems:?}");
    }
    let deep = "[".repeat(1_000_000);
    assert!(compile(deep.as_bytes()).is_err());
    let large = vec![b' '; MAX_BYTES + 1];
    assert!(compile(&large).unwrap_err()[0].message.to_string().contains("larger than 16777216 bytes"));
}

/// A document in the right words with any values in them.
fn documents() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-c]{0,2}", ".{0,8}", "[0-9]{1,20}(ms|s|m|h|d)", Just(DIGEST.to_owned())].boxed();
    let value = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null)
    ]
    .boxed();
    let words = |names: &'static [&'static str], value: BoxedStrategy<Value>| {
        proptest::collection::vec((proptest::sample::select(names), value), 0..5)
            .prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            })
            .boxed()
    };
    let list = |value: BoxedStrategy<Value>| proptest::collection::vec(value, 0..4).prop_map(Value::from).boxed();
    let limit = words(
        &["limit", "window", "burst", "by", "plan", "name", "cost", "algorithm", "dry_run", "override"],
        value.clone(),
    );
    let texts = list(text.prop_map(Value::from).boxed());
    let api_key = words(&["header", "consumers", "plans", "keep"], prop_oneof![value.clone(), texts.clone()].boxed());
    let item = words(
        &[
            "name",
            "plan",
            "api_key",
            "api_keys",
            "rate_limit",
            "limits",
            "sha256",
            "expires",
            "route",
            "hosts",
            "prefix",
            "policy",
            "metadata",
            "quota",
            "stream_headers",
        ],
        prop_oneof![value.clone(), list(limit), api_key, texts].boxed(),
    );
    let items = prop_oneof![list(item), value].boxed();
    words(&["consumers", "plans", "policies", "rules"], items).prop_map(|mut document| {
        document["version"] = json!(1);
        document
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = compile(&bytes);
    }

    #[test]
    fn arbitrary_documents_never_panic(document in documents()) {
        let _ = compile(document.to_string().as_bytes());
    }

    #[test]
    fn any_limit_is_refused_or_can_be_counted(limit: u64, burst in proptest::option::of(any::<u64>()), number in 0u64..1000, unit in "(ms|s|m|h|d)") {
        let mut rule = json!({"limit": limit, "window": format!("{number}{unit}")});
        if let Some(burst) = burst {
            rule["burst"] = json!(burst);
        }
        let _ = compile(json!({"version": 1, "policies": [{"name": "p", "rate_limit": [rule]}]}).to_string().as_bytes());
    }
}
