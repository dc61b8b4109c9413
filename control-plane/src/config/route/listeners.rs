//! `listeners`: the listeners that serve a route.

use std::collections::BTreeSet;

use super::Route;
use crate::config::{code, decode::Said, file::Known, places::Places, report::Report};

/// The names of the listeners, which exist. `Some(None)` means all of the file's listeners.
pub fn resolve(route: &Said<Route>, known: &Known<'_>, report: &mut Report) -> Option<Option<BTreeSet<String>>> {
    let Some(key) = route.listeners.key() else { return Some(None) };
    if route.listeners.is_empty() {
        let help = "leave `listeners` out for every listener".to_owned();
        let message = "`listeners` is empty: nothing would serve the route";
        report.error_with_help(code::INVALID_VALUE, key, message, Some(help));
        return None;
    }
    let mut places = Places::default();
    let mut names = BTreeSet::new();
    for listener in route.listeners.items() {
        if let Some(first) = places.earlier(&listener.value.text, listener.span) {
            let message = format!("the listener {} is already given at {}", listener.shown(), report.origin(first));
            report.error(code::DUPLICATE_NAME, listener.span, message);
        }
        if known.listeners.find(listener, report).is_some() {
            names.insert(listener.value.text.clone());
        }
    }
    (names.len() == route.listeners.slots().len()).then_some(Some(names))
}
