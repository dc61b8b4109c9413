//! `envoy`: resources in Envoy's own words, and files that are a whole Envoy bootstrap.

use legation_protos::ResourceType;

use crate::support::{codes, found, load, model};

const CLUSTER: &str = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster";

fn with(resources: &str) -> String {
    format!(
        "version: 1\nlisteners: [{{name: http, port: 8000}}]\nclusters: [{{name: svc, endpoints: ['a:1']}}]\n\
             routes: [{{name: r, match: {{prefix: /}}, cluster: svc}}]\nenvoy:\n{resources}"
    )
}

/// What is said of the fields of one raw cluster, which begins at 6:3: each place, code, message
/// and help.
fn of_cluster(fields: &str) -> Vec<String> {
    let loaded = load(with(&format!("- {CLUSTER}\n  name: raw\n{fields}")));
    let said = |found: &legation::diagnostic::Diagnostic| {
        let help = found.help.as_deref().unwrap_or_default();
        format!("{}:{} {} {} {help}", found.at.line, found.at.column, found.code, found.message)
    };
    loaded.diagnostics.iter().map(said).collect()
}

#[test]
fn a_raw_resource_keeps_its_kind_its_name_and_its_place() {
    let model = model(&with(&format!("- {CLUSTER}\n  name: raw\n  connectTimeout: 0.25s\n")));
    let raw = &model.raw[0];
    assert_eq!((raw.kind, raw.name.as_str()), (ResourceType::Cluster, "raw"));
    assert_eq!(raw.origin.to_string(), "gateway.yaml:6:3");
    assert_eq!(raw.message.value(), &serde_json::json!({"name": "raw", "connect_timeout": "0.25s"}));
}

#[test]
fn a_route_to_a_faulty_raw_cluster_is_not_blamed() {
    let text = with(&format!("- {CLUSTER}\n  name: raw\n  no_field: 1\n")).replace("cluster: svc", "cluster: raw");
    let codes: Vec<_> = codes(&text).into_iter().filter(|code| *code != "unused_cluster").collect();
    assert_eq!(codes, ["unknown_field"]);
}

#[test]
fn an_unknown_field_is_an_error_at_its_own_place_however_deep_it_lies() {
    let said = of_cluster("  load_assignment:\n    cluster_name: raw\n    endpoints:\n    - lb_endpoint: []\n");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("11:7 unknown_field envoy.config.endpoint.v3.LocalityLbEndpoints has no field"),
        "{said:?}"
    );
    assert!(said[0].contains("at `load_assignment.endpoints[0]`"), "{said:?}");
    assert!(said[0].contains("did you mean `lb_endpoints`"), "{said:?}");
}

#[test]
fn each_wrong_type_is_reported_with_its_path() {
    let said = of_cluster(
        "  connect_timeout: soon\n  type: STATICK\n  max_requests_per_connection: -1\n  respect_dns_ttl: 'yes'\n  \
         load_assignment: []\n  health_checks: {}\n",
    );
    let expected = [
        ("8:20 wrong_type", "`connect_timeout` must be a duration"),
        ("9:9 invalid_value", "did you mean `STATIC`"),
        ("10:32 wrong_type", "`max_requests_per_connection` must be a whole number from 0"),
        ("11:20 wrong_type", "`respect_dns_ttl` must be `true` or `false`"),
        ("12:20 wrong_type", "`load_assignment` must be a mapping, not a list"),
        ("13:18 wrong_type", "`health_checks` must be a list, not a mapping"),
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, (start, part)) in said.iter().zip(expected) {
        assert!(said.starts_with(start) && said.contains(part), "{said}");
    }
}

