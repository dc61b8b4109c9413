//! `hosts` and `listeners` of routes.

use std::fmt::Write as _;

use legation::model::{Domain, Host};

use crate::support::load;

const LISTENERS: &str = "version: 1\nlisteners: [{name: public, port: 8000}, {name: private, port: 8001}]\n";

/// The codes that a file with these routes gets. Each is what stands beside `name`, `match` and
/// `respond`.
fn codes(routes: &[&str]) -> Vec<&'static str> {
    let mut file = format!("{LISTENERS}routes:\n");
    for (place, route) in routes.iter().enumerate() {
        writeln!(file, "- {{name: r{place}, match: {{prefix: /}}, respond: {{status: 200}}, {route}}}").unwrap();
    }
    load(file).diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn a_route_that_names_no_host_and_no_listener_takes_all() {
    let file = format!("{LISTENERS}routes: [{{name: r, match: {{prefix: /}}, respond: {{status: 200}}}}]\n");
    let route = load(file).model.unwrap().routes.remove(0);
    assert_eq!(route.hosts, [Host::Any].into());
    assert!(route.is_on("public") && route.is_on("private"));
}

#[test]
fn hosts_and_listeners_come_out_as_they_are_meant() {
    let hosts = r#"hosts: [API.Example.com, "*.example.org.", "*"], listeners: [private]"#;
    let file = format!("{LISTENERS}routes: [{{name: r, match: {{prefix: /}}, respond: {{status: 200}}, {hosts}}}]\n");
    let route = load(file).model.unwrap().routes.remove(0);
    let expected = [Host::Exact("api.example.com".into()), Host::Below(Domain("example.org".into())), Host::Any];
    assert_eq!(route.hosts, expected.into());
    assert!(route.is_on("private") && !route.is_on("public"));
}

#[test]
fn a_route_is_shadowed_only_by_one_of_the_same_hosts_and_listeners() {
    for (first, second, is_shadowed) in [
        ("hosts: [a.test]", "hosts: [a.test]", true),
        ("hosts: [a.test, b.test]", "hosts: [b.test]", true),
        ("hosts: [a.test]", "hosts: [a.test, b.test]", false),
        ("hosts: ['*']", "timeouts: {}", true),
        ("hosts: ['*']", "hosts: [a.test]", false),
        ("hosts: ['*.test']", "hosts: [a.test]", false),
        ("listeners: [public]", "listeners: [private]", false),
        ("listeners: [public]", "listeners: [public]", true),
        ("listeners: [public, private]", "listeners: [private]", true),
        ("hosts: ['*']", "listeners: [private]", true),
        ("listeners: [public]", "hosts: ['*']", false),
    ] {
        let routes = [first, second].map(|route| route.replace("timeouts: {}", "hosts: ['*']"));
        let expected: &[&str] = if is_shadowed { &["shadowed_route"] } else { &[] };
        assert_eq!(codes(&routes.each_ref().map(String::as_str)), expected, "{first} | {second}");
    }
    assert_eq!(codes(&["hosts: ['*']", "listeners: [private, public]"]), ["shadowed_route"]);
}

#[test]
fn wrong_hosts_and_listeners_are_errors() {
    for (route, code) in [
        ("hosts: []", "invalid_value"),
        ("hosts: [a.test, A.test.]", "duplicate_value"),
        ("hosts: ['*example.com']", "invalid_value"),
        ("hosts: ['a.*.com']", "invalid_value"),
        ("hosts: ['a.test:80']", "invalid_value"),
        ("hosts: [10.0.0.1]", "invalid_value"),
        ("hosts: ['::1']", "invalid_value"),
        ("hosts: [bücher.example]", "invalid_value"),
        ("hosts: a.test", "wrong_type"),
        ("listeners: []", "invalid_value"),
        ("listeners: [publik]", "unknown_listener"),
        ("listeners: [public, public]", "duplicate_name"),
    ] {
        assert_eq!(codes(&[route]), [code], "{route}");
    }
}

#[test]
fn a_value_of_the_environment_is_not_shown() {
    let hosts = "hosts: ['${env:HOST}']";
    let file = format!("{LISTENERS}routes: [{{name: r, match: {{prefix: /}}, respond: {{status: 200}}, {hosts}}}]\n");
    let source = crate::support::source(file);
    let loaded = legation::config::load(&source, &|_| Some("secret:80".to_owned()));
    assert_eq!(loaded.diagnostics.len(), 1);
    assert!(!format!("{:?}", loaded.diagnostics).contains("secret"), "{:?}", loaded.diagnostics);
}

#[test]
fn hundreds_of_hosts_on_a_route_and_thousands_of_virtual_hosts_are_fine_but_not_a_flood_of_copies() {
    let many = |count: usize| (0..count).map(|host| format!("h{host}.test")).collect::<Vec<_>>();
    assert_eq!(codes(&[&format!("hosts: [{}]", many(300).join(", "))]), [] as [&str; 0]);
    let file = |any: usize| {
        let mut file = format!("{LISTENERS}routes:\n");
        for host in many(10_000) {
            let route = "match: {prefix: /}, respond: {status: 200}";
            writeln!(file, "- {{name: {host}, hosts: [{host}], listeners: [public], {route}}}").unwrap();
        }
        for place in 0..any {
            writeln!(file, "- {{name: any{place}, match: {{prefix: /{place}}}, respond: {{status: 200}}}}").unwrap();
        }
        file
    };
    let loaded = load(file(5));
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(loaded.model.unwrap().routes.len(), 10_005);
    let codes: Vec<_> = load(file(10)).diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["too_complex"]);
}
