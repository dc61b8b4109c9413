//! `${env:NAME}` in values.

use legation::{
    config::{self, Loaded},
    model::Model,
};

use crate::support::{codes, source};

fn load_with(text: &str, variables: &[(&str, &str)]) -> Loaded {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    config::load(&source(text), &variable)
}

fn model_with(text: &str, variables: &[(&str, &str)]) -> Model {
    let loaded = load_with(text, variables);
    loaded.model.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

fn with_port(port: &str) -> String {
    format!("version: 1\nlisteners:\n- name: http\n  port: {port}\n")
}

#[test]
fn a_variable_is_a_number_where_a_number_is_wanted() {
    for port in ["\"${env:PORT}\"", "${env:PORT}", "${env:PORT:-9}", "\"${env:PORT:-9}\""] {
        let model = model_with(&with_port(port), &[("PORT", "8123")]);
        assert_eq!(model.listeners[0].port, 8123, "{port}");
    }
}

#[test]
fn a_default_stands_for_an_unset_and_for_an_empty_variable() {
    for variables in [&[][..], &[("PORT", "")]] {
        assert_eq!(model_with(&with_port("${env:PORT:-8000}"), variables).listeners[0].port, 8000);
    }
}

#[test]
fn an_unset_variable_without_a_default_is_an_error_at_its_place() {
    let loaded = load_with(&with_port("${env:PORT}"), &[]);
    assert_eq!(loaded.diagnostics.len(), 1, "nothing more is said of it");
    let error = &loaded.diagnostics[0];
    assert_eq!((error.code, error.at.to_string()), ("unset_variable", "gateway.yaml:4:9".to_owned()));
    assert!(error.message.contains("`PORT`"));
}

#[test]
fn a_variable_within_a_text_is_replaced_and_a_dollar_escapes() {
    let text = "version: 1\nlisteners: [{name: http, port: 1}]\nroutes:\n- name: r\n  match: {prefix: /}\n  \
                respond: {status: 200, body: 'a ${env:X} b ${env:Y:-y} $${env:Z} $HOME ${X}'}\n";
    let model = model_with(text, &[("X", "x: [1]\n- ${env:Y}")]);
    let legation::model::Action::Respond { body, .. } = &model.routes[0].action else { panic!() };
    assert_eq!(body, "a x: [1]\n- ${env:Y} b y ${env:Z} $HOME ${X}");
}

#[test]
fn a_variable_cannot_become_yaml() {
    let loaded = load_with(&with_port("${env:PORT}"), &[("PORT", "1, address: 127.0.0.1")]);
    assert_eq!(loaded.diagnostics[0].code, "wrong_type");
}

#[test]
fn what_a_variable_says_is_never_shown() {
    let texts = [
        with_port("${env:SECRET}"),
        "version: 1\nlisteners: [{name: '${env:SECRET}', port: 1, address: '${env:SECRET}'}]\n".to_owned(),
        "version: 1\nclusters: [{name: c, endpoints: ['${env:SECRET}', 'http://${env:SECRET}'], lb: '${env:SECRET}'}]\n"
            .to_owned(),
        "version: 1\nroutes:\n- {name: r, match: {prefix: '${env:SECRET}', methods: ['${env:SECRET}'], headers: {a: \
         '${env:SECRET}'}}, cluster: '${env:SECRET}', api_key: {header: '${env:SECRET}', plans: ['${env:SECRET}']}, \
         rate_limit: {limit: '${env:SECRET}', window: '${env:SECRET}', by: 'header:${env:SECRET}'}}\n"
            .to_owned(),
    ];
    for text in texts {
        let loaded = load_with(&text, &[("SECRET", " hunter2 é")]);
        assert!(!loaded.diagnostics.is_empty());
        for found in loaded.diagnostics {
            assert!(!found.to_string().contains("hunter2"), "{found}");
        }
    }
}

#[test]
fn what_is_no_variable_is_refused() {
    for port in ["\"${env:}\"", "\"${env:a b}\"", "\"${env:PORT\"", "\"${env:1}\""] {
        assert_eq!(codes(&with_port(port)), ["invalid_value"], "{port}");
    }
}

#[test]
fn the_filters_rules_do_not_quote_what_the_environment_says_either() {
    let text = "version: 1\nlisteners: [{name: http, port: 1}]\nclusters: [{name: svc, endpoints: ['svc:1']}]\n\
                consumers:\n- name: '${env:SECRET}'\n  plan: '${env:SECRET}'\n  \
                api_keys: [{id: '${env:SECRET}', sha256: '${env:SECRET}', expires: '${env:SECRET}'}]\n  \
                metadata: {tier: '${env:SECRET}'}\n\
                plans: [{name: pro, limits: [{name: '${env:SECRET}', limit: 1, window: '${env:SECRET}'}]}]\n\
                routes:\n- name: r\n  match: {prefix: /}\n  cluster: svc\n  \
                api_key: {header: '${env:SECRET}', cookie: '${env:SECRET}', query: '${env:SECRET}', \
                consumers: ['${env:SECRET}'], plans: ['${env:SECRET}']}\n  \
                rate_limit: [{limit: '${env:COUNT}', window: '${env:SECRET}', by: '${env:SECRET}', \
                cost: '${env:COUNT}'}]\n";
    let loaded = load_with(text, &[("SECRET", "hunter2 ;=&\u{e9}"), ("COUNT", "4000000001")]);
    assert!(loaded.diagnostics.len() > 12, "{:#?}", loaded.diagnostics);
    for found in &loaded.diagnostics {
        let shown = found.to_string();
        assert!(!shown.contains("hunter2") && !shown.contains("4000000001"), "{shown}");
    }
}