#[test]
fn what_is_packed_is_looked_at_too() {
    let packed =
        |inside: &str| of_cluster(&format!("  transport_socket:\n    name: tls\n    typed_config:\n      {inside}\n"));
    let tls = "\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    assert_eq!(packed(&format!("{tls}\n      sni: a.example")), Vec::<String>::new());
    let said = packed(&format!("{tls}\n      snii: a.example"));
    assert!(said[0].starts_with("12:7 unknown_field"), "{said:?}");
    assert!(said[0].contains("at `transport_socket.typed_config`"), "{said:?}");
    let said = packed("\"@type\": type.googleapis.com/envoy.Nothing");
    assert!(said[0].starts_with("11:16 invalid_value"), "{said:?}");
    let said = packed("sni: a.example");
    assert!(said[0].starts_with("11:7 missing_field `transport_socket.typed_config` needs an `@type`"), "{said:?}");
}

#[test]
fn two_fields_of_which_one_may_be_given_are_an_error() {
    let said = of_cluster("  type: STATIC\n  cluster_type: {name: x}\n");
    assert!(said[0].starts_with("9:3 conflict `cluster_type` and what is given at gateway.yaml:8:3"), "{said:?}");
}

#[test]
fn all_that_protobufs_json_knows_is_read() {
    let said = of_cluster(
        "  perConnectionBufferLimitBytes: \"32768\"\n  lb_policy: 2\n  upstream_connection_options: ~\n  \
         common_lb_config: {healthy_panic_threshold: {value: 1e1}}\n  \
         metadata: {filter_metadata: {envoy.lb: {number: 1.5, text: '1', truth: true, none: ~, list: [a]}}}\n",
    );
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn what_is_served_must_be_of_a_served_kind_and_have_a_name() {
    assert_eq!(codes(&with("- {name: a}\n")), ["missing_field"]);
    assert_eq!(codes(&with("- a\n")), ["wrong_type"]);
    assert_eq!(codes(&with(&format!("- {{{CLUSTER}}}\n"))), ["missing_field"]);
    assert_eq!(codes(&with(&format!("- {{{CLUSTER}, name: legation-xds}}\n"))), ["invalid_name"]);
    assert_eq!(codes(&with(&format!("- {{{CLUSTER}, name: '*'}}\n"))), ["invalid_name"]);
    let message = "\"@type\": type.googleapis.com/envoy.config.core.v3.Node";
    assert_eq!(found(&with(&format!("- {{{message}, id: a}}\n"))), ["6:13 invalid_value"]);
}

#[test]
fn a_name_that_the_file_has_already_points_at_both_places() {
    let route = "\"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    let extension = "\"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
    let assignment = "\"@type\": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    for (resource, first) in [
        (format!("{CLUSTER}, name: svc"), "3:19"),
        (format!("{assignment}, cluster_name: svc"), "3:19"),
        (format!("{route}, name: http"), "2:20"),
        (format!("{extension}, name: legation"), "1:1"),
    ] {
        let loaded = load(with(&format!("- {{{resource}}}\n")));
        assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
        assert_eq!(loaded.diagnostics[0].code, "duplicate_name");
        assert!(loaded.diagnostics[0].message.contains(&format!("gateway.yaml:{first}")), "{}", loaded.diagnostics[0]);
    }
    assert_eq!(found(&with(&format!("- {{{CLUSTER}, name: a}}\n- {{{CLUSTER}, name: a}}\n"))), ["7:72 duplicate_name"]);
}

#[test]
fn routes_go_to_raw_clusters_and_raw_resources_use_clusters() {
    let text = with(&format!("- {{{CLUSTER}, name: raw}}\n"));
    assert_eq!(codes(&text.replace("cluster: svc", "cluster: raw")), ["unused_cluster"]);
    let other = text.replace("cluster: svc", "cluster: raw").replace("name: raw}", "name: raw, alt_stat_name: svc}");
    assert_eq!(codes(&other), Vec::<&str>::new());
}

