//! Each rule of the file, by what breaks it.

use crate::support::{REST, ROUTE, codes, codes_of_route, found, load};

const NOTHING: [&str; 0] = [];

#[test]
fn four_faults_in_one_file_are_all_reported_with_their_places() {
    let text = "version: 1
listeners:
- {name: http, port: 70000}
routes:
- name: api
  match: {prefix: /api}
  cluster: svx
- name: api
  match: {prefix: /other}
  cluster: svc
  timeouts: {request: 5 minutes}
clusters:
- {name: svc, endpoints: [\"svc:8080\"]}
";
    assert_eq!(found(text), ["3:22 out_of_range", "7:12 unknown_cluster", "8:9 duplicate_name", "11:23 bad_duration"]);
}

#[test]
fn the_version_is_required_and_is_1() {
    assert_eq!(codes("listeners: [{name: a, port: 1}]\n"), ["missing_field"]);
    assert_eq!(found("version: 2\nnonsense: 1\n"), ["1:10 unsupported_version", "2:1 unknown_field"]);
    assert_eq!(codes("version: one\nlisteners: [{name: a, port: 1}]\n"), ["wrong_type"]);
}

#[test]
fn unknown_fields_come_with_a_guess() {
    let loaded = load("version: 1\nlisteners: [{name: a, prot: 1}]\n");
    let unknown = &loaded.diagnostics[1];
    assert_eq!((unknown.code, unknown.help.as_deref()), ("unknown_field", Some("did you mean `port`?")));
}

#[test]
fn listeners_must_differ_in_name_and_in_address_and_port() {
    let listeners = |list: &str| codes(&format!("version: 1\nlisteners: [{list}]\n"));
    assert_eq!(listeners("{name: a, port: 1}, {name: a, port: 2}"), ["duplicate_name"]);
    assert_eq!(listeners("{name: a, port: 1}, {name: b, port: 1}"), ["duplicate_value"]);
    assert_eq!(listeners("{name: a, port: 1, address: 127.0.0.1}, {name: b, port: 1}"), ["duplicate_value"]);
    assert_eq!(listeners("{name: a, port: 1, address: '::'}, {name: b, port: 1, address: '::1'}"), ["duplicate_value"]);
    assert_eq!(listeners("{name: a, port: 1, address: '::'}, {name: b, port: 1}"), NOTHING);
    assert_eq!(listeners("{name: a, port: 1, address: 10.0.0.1}, {name: b, port: 1, address: 10.0.0.2}"), NOTHING);
    let text = "version: 1\nlisteners:\n- {name: a, port: 1}\n- {name: b, port: 1}\n";
    assert!(load(text).diagnostics[0].message.contains("gateway.yaml:3:19"), "the other place is named");
}

#[test]
fn a_listener_has_an_ip_address_and_a_port() {
    let listener = |fields: &str| codes(&format!("version: 1\nlisteners: [{{name: a, {fields}}}]\n"));
    for address in ["localhost", "'[::1]'", "'127.0.0.1:80'", "''", "256.0.0.1"] {
        assert_eq!(listener(&format!("port: 1, address: {address}")), ["invalid_value"], "{address}");
    }
    for port in ["0", "-1", "65536", "99999999999999999999999999999999999999999999"] {
        assert_eq!(listener(&format!("port: {port}")), ["out_of_range"], "{port}");
    }
    for port in ["http", "'80'", "80.5", "[80]", "true", "0x50", ""] {
        assert_eq!(listener(&format!("port: {port}")), ["wrong_type"], "{port}");
    }
    assert_eq!(codes("version: 1\n"), ["no_listeners"]);
}

#[test]
fn names_are_plain() {
    for (name, good) in
        [("a", true), ("A.b_c-d/e", true), ("''", false), ("a b", false), ("é", false), ("'a:b'", false)]
    {
        let codes = codes(&format!("version: 1\nlisteners: [{{name: {name}, port: 1}}]\n"));
        assert_eq!(codes.is_empty(), good, "{name}: {codes:?}");
    }
    let long = "x".repeat(129);
    assert_eq!(codes(&format!("version: 1\nlisteners: [{{name: {long}, port: 1}}]\n")), ["invalid_name"]);
    let reserved =
        "version: 1\nlisteners: [{name: a, port: 1}]\nclusters: [{name: legation-xds, endpoints: ['a:1']}]\n";
    assert!(codes(reserved).contains(&"invalid_name"));
}

#[test]
fn a_match_is_of_paths_that_can_be() {
    for (path, good) in [
        ("/", true),
        ("/a%20b", true),
        ("api", false),
        ("''", false),
        ("/a?b", false),
        ("'/a#b'", false),
        ("//a", false),
        ("/a/../b", false),
        ("/a/.", false),
        ("/a b", false),
        ("/é", false),
    ] {
        for kind in ["prefix", "path"] {
            let codes = codes_of_route(&format!("match: {{{kind}: {path}}}, cluster: svc"));
            assert_eq!(codes.is_empty(), good, "{kind} {path}: {codes:?}");
        }
    }
    assert_eq!(codes_of_route("match: {}, cluster: svc"), ["missing_field"]);
    assert_eq!(codes_of_route("cluster: svc"), ["missing_field"]);
    assert_eq!(codes_of_route("match: {prefix: /, path: /}, cluster: svc"), ["conflict"]);
}

#[test]
fn methods_are_tokens() {
    for (methods, good) in [
        ("[GET]", true),
        ("[m-search]", true),
        ("[]", false),
        ("['']", false),
        ("[CONNECT]", false),
        ("['A B']", false),
    ] {
        let codes = codes_of_route(&format!("match: {{prefix: /, methods: {methods}}}, cluster: svc"));
        assert_eq!(codes.is_empty(), good, "{methods}: {codes:?}");
    }
}

#[test]
fn header_conditions_can_hold() {
    for (headers, good) in [
        ("x-a: b", true),
        ("X-A: ''", true),
        ("x-a: {exact: b}", true),
        ("x-a: {}", false),
        ("x-a: {exact: b, present: true}", false),
        ("x-a: {prefix: ''}", false),
        ("x-a: ' b'", false),
        ("x-a: \"a\\nb\"", false),
        ("':path': a", false),
        ("host: a", false),
        ("'x a': b", false),
        ("x-a: b, X-A: c", false),
        ("x-a: [b]", false),
    ] {
        let codes = codes_of_route(&format!("match: {{prefix: /, headers: {{{headers}}}}}, cluster: svc"));
        assert_eq!(codes.is_empty(), good, "{headers}: {codes:?}");
    }
}

#[test]
fn a_route_does_one_thing() {
    for (action, code) in [
        ("stream: sse", "missing_field"),
        ("cluster: svc, respond: {status: 200}", "conflict"),
        ("cluster: svc, clusters: [{name: svc}]", "conflict"),
        ("clusters: [{name: svc, weight: 0}]", "out_of_range"),
        ("clusters: []", "out_of_range"),
        ("clusters: [{name: svc, weight: 4294967296}]", "out_of_range"),
        ("clusters: [{name: svc}, {name: svc}]", "duplicate_name"),
        ("clusters: [{name: svx}]", "unknown_cluster"),
        ("respond: {status: 199}", "out_of_range"),
        ("respond: {status: 600}", "out_of_range"),
        ("respond: {}", "missing_field"),
        ("respond: {status: 200}, rewrite: {prefix: /}", "conflict"),
        ("cluster: svc, rewrite: {prefix: a}", "invalid_value"),
        ("cluster: svc, rewrite: {}", "missing_field"),
        ("cluster: svc, stream: ssl", "invalid_value"),
        ("cluster: svc, stream: grpc", "protocol_mismatch"),
        ("cluster: svc, timeouts: {idle: 1}", "bad_duration"),
        ("cluster: svc, timeouts: {idle: 367d}", "out_of_range"),
    ] {
        let codes = codes_of_route(&format!("match: {{prefix: /}}, {action}"));
        assert!(codes.contains(&code), "{action}: {codes:?}");
    }
    assert_eq!(codes_of_route("match: {path: /}, cluster: svc, rewrite: {prefix: /}"), ["conflict"]);
    let sum = "version: 1\nlisteners: [{name: a, port: 1}]\nclusters: [{name: a, endpoints: ['a:1']}, {name: b, endpoints: \
               ['b:1']}]\nroutes: [{name: r, match: {prefix: /}, clusters: [{name: a, weight: 4294967295}, {name: b}]}]\n";
    assert_eq!(codes(sum), ["out_of_range"]);
    let body = "x".repeat(4097);
    assert!(
        codes_of_route(&format!("match: {{prefix: /}}, respond: {{status: 200, body: {body}}}"))
            .contains(&"out_of_range")
    );
}

#[test]
fn endpoints_are_a_host_and_a_port() {
    for (endpoint, good) in [
        ("svc:80", true),
        ("my_svc.local.:80", true),
        ("10.0.0.1:80", true),
        ("[::1]:80", true),
        ("svc", false),
        ("svc:0", false),
        ("svc:65536", false),
        ("svc:+80", false),
        (":80", false),
        ("::1:80", false),
        ("[::1:80", false),
        ("[svc]:80", false),
        ("10.0.0.256:80", false),
        ("-a:80", false),
        ("a..b:80", false),
        ("http://svc:80", false),
        ("unix:/run/a.sock", false),
    ] {
        let codes = codes(&format!("{REST}routes: [{ROUTE}]\n").replace("svc:8080", endpoint));
        assert_eq!(codes.is_empty(), good, "{endpoint}: {codes:?}");
    }
    for twice in ["'a:1', 'A:1'", "'[::1]:1', '[0:0::1]:1'"] {
        assert_eq!(codes(&format!("{REST}routes: [{ROUTE}]\n").replace("'svc:8080'", twice)), ["duplicate_value"]);
    }
}

#[test]
fn clusters_have_words_and_a_connect_timeout() {
    for (field, code) in [
        ("protocol: http3", "invalid_value"),
        ("lb: fastest", "invalid_value"),
        ("connect_timeout: 0s", "out_of_range"),
        ("connect_timeout: 5", "bad_duration"),
    ] {
        let text = format!("{REST}routes: [{ROUTE}]\n").replace("['svc:8080']", &format!("['svc:8080'], {field}"));
        assert_eq!(codes(&text), [code], "{field}");
    }
    assert_eq!(codes(REST), ["unused_cluster"]);
    assert_eq!(codes_of_route("match: {prefix: /}, cluster: svx"), ["unknown_cluster"]);
    assert_eq!(codes(&format!("{REST}routes: [{ROUTE}]\n").replace("'svc:8080'", "")), ["no_endpoints"]);
}

#[test]
fn a_route_that_cannot_win_names_the_one_that_does() {
    for (first, second, shadowed) in [
        ("prefix: /a", "prefix: /a/", true),
        ("path: /a", "path: /a", true),
        ("prefix: /a", "path: /a", false),
        ("prefix: /", "prefix: /a", false),
        // More conditions come first, wherever they stand.
        ("prefix: /a", "prefix: /a, methods: [GET]", false),
        ("prefix: /a, methods: [GET]", "prefix: /a", false),
        ("prefix: /a, methods: [GET, POST]", "prefix: /a, methods: [GET]", true),
        ("prefix: /a, methods: [GET]", "prefix: /a, methods: [GET, POST]", false),
        ("prefix: /a, headers: {x: {present: true}}", "prefix: /a, headers: {x: b}", true),
        ("prefix: /a, headers: {x: {prefix: b}}", "prefix: /a, headers: {x: bc}", true),
        ("prefix: /a, headers: {x: {present: false}}", "prefix: /a, headers: {x: b}", false),
        ("prefix: /a, headers: {x: b}", "prefix: /a, headers: {y: b}", false),
        ("prefix: /a, headers: {x: b}", "prefix: /a, methods: [GET]", false),
    ] {
        let text = format!(
            "{REST}routes:\n- {{name: one, match: {{{first}}}, cluster: svc}}\n- {{name: two, match: {{{second}}}, cluster: svc}}\n"
        );
        let loaded = load(text);
        assert_eq!(!loaded.diagnostics.is_empty(), shadowed, "{first} | {second}: {:?}", loaded.diagnostics);
        for found in loaded.diagnostics {
            assert_eq!(found.code, "shadowed_route");
            assert!(found.message.contains("`one` at gateway.yaml:10:10"), "{found}");
        }
    }
}

#[test]
fn a_warning_leaves_the_model() {
    let loaded = load("version: 1\n");
    assert!(loaded.model.is_some());
    assert_eq!(loaded.diagnostics.len(), 1);
}

#[test]
fn canaries_are_a_number_of_nodes_and_none_unless_said() {
    let canary = |defaults: &str| {
        let loaded = load(format!("version: 1\nlisteners: [{{name: a, port: 1}}]\n{defaults}"));
        loaded.model.map(|model| model.rollout.canary)
    };
    assert_eq!(canary(""), Some(0));
    assert_eq!(canary("defaults: {rollout: {}}\n"), Some(0));
    assert_eq!(canary("defaults: {rollout: {canary: 2}}\n"), Some(2));
    for (value, code) in [("-1", "out_of_range"), ("10001", "out_of_range"), ("one", "wrong_type")] {
        assert_eq!(
            codes(&format!("{REST}routes: [{ROUTE}]\ndefaults: {{rollout: {{canary: {value}}}}}\n")),
            [code],
            "{value}"
        );
    }
}

#[test]
fn tls_of_a_listener_has_its_words() {
    let tls = |fields: &str| codes(&format!("version: 1\nlisteners: [{{name: a, port: 1, tls: {{{fields}}}}}]\n"));
    assert_eq!(tls("cert_file: a, key_file: b"), NOTHING);
    assert_eq!(tls("cert_file: a, key_file: b, client_ca_file: c, min_version: 1.3"), NOTHING);
    assert_eq!(tls("cert_file: a"), ["missing_field"]);
    assert_eq!(tls("cert_file: '', key_file: b, min_version: '1.1'"), ["invalid_value", "invalid_value"]);
}

#[test]
fn a_cluster_over_tls_has_a_name_to_verify() {
    let found = |endpoint: &str, fields: &str| {
        let text = format!("{REST}routes: [{ROUTE}]\n");
        codes(&text.replace("'svc:8080']", &format!("'{endpoint}'], tls: {{{fields}}}")))
    };
    assert_eq!(found("svc:1", ""), NOTHING);
    assert_eq!(found("127.0.0.1:1", "sni: svc, ca_file: a, cert_file: b, key_file: c"), NOTHING);
    assert_eq!(found("127.0.0.1:1", ""), ["missing_field"]);
    assert_eq!(found("svc:1", "sni: 127.0.0.1"), ["invalid_value"]);
    assert_eq!(found("svc:1", "cert_file: b"), ["missing_field"]);
    assert_eq!(found("svc:1", "key_file: b"), ["missing_field"]);
}

#[test]
fn the_codes_are_these_and_stay_so() {
    let expected = "unreadable too_large not_utf8 empty syntax too_complex duplicate_key unset_variable wrong_type \
                    unknown_field not_supported_yet missing_field unsupported_version invalid_value invalid_name bad_duration \
                    out_of_range bad_digest bad_pepper duplicate_name duplicate_value unknown_cluster unknown_listener unknown_plan unknown_consumer \
                    bad_certificate bad_private_key conflict needs_api_key too_many rejected_by_envoy stays_in_bootstrap no_listeners \
                    no_endpoints unused_cluster shadowed_route nobody_admitted without_plan unsaid_stream expired_certificate certificate_order useless_timeout \
                    protocol_mismatch";
    let expected: Vec<&str> = expected.split_whitespace().collect();
    assert_eq!(legation::config::code::ALL, expected);
}

#[test]
fn a_route_bounds_the_bodies_of_its_requests_unless_they_are_none() {
    let with = |fields: &str| codes_of_route(&format!("match: {{prefix: /}}, cluster: svc, {fields}"));
    for good in
        ["max_request_body: 1KiB", "max_request_body: 5GiB, stream: upload", "max_request_body: 1MiB, stream: download"]
    {
        assert_eq!(with(good), [""; 0], "{good}");
    }
    assert_eq!(with("max_request_body: 1000"), ["invalid_value"]);
    assert_eq!(with("max_request_body: lots"), ["invalid_value"]);
    assert_eq!(with("max_request_body: 1MiB, stream: websocket"), ["conflict"]);
}

#[test]
fn a_listener_bounds_what_its_clients_take_within_what_envoy_bears() {
    let with = |limits: &str| {
        codes(&format!(
            "version: 1\nlisteners: [{{name: http, port: 8000, limits: {{{limits}}}}}]\nroutes: [{{name: r, match: {{prefix: /}}, respond: {{status: 200}}}}]\n"
        ))
    };
    for good in
        ["", "connections: 1", "streams_per_connection: 2147483647", "header_bytes: 8MiB", "header_count: 10000"]
    {
        assert_eq!(with(good), [""; 0], "{good}");
    }
    for bad in [
        "connections: 0",
        "streams_per_connection: 2147483648",
        "header_bytes: 100",
        "header_bytes: 9MiB",
        "header_bytes: 60kB",
        "header_count: 0",
        "header_count: 10001",
    ] {
        assert_eq!(with(bad), ["out_of_range"], "{bad}");
    }
    assert_eq!(with("request_body: 1MiB"), [""; 0]);
    assert_eq!(with("request_body: 1MB"), ["invalid_value"]);
    assert_eq!(with("request_body: 0KiB"), ["invalid_value"]);
    assert_eq!(with("header_size: 1KiB"), ["unknown_field"]);
}
