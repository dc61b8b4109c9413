//! The filter's rules, which its compiler has: for consumers, plans, keys and limits.

use crate::support::{REST, ROUTE, codes, codes_of_route, load};

const NOTHING: [&str; 0] = [];

#[test]
fn keys_and_limits_have_their_bounds() {
    for (fields, code) in [
        ("rate_limit: {limit: 0, window: 1m}", "out_of_range"),
        ("rate_limit: {limit: 1000000001, window: 366d}", "out_of_range"),
        ("rate_limit: {limit: 1000000, window: 1ms}", "out_of_range"),
        ("rate_limit: {limit: 1, window: 366d, burst: 2}", "out_of_range"),
        ("rate_limit: {limit: 1, window: 0s}", "out_of_range"),
        ("rate_limit: {limit: 1, window: 367d}", "out_of_range"),
        ("rate_limit: {limit: 1, window: soon}", "bad_duration"),
        ("rate_limit: {window: 1m}", "missing_field"),
        ("rate_limit: {limit: 1}", "missing_field"),
        ("rate_limit: {limit: 1, window: 1m, burst: 0}", "out_of_range"),
        ("rate_limit: {limit: 1, window: 1m, by: consumer}", "needs_api_key"),
        ("rate_limit: {plan: true}", "needs_api_key"),
        ("api_key: {}, rate_limit: {plan: true, limit: 1}", "conflict"),
        ("api_key: {}, rate_limit: [{plan: true}, {plan: true}]", "duplicate_value"),
        ("rate_limit: [{limit: 1, window: 1m, name: a}, {limit: 2, window: 1s, name: a}]", "duplicate_name"),
        ("rate_limit: {limit: 1, window: 1m, name: 'a\"b'}", "invalid_name"),
        ("rate_limit: {limit: 1, window: 1m, algorithm: leaky}", "invalid_value"),
        ("rate_limit: {limit: 1, window: 1m, by: moon}", "invalid_value"),
        ("api_key: {header: 'a b'}", "invalid_value"),
        ("api_key: {header: Host}", "invalid_value"),
        ("api_key: {header: x_consumer_id}", "invalid_value"),
        ("api_key: {consumers: [bob]}", "unknown_consumer"),
        ("api_key: {consumers: []}", "invalid_value"),
        ("api_key: {plans: [gold]}", "unknown_plan"),
        ("api_key: {keep: 'true'}", "wrong_type"),
        ("api_key: {cookie: 'a;b'}", "invalid_value"),
        ("api_key: {query: 'a&b'}", "invalid_value"),
        ("api_key: {bearer: yes please}", "wrong_type"),
        ("api_key: {bearer: true, header: Authorization}", "conflict"),
        ("api_key: {anonymous_plan: pro}", "conflict"),
        ("api_key: {optional: true, anonymous_plan: gold}", "unknown_plan"),
    ] {
        let codes = codes_of_route(&format!("match: {{prefix: /}}, cluster: svc, {fields}"));
        assert_eq!(codes, [code], "{fields}");
    }
}

#[test]
fn consumers_have_plans_and_digests_of_their_own() {
    const DIGEST: &str = "4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd";
    let consumers =
        |list: &str| codes(&format!("version: 1\nlisteners: [{{name: a, port: 1}}]\nconsumers: [{list}]\n"));
    assert_eq!(consumers("{name: a}, {name: a}"), ["duplicate_name"]);
    assert_eq!(consumers("{name: 'a b'}"), ["invalid_name"]);
    assert_eq!(consumers("{name: a, plan: gold}"), ["unknown_plan"]);
    assert_eq!(consumers("{name: a, api_keys: [{sha256: secret}]}"), ["bad_digest"]);
    assert_eq!(consumers("{name: a, api_keys: [{}]}"), ["missing_field"]);
    assert_eq!(consumers(&format!("{{name: a, api_keys: [{{sha256: {DIGEST}, expires: soon}}]}}")), ["invalid_value"]);
    let upper = DIGEST.to_ascii_uppercase();
    let never = format!("{{name: a, api_keys: [{{sha256: {DIGEST}, not_before: 2028-01-01, expires: 2027-01-01}}]}}");
    assert_eq!(consumers(&never), ["conflict"]);
    let twice = format!("{{name: a, api_keys: [{{sha256: {DIGEST}}}]}}, {{name: b, api_keys: [{{sha256: {upper}}}]}}");
    assert_eq!(consumers(&twice), ["duplicate_value"]);
    assert_eq!(
        consumers("{name: a, api_keys: [{id: k, sha256: x}, {id: k, sha256: y}]}"),
        ["bad_digest", "duplicate_name", "bad_digest"]
    );
}

