//! What is planned and not built: refused by name.

use legation::{
    config::describe::{self, Shape},
    diagnostic::Severity,
};
use serde_json::Value as Json;

use crate::support::{REST, ROUTE, codes, codes_of_route, load};

/// The first value in the file that this mapping describes.
fn first<'a>(value: &'a mut Json, shape: &Shape, what: &str) -> Option<&'a mut Json> {
    match shape {
        Shape::Mapping(mapping) if mapping.what == what => value.is_object().then_some(value),
        Shape::Mapping(mapping) => {
            let fields = value.as_object_mut()?;
            let inner = fields
                .iter_mut()
                .filter_map(|(name, value)| Some((mapping.fields.iter().find(|field| field.name == name)?, value)));
            inner.into_iter().find_map(|(field, value)| first(value, &field.shape, what))
        }
        Shape::List(item) => value.as_array_mut()?.iter_mut().find_map(|value| first(value, item, what)),
        Shape::OneOrMany(item) if value.is_array() => {
            value.as_array_mut()?.iter_mut().find_map(|value| first(value, item, what))
        }
        Shape::OneOrMany(item) => first(value, item, what),
        Shape::Pairs { value: of, .. } => value.as_object_mut()?.values_mut().find_map(|value| first(value, of, what)),
        Shape::Either(shapes) => {
            let shape = shapes.iter().find(|shape| matches!(shape, Shape::Mapping(_)) == value.is_object())?;
            first(value, shape, what)
        }
        Shape::Leaf(_) | Shape::EnvoyResource => None,
    }
}

#[test]
fn each_planned_field_is_refused_by_name_and_nothing_else_is_said_of_it() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good/everything.yaml");
    let everything: Json = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut count = 0;
    for (path, mapping) in describe::sections() {
        for planned in &mapping.planned {
            let mut document = everything.clone();
            let whole = Shape::Mapping(Box::new(describe::file()));
            let at = first(&mut document, &whole, mapping.what).unwrap_or_else(|| panic!("there is no {path}"));
            at[*planned] = 1.into();
            let found = load(document.to_string()).diagnostics;
            let errors = found.iter().filter(|found| found.severity == Severity::Error);
            let errors: Vec<_> = errors.map(|found| (found.code, found.message.clone())).collect();
            let expected = ("not_supported_yet", format!("`{planned}` is not supported yet"));
            assert_eq!(errors, [expected], "{path}.{planned}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn a_planned_field_may_say_what_would_otherwise_be_missing() {
    for (field, route) in [
        ("regex", "match: {regex: a}, cluster: svc"),
        ("rewrite host", "match: {prefix: /}, cluster: svc, rewrite: {host: a}"),
        ("redirect", "match: {prefix: /}, redirect: {}"),
        ("by claim", "match: {prefix: /}, cluster: svc, rate_limit: {limit: 1, window: 1s, by: 'jwt:x'}"),
        ("scope", "match: {prefix: /}, cluster: svc, rate_limit: {window: 1s, scope: fleet}"),
    ] {
        let codes = codes_of_route(route);
        assert!(codes.contains(&"not_supported_yet"), "{field}: {codes:?}");
        assert!(!codes.contains(&"missing_field"), "{field}: {codes:?}");
    }
    let mapping = format!("{REST}routes: [{ROUTE}]\n").replace("'svc:8080'", "{address: 'svc:8080', weight: 1}");
    assert_eq!(codes(&mapping), ["not_supported_yet"]);
    let file = format!("{REST}routes: [{ROUTE}]\n").replace("{sha256: ", "{sha256_file: ");
    assert_eq!(codes(&file), ["not_supported_yet"]);
}
