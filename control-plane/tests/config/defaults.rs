//! What a good file means: defaults, normal forms, and what goes to the filter.

use std::{net::SocketAddr, time::Duration};

use legation::model::{
    Action, Endpoints, HeaderMatch, HeaderValueMatch, HostPort, LoadBalancing, Model, PathMatch, Protocol, Route,
    Stream, Timeouts,
};
use legation::translate::policy as policy_of;
use legation_filter::config::{ApiKeyRule, By, Policy, RateLimit};

use crate::support::{REST, load, model};

const MINUTE: Duration = Duration::from_secs(60);

fn route(fields: &str) -> Route {
    model(&format!("{REST}routes:\n- {{name: r, {fields}}}\n")).routes.remove(0)
}

#[test]
fn the_smallest_useful_file_is_good_without_a_warning() {
    let text = "version: 1
listeners:
- {name: http, port: 8000}
routes:
- name: api
  match: {prefix: /api}
  cluster: svc
  api_key: {}
  rate_limit: {limit: 100, window: 1m, by: consumer}
clusters:
- {name: svc, endpoints: [\"svc:8080\"]}
consumers:
- name: alice
  api_keys: [{sha256: 4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd}]
";
    assert_eq!(load(text).diagnostics, []);
    let model = model(text);
    assert_eq!(model.listeners[0].address.to_string(), "0.0.0.0");
    assert_eq!(model.listeners[0].origin.to_string(), "gateway.yaml:3:3");
    assert_eq!(model.routes[0].origin.to_string(), "gateway.yaml:5:3");
    assert_eq!(model.clusters[0].protocol, Protocol::Http1);
    assert_eq!(model.clusters[0].lb, LoadBalancing::RoundRobin);
    assert_eq!(model.clusters[0].connect_timeout, Duration::from_secs(5));
    let rate_limit = RateLimit { limit: Some(100), window: Some("1m".into()), by: By::Consumer, ..Default::default() };
    let policy = Policy {
        name: "api".into(),
        api_key: Some(ApiKeyRule::default()),
        rate_limit: vec![rate_limit],
        ..Policy::default()
    };
    assert_eq!(policy_of(&model.routes[0]), Some(policy));
}

#[test]
fn an_empty_gateway_is_legal() {
    let Model { listeners, routes, clusters, .. } = model("version: 1\n");
    assert!(listeners.is_empty() && routes.is_empty() && clusters.is_empty());
}

#[test]
fn an_empty_value_is_an_empty_list_or_an_empty_mapping() {
    model("version: 1\nlisteners:\nroutes:\nclusters:\nconsumers:\nplans:\n");
    assert!(policy_of(&route("match: {prefix: /}, cluster: svc, api_key:")).unwrap().api_key.is_some());
}

#[test]
fn timeouts_are_explicit() {
    let longest = Some(5 * MINUTE);
    let expected = Timeouts { request: Some(MINUTE), idle: Some(5 * MINUTE), first_byte: None, max_stream: longest };
    assert_eq!(route("match: {prefix: /}, cluster: svc").features.timeouts, expected);
}

#[test]
fn an_exchange_may_take_four_minutes_more_than_its_response() {
    for (request, longest) in
        [("1s", Some(5)), ("1m", Some(5)), ("2m", Some(6)), ("1d", Some(24 * 60 + 4)), ("0s", Some(24 * 60))]
    {
        let timeouts =
            route(&format!("match: {{prefix: /}}, cluster: svc, timeouts: {{request: {request}}}")).features.timeouts;
        assert_eq!(timeouts.max_stream, longest.map(|minutes| minutes * MINUTE), "{request}");
    }
}

#[test]
fn a_stream_has_no_request_timeout_but_a_longest_life() {
    let stream = route("match: {prefix: /}, cluster: svc, stream: sse");
    assert_eq!(stream.features.stream, Some(Stream::Sse));
    let day = Some(24 * 60 * MINUTE);
    assert_eq!(
        stream.features.timeouts,
        Timeouts { request: None, idle: Some(5 * MINUTE), first_byte: None, max_stream: day }
    );
}

#[test]
fn what_timeouts_say_counts_and_zero_is_no_limit() {
    let timeouts = "timeouts: {request: 1s, idle: 0s, first_byte: 500ms, max_stream: 0s}";
    let expected = Timeouts {
        request: Some(Duration::from_secs(1)),
        idle: None,
        first_byte: Some(Duration::from_millis(500)),
        max_stream: None,
    };
    for stream in ["", "stream: upload, "] {
        assert_eq!(
            route(&format!("match: {{prefix: /}}, cluster: svc, {stream}{timeouts}")).features.timeouts,
            expected
        );
    }
}

#[test]
fn prefixes_lose_the_slash_at_their_end_and_paths_keep_it() {
    for (written, path) in [
        ("prefix: /", PathMatch::Prefix("/".into())),
        ("prefix: /api/", PathMatch::Prefix("/api".into())),
        ("path: /", PathMatch::Exact("/".into())),
        ("path: /api/", PathMatch::Exact("/api/".into())),
    ] {
        assert_eq!(route(&format!("match: {{{written}}}, cluster: svc")).matcher.path, path);
    }
    let rewritten = route("match: {prefix: /api}, cluster: svc, rewrite: {prefix: /v1/}");
    let Action::Forward(forward) = rewritten.action else { panic!() };
    assert_eq!(forward.rewrite_prefix.as_deref(), Some("/v1"));
}

#[test]
fn a_weight_is_one_unless_said() {
    let text = "version: 1\nlisteners: [{name: http, port: 1}]\nclusters:\n- {name: a, endpoints: ['a:1'], lb: maglev}\n\
                - {name: b, endpoints: ['b:1']}\nroutes:\n- {name: r, match: {prefix: /}, clusters: [{name: a, weight: 0}, \
                {name: b}]}\n- {name: s, match: {prefix: /s}, cluster: b}\n";
    let model = model(text);
    let Action::Forward(shared) = &model.routes[0].action else { panic!() };
    let shares: Vec<_> = shared.clusters.iter().map(|share| (share.cluster.as_str(), share.weight)).collect();
    assert_eq!(shares, [("a", 0), ("b", 1)]);
}

#[test]
fn addresses_go_by_eds_and_one_name_makes_them_all_names() {
    let endpoints = |list: &str| {
        model(&format!("version: 1\nclusters: [{{name: c, endpoints: [{list}]}}]\n")).clusters.remove(0).endpoints
    };
    let addresses: Vec<SocketAddr> = vec!["10.0.0.1:80".parse().unwrap(), "[::1]:8080".parse().unwrap()];
    assert_eq!(endpoints("'10.0.0.1:80', '[0::1]:8080'"), Endpoints::Addresses(addresses));
    let name = |host: &str, port| HostPort { host: host.into(), port };
    assert_eq!(
        endpoints("'[::1]:8080', 'Svc.local:1'"),
        Endpoints::Names(vec![name("::1", 8080), name("svc.local", 1)])
    );
    assert_eq!(endpoints(""), Endpoints::Addresses(vec![]));
}

#[test]
fn a_cluster_says_how_it_is_reached() {
    let text = "version: 1\nclusters: [{name: c, endpoints: ['a:1'], protocol: http2, lb: ring_hash, connect_timeout: 250ms}]\n";
    let cluster = model(text).clusters.remove(0);
    assert_eq!((cluster.protocol, cluster.lb), (Protocol::Http2, LoadBalancing::RingHash));
    assert_eq!(cluster.connect_timeout, Duration::from_millis(250));
}

#[test]
fn the_gateway_can_answer_by_itself() {
    let Action::Respond { status, body } = route("match: {path: /}, respond: {status: 204}").action else { panic!() };
    assert_eq!((status, body.as_str()), (204, ""));
}

#[test]
fn several_limits_hold_at_once() {
    let limits = route(
        "match: {prefix: /}, cluster: svc, api_key: {plans: [pro], keep: true}, rate_limit: [{plan: true}, \
         {limit: 10, window: 1s, burst: 5, by: ip, name: per-address, algorithm: token_bucket}]",
    );
    let policy = policy_of(&limits).unwrap();
    assert!(policy.api_key.is_some_and(|rule| rule.keep && rule.plans == ["pro"]));
    assert!(policy.rate_limit[0].plan);
    let second = RateLimit {
        name: Some("per-address".into()),
        limit: Some(10),
        window: Some("1s".into()),
        burst: Some(5),
        by: By::Ip,
        ..RateLimit::default()
    };
    assert_eq!(policy.rate_limit[1], second);
}

#[test]
fn a_route_that_asks_nothing_has_no_policy() {
    assert_eq!(policy_of(&route("match: {prefix: /}, cluster: svc")), None);
    assert_eq!(policy_of(&route("match: {prefix: /}, cluster: svc, rate_limit: []")), None);
}

#[test]
fn digests_are_lower_case_and_keys_may_expire() {
    let digest = "4E738CA5563C06CFD0018299933D58DB1DD8BF97F6973DC99BF6CDC64B5550BD";
    let text = format!(
        "version: 1\nconsumers:\n- name: bob@example.com\n  api_keys: [{{id: old, sha256: {digest}, expires: 2027-01-31}}]\n"
    );
    let consumer = model(&text).consumers.remove(0);
    assert_eq!(consumer.api_keys[0].sha256, digest.to_ascii_lowercase());
    assert_eq!(consumer.api_keys[0].expires.as_deref(), Some("2027-01-31"));
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "version: 1\nlisteners: [{name: http, port: 1}]\nclusters: [{name: svc, endpoints: ['a:1']}]\nroutes:\n\
                - &base {name: a, match: {prefix: /a}, cluster: svc, timeouts: &slow {request: 5m}}\n\
                - {<<: *base, name: b, match: {prefix: /b}}\n- {name: c, match: {prefix: /c}, cluster: svc, timeouts: *slow}\n";
    let model = model(text);
    assert!(model.routes.iter().all(|route| route.features.timeouts.request == Some(5 * MINUTE)));
    assert_eq!(model.routes[1].matcher.path, PathMatch::Prefix("/b".into()));
}

#[test]
fn methods_and_headers_have_one_form_and_values_keep_their_text() {
    let fields = "match: {prefix: /, headers: {X-B: 1.10, x-a: {present: false}, x-c: {prefix: 'p:'}}, methods: [post, GET, get]}";
    let matcher = route(&format!("{fields}, cluster: svc")).matcher;
    let header = |name: &str, value| HeaderMatch { name: name.into(), value };
    assert_eq!(
        matcher.headers,
        [
            header("x-a", HeaderValueMatch::Present(false)),
            header("x-b", HeaderValueMatch::Exact("1.10".into())),
            header("x-c", HeaderValueMatch::Prefix("p:".into())),
        ]
    );
    assert_eq!(matcher.methods, ["GET", "POST"]);
}