#[test]
fn callers_that_cannot_be_and_callers_without_limits_are_warned_of() {
    let route = "{name: r, match: {prefix: /}, cluster: svc, api_key: {}, rate_limit: {plan: true}}";
    assert_eq!(codes(&format!("{REST}routes: [{route}]\n")), NOTHING);
    assert_eq!(codes(&format!("{REST}routes: [{route}]\n").replace("  plan: pro\n", "")), ["without_plan"]);
    assert_eq!(codes(&format!("{REST}routes: [{route}]\n").replace("{limit: 600, window: 1m}", "")), ["without_plan"]);
    assert_eq!(
        codes(
            &format!("{REST}routes: [{route}]\n")
                .replace("{sha256: 4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd}", "")
        ),
        ["nobody_admitted"]
    );
    assert_eq!(codes_of_route("match: {prefix: /}, cluster: svc, api_key: {plans: [pro]}"), NOTHING);
    let anonymous = |plan: &str| {
        let rule = format!("api_key: {{optional: true{plan}}}, rate_limit: {{plan: true}}");
        codes_of_route(&format!("match: {{prefix: /}}, cluster: svc, {rule}"))
    };
    assert_eq!(anonymous(""), ["without_plan"]);
    assert_eq!(anonymous(", anonymous_plan: pro"), NOTHING);
    let other = format!(
        "{REST}- name: bob\nroutes: [{{name: r, match: {{prefix: /}}, cluster: svc, api_key: {{consumers: [bob]}}}}]\n"
    );
    assert_eq!(codes(&other), ["nobody_admitted"]);
}

#[test]
fn no_digest_is_ever_shown_whole() {
    let digest = "4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd";
    let text = format!(
        "version: 1\nconsumers:\n- {{name: a, api_keys: [{{sha256: {digest}}}, {{sha256: {digest}}}, {{sha256: my-key}}]}}\n"
    );
    let source = crate::support::source(text.clone());
    let rendered = legation::diagnostic::render(&load(text).diagnostics, &source);
    assert!(rendered.contains("duplicate_value") && rendered.contains("bad_digest"), "{rendered}");
    assert!(!rendered.contains(&digest[..16]), "{rendered}");
}

#[test]
fn a_limit_looks_at_nothing_that_the_gateway_takes_away() {
    for limit in ["by: 'header:X-Consumer-Id'", "cost: 'header:x-consumer-metadata-tier'"] {
        let route = format!("match: {{prefix: /}}, cluster: svc, rate_limit: {{limit: 1, window: 1s, {limit}}}");
        assert_eq!(codes_of_route(&route), ["conflict"], "{limit}");
    }
}

#[test]
fn a_cost_is_held_against_the_plans_of_those_who_may_come() {
    let with = |api_key: &str| {
        let text = format!(
            "version: 1\nlisteners: [{{name: http, port: 8000}}]\n\
             clusters: [{{name: svc, endpoints: ['svc:80']}}]\n\
             plans:\n- {{name: pro, limits: {{limit: 100, window: 1m}}}}\n- {{name: free, limits: {{limit: 5, window: 1m}}}}\n\
             - {{name: unused, limits: {{limit: 1, window: 1m}}}}\n\
             consumers:\n- {{name: alice, plan: pro, api_keys: [{{sha256: {}}}]}}\n- {{name: bob, plan: free, api_keys: [{{sha256: {}}}]}}\n\
             routes:\n- {{name: r, match: {{prefix: /}}, cluster: svc, api_key: {api_key}, rate_limit: {{plan: true, cost: 50}}}}\n",
            "a".repeat(64),
            "b".repeat(64)
        );
        codes(&text)
    };
    assert_eq!(with("{plans: [pro]}"), [""; 0]);
    assert_eq!(with("{consumers: [alice]}"), [""; 0]);
    assert_eq!(with("{}"), ["out_of_range"]);
    assert_eq!(with("{plans: [free, pro]}"), ["out_of_range"]);
    assert_eq!(with("{consumers: [bob]}"), ["out_of_range"]);
    assert_eq!(with("{plans: [pro], optional: true, anonymous_plan: unused}"), ["out_of_range"]);
}

#[test]
fn the_limits_of_a_plan_may_have_names_that_are_told_apart() {
    let with = |limits: &str| {
        let text = format!("{REST}routes: [{ROUTE}]\n");
        let pro = text.lines().find(|line| line.contains("name: pro,")).unwrap().to_owned();
        codes(&text.replace(&pro, &format!("plans: [{{name: pro, limits: {limits}}}]")))
    };
    assert_eq!(with("[{name: a, limit: 1, window: 1s}, {name: b, limit: 9, window: 1m}]"), [""; 0]);
    assert_eq!(with("[{name: a, limit: 1, window: 1s}, {name: a, limit: 9, window: 1m}]"), ["duplicate_name"]);
}
