//! Conditions on headers that a feature edits.
//!
//! Envoy chooses a request's route, a filter judges by that route's policy and edits headers, and
//! Envoy then chooses anew (Envoy clears its choice when a wasm filter edits request headers). If
//! a route matched on a header that is edited, a request that was judged for one route could
//! leave by another, past its limits. So no route may.

use std::collections::BTreeMap;

use super::{Edit, Route, api_key};
use crate::config::{
    code,
    decode::Said,
    report::{Report, quoted},
};

/// Reports each condition on a header that a feature changes or takes away.
pub fn check<'a>(routes: impl Iterator<Item = &'a Said<Route>> + Clone, report: &mut Report) {
    let edited = edited(routes.clone());
    for route in routes {
        let Some(matcher) = route.r#match.get() else { continue };
        for (name, _) in matcher.headers.items() {
            if api_key::writes_always(&name.lower) {
                let message =
                    format!("no route can match on {}: the gateway writes it once a route is chosen", name.shown());
                report.error(code::CONFLICT, name.span, message);
            } else if let Some((other, edit)) = edited.get(&name.lower) {
                let other = format!("the route {} at {}", quoted(other), report.origin(edit.at));
                let message = format!("no route can match on {}: {}", name.shown(), edit.why.replace("{}", &other));
                report.error_with_help(code::CONFLICT, name.span, message, Some(edit.help.to_owned()));
            }
        }
    }
}

/// The headers that some route has edited, with that route.
fn edited<'a>(routes: impl Iterator<Item = &'a Said<Route>>) -> BTreeMap<String, (&'a str, Edit)> {
    let mut headers = BTreeMap::new();
    for route in routes {
        let name = route.name.get().map_or("", |name| &name.value.text);
        for edit in route.features.edits() {
            headers.entry(edit.header.clone()).or_insert((name, edit));
        }
    }
    headers
}
