//! Files that were not written to be read: one clear error each, at once and within bounds.

use std::thread;

use crate::support::{codes, found, load};

#[test]
fn what_is_no_text_is_refused_at_the_byte() {
    assert_eq!(found_in(b"version: 1\nname: \"\xFF\"\n"), ["2:8 not_utf8"]);
    assert_eq!(found_in("a: é\u{0}".as_bytes()), ["1:5 syntax"]);
}

fn found_in(bytes: &[u8]) -> Vec<String> {
    let diagnostics = load(bytes).diagnostics;
    diagnostics.iter().map(|found| format!("{}:{} {}", found.at.line, found.at.column, found.code)).collect()
}

#[test]
fn an_empty_file_is_an_error_of_its_own() {
    for text in ["", "\n\n", "# nothing\n", "---\n", "\u{FEFF}", "~"] {
        assert_eq!(codes(text), ["empty"], "{text:?}");
    }
}

#[test]
fn what_is_no_mapping_is_refused() {
    for text in ["- a\n", "text", "1"] {
        assert_eq!(found(text), ["1:1 wrong_type"], "{text:?}");
    }
}

#[test]
fn a_file_beyond_the_size_is_refused_unread() {
    let file = vec![b'#'; 100 * 1024 * 1024];
    assert_eq!(found_in(&file), ["1:1 too_large"]);
}

#[test]
fn a_second_document_is_refused_where_it_begins() {
    assert_eq!(found("version: 1\n---\nversion: 1\n"), ["3:1 syntax"]);
}

#[test]
fn a_tab_is_refused_with_what_to_do() {
    let loaded = load("version: 1\nlisteners:\n\t- name: a\n");
    assert_eq!(loaded.diagnostics.len(), 1);
    assert!(loaded.diagnostics[0].help.as_deref().unwrap().contains("spaces"));
}

#[test]
fn nesting_is_bounded_in_every_style_on_a_small_stack() {
    let flow = "[".repeat(10_000);
    let maps = "{a: ".repeat(10_000);
    let compact = "- ".repeat(10_000);
    let block: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for text in [flow, maps, compact, block] {
        let small = thread::Builder::new().stack_size(1536 * 1024);
        let codes = small.spawn(move || codes(&text)).unwrap().join().unwrap();
        assert_eq!(codes, ["too_complex"]);
    }
}

#[test]
fn an_alias_bomb_is_one_error() {
    let mut text = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(codes(&text), ["too_complex"]);
}

#[test]
fn many_aliases_are_one_error_too() {
    let aliases = "- *a\n".repeat(49_000);
    assert_eq!(
        codes(&format!("version: 1\nroutes:\n- &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n{aliases}")),
        ["too_complex"]
    );
}

#[test]
fn an_alias_of_itself_is_refused() {
    assert_eq!(codes("version: 1\nroutes: &a [*a]\n"), ["syntax"]);
}

#[test]
fn a_million_values_are_not_a_million_diagnostics() {
    let items = "1,".repeat(200_000);
    let loaded = load(format!("version: 1\nroutes: [{items}]\n"));
    assert!(loaded.model.is_none());
    assert_eq!(loaded.diagnostics.len(), 1001);
    assert_eq!(loaded.diagnostics.last().unwrap().code, "too_many");
}

#[test]
fn thousands_of_unknown_names_among_thousands_are_reported_at_once() {
    let clusters: String =
        (0..5_000).map(|number| format!("- {{name: known-{number}, endpoints: ['a:1']}}\n")).collect();
    let routes: String = (0..5_000)
        .map(|number| format!("- {{name: r{number}, match: {{path: /{number}}}, cluster: unknown-{number}}}\n"))
        .collect();
    let loaded = load(format!("version: 1\nlisteners: [{{name: a, port: 1}}]\nclusters:\n{clusters}routes:\n{routes}"));
    assert!(loaded.diagnostics.iter().any(|found| found.code == "unknown_cluster"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_fault() {
    let loaded = load("\u{FEFF}version: 1\r\nlisteners:\r\n- {name: http, port: 1}\r\n");
    assert!(loaded.model.is_some(), "{:?}", loaded.diagnostics);
    assert_eq!(found("\u{FEFF}version: 1\r\nlisteners:\r\n- {name: http, port: 0}\r\n"), ["3:22 out_of_range"]);
}

#[test]
fn a_duplicate_key_points_at_both_places() {
    let loaded = load("version: 1\nlisteners: []\nroutes: []\nlisteners: []\n");
    let duplicate = loaded.diagnostics.iter().find(|found| found.code == "duplicate_key").unwrap();
    assert_eq!(duplicate.at.to_string(), "gateway.yaml:4:1");
    assert!(duplicate.message.contains("gateway.yaml:2:1"), "{duplicate}");
}

#[test]
fn a_key_that_is_no_text_is_refused() {
    assert!(codes("version: 1\n? [a]\n: b\n").contains(&"wrong_type"));
    assert!(codes("version: 1\nlisteners: {{ x }}\n").contains(&"wrong_type"));
}

#[test]
fn ten_thousand_routes_are_within_every_bound() {
    let mut text = "version: 1\nlisteners: [{name: http, port: 1}]\nclusters: [{name: svc, endpoints: ['a:1']}]\n\
                    consumers: [{name: a, api_keys: [{sha256: 4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd}]}]\n\
                    routes:\n- &first {name: r, match: {prefix: /}, cluster: svc, timeouts: {request: 30s}, api_key: {}, \
                    rate_limit: {limit: 100, window: 1m, by: consumer}}\n"
        .to_owned();
    for number in 1..10_000 {
        text.push_str(&format!(
            "- {{<<: *first, name: r{number}, match: {{prefix: /{number}, methods: [GET, POST]}}}}\n"
        ));
    }
    let loaded = load(text);
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.model.unwrap().routes.len(), 10_000);
}