#[test]
fn variables_are_replaced_and_not_shown() {
    let text = with(&format!("- {{{CLUSTER}, name: raw, max_requests_per_connection: '${{env:N}}'}}\n"));
    let load = |value: &str| legation::config::load(&crate::support::source(text.clone()), &|_| Some(value.to_owned()));
    assert_eq!(load("7").model.unwrap().raw[0].message.value()["max_requests_per_connection"], 7);
    let said = load("hunter2").diagnostics;
    assert_eq!(said.len(), 1);
    assert!(!said[0].message.contains("hunter2"), "{}", said[0]);
}

#[test]
fn a_message_within_messages_is_read_on_a_small_stack() {
    let mut config = "x".to_owned();
    for _ in 0..15 {
        config = format!("{{and_rules: {{rules: [{config}, {{any: true}}]}}}}").replace("x,", "");
    }
    let rbac = "\"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
    let depth = config.matches('{').count();
    assert!(depth > 30, "{depth}");
    let text = with(&format!(
        "- \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n  name: x\n  typed_config: {{{rbac}, rules: \
         {{policies: {{a: {{principals: [{{any: true}}], permissions: [{config}]}}}}}}}}\n"
    ));
    let small = std::thread::Builder::new().stack_size(1536 * 1024);
    let codes = small.spawn(move || codes(&text)).unwrap().join().unwrap();
    assert_eq!(codes, Vec::<&str>::new());
}

const STATIC: &str = "\
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 0.0.0.0, port_value: 8000}}
  clusters:
  - {name: svc, type: STATIC, load_assignment: {cluster_name: svc}}
";

#[test]
fn a_static_bootstraps_listeners_and_clusters_are_served() {
    let loaded = load(STATIC);
    let raw = loaded.model.unwrap().raw;
    let names: Vec<_> = raw.iter().map(|raw| (raw.kind.short(), raw.name.as_str(), raw.origin.to_string())).collect();
    assert_eq!(names, [("LDS", "in", "gateway.yaml:4:5".to_owned()), ("CDS", "svc", "gateway.yaml:7:5".to_owned())]);
}

#[test]
fn what_a_bootstrap_has_that_cannot_be_served_is_a_warning() {
    let loaded = load(STATIC);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].code, "stays_in_bootstrap");
    assert!(loaded.diagnostics[0].message.contains("`admin`"));
}

#[test]
fn a_fault_anywhere_in_a_bootstrap_is_an_error() {
    assert!(codes(&STATIC.replace("port_value: 9901", "port: 9901")).contains(&"unknown_field"));
    assert!(codes(&STATIC.replace("type: STATIC,", "typo: STATIC,")).contains(&"unknown_field"));
    assert!(codes(&STATIC.replace("- name: in", "- stat_prefix: in")).contains(&"missing_field"));
    assert!(codes(&STATIC.replace("name: svc, type", "name: legation-xds, type")).contains(&"invalid_name"));
    let twice = STATIC.replace("  - {name: svc,", "  - {name: svc}\n  - {name: svc,");
    assert!(codes(&twice).contains(&"duplicate_name"));
}

#[test]
fn a_raw_secret_is_shown_nowhere_and_takes_no_name_of_the_gateways_own() {
    let secret = "\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    let text = |name: &str| {
        with(&format!("- {{{secret}, name: {name}, generic_secret: {{secret: {{inline_string: hunter2}}}}}}\n"))
    };
    let model = model(&text("mine"));
    assert_eq!((model.raw[0].kind, model.raw[0].name.as_str()), (ResourceType::Secret, "mine"));
    assert!(!format!("{model:?}").contains("hunter2"));
    assert_eq!(codes(&text("listeners/http/cert_file")), ["invalid_name"]);
}

#[test]
fn thousands_of_unknown_types_are_reported_at_once() {
    let entries =
        format!("- {{{CLUSTER}, name: a, transport_socket: {{typed_config: {{\"@type\": x/y}}}}}}\n").repeat(20_000);
    assert_eq!(load(with(&entries)).diagnostics.len(), 1001);
}
