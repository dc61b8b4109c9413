//! Conditions on headers that the filter edits.
//!
//! Envoy chooses a request's route, the filter judges by that route's policy and edits headers, and Envoy then chooses anew
//! (Envoy clears its choice when a wasm filter edits request headers). Were a route to match on a header that is edited, a
//! request judged for one route could go out by another, past its limits. So no route may.

use std::collections::BTreeMap;

use legation_filter::{compile::DEFAULT_KEY_HEADER, identity::is_identity};

use crate::config::{
    code,
    node::Span,
    report::{Report, quoted},
    schema,
};

/// Reports each condition on a header that the filter writes or takes away.
pub fn check(routes: &[schema::Route], report: &mut Report) {
    let taken_away = keys_taken_away(routes);
    for route in routes {
        let conditions = route.r#match.get().map(|matcher| matcher.headers.items()).unwrap_or_default();
        for (name, _) in conditions {
            let lower = name.value.to_ascii_lowercase();
            if is_identity(lower.as_bytes()) {
                let message =
                    format!("no route can match on {}: the gateway writes it once a route is chosen", name.shown());
                report.error(code::CONFLICT, name.span, message);
            } else if let Some((other, at)) = taken_away.get(&lower) {
                let message = format!(
                    "no route can match on {}: it carries the key of the route {} at {}, which takes it away once a route is chosen",
                    name.shown(),
                    quoted(other),
                    report.origin(*at)
                );
                let help = "match on another header, or say `keep: true` there".to_owned();
                report.error_with_help(code::CONFLICT, name.span, message, Some(help));
            }
        }
    }
}

/// The headers that carry a key and do not reach the cluster, with a route that says so.
fn keys_taken_away(routes: &[schema::Route]) -> BTreeMap<String, (&str, Span)> {
    let mut headers = BTreeMap::new();
    for route in routes {
        let Some(rule) = route.api_key.get().filter(|rule| rule.keep.get().is_none_or(|keep| !keep.value)) else {
            continue;
        };
        let name = route.name.get().map_or("", |name| &name.value);
        let bearer = rule.bearer.get().is_some_and(|bearer| bearer.value);
        let header = rule.header.get().map(|text| text.value.as_str());
        let is_default = !bearer && header.is_none() && !rule.cookie.is_written() && !rule.query.is_written();
        let edited = [
            header.or(is_default.then_some(DEFAULT_KEY_HEADER)),
            bearer.then_some("authorization"),
            rule.cookie.get().map(|_| "cookie"),
        ];
        for header in edited.into_iter().flatten() {
            headers.entry(header.to_ascii_lowercase()).or_insert((name, rule.span));
        }
    }
    headers
}
