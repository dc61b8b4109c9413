//! Routes that can never win, because another takes all of their requests first.
//!
//! Envoy tries the routes of one host in the order of [`RouteMatch::specificity`]. An earlier route
//! shadows a later one if it asks for no more. Both have the same path then: of two prefixes that
//! match a request, the longer one comes first and matches less. Routes of wider hosts come later.
//! So only a route that serves the same hosts, and perhaps more, shadows another. The same holds
//! for listeners.

use std::collections::BTreeMap;

use crate::{
    config::{
        code,
        node::Span,
        report::{Report, quoted},
    },
    model::{HeaderMatch, HeaderValueMatch, Host, PathMatch, Route, RouteMatch},
};

/// The most routes of one path and host that a route is compared with. In a file that a person
/// wrote, these are all of them.
const MOST_COMPARED: usize = 500;

/// Warns of each route that can never win.
pub fn warn(routes: &[(Route, Span)], report: &mut Report) {
    let mut by_path: BTreeMap<(&PathMatch, &Host), Vec<&(Route, Span)>> = BTreeMap::new();
    for route in routes {
        for host in &route.0.hosts {
            by_path.entry((&route.0.matcher.path, host)).or_default().push(route);
        }
    }
    for rivals in by_path.values_mut() {
        rivals.sort_by_key(|(route, _)| route.matcher.specificity());
    }
    for (route, at) in routes {
        // Whatever shadows the route serves all of its hosts, so also the first.
        let Some(host) = route.hosts.first() else { continue };
        let rivals = by_path.get(&(&route.matcher.path, host)).map(Vec::as_slice).unwrap_or_default();
        let mut earlier = rivals.iter().take_while(|(_, place)| place != at).take(MOST_COMPARED);
        if let Some((winner, place)) = earlier.find(|(rival, _)| takes_all(rival, route)) {
            let message = format!(
                "the route {} can never win: {} at {} takes all of its requests",
                quoted(&route.name),
                quoted(&winner.name),
                report.origin(*place)
            );
            report.warning(code::SHADOWED_ROUTE, *at, message, None);
        }
    }
}

/// Whether `rival`, which comes earlier, takes every request of `route`, whose path is the same.
fn takes_all(rival: &Route, route: &Route) -> bool {
    let listeners = match (&rival.listeners, &route.listeners) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(rivals), Some(own)) => own.is_subset(rivals),
    };
    listeners && route.hosts.is_subset(&rival.hosts) && covers(&rival.matcher, &route.matcher)
}

/// Whether every request that meets the conditions of `other` beside its path meets these too.
fn covers(matcher: &RouteMatch, other: &RouteMatch) -> bool {
    let methods = matcher.methods.is_empty()
        || (!other.methods.is_empty() && other.methods.iter().all(|method| matcher.methods.contains(method)));
    methods && matcher.headers.iter().all(|header| other.headers.iter().any(|stricter| implies(stricter, header)))
}

fn implies(stricter: &HeaderMatch, header: &HeaderMatch) -> bool {
    stricter.name == header.name
        && match (&stricter.value, &header.value) {
            (HeaderValueMatch::Exact(value) | HeaderValueMatch::Prefix(value), HeaderValueMatch::Prefix(prefix)) => {
                value.starts_with(prefix)
            }
            (HeaderValueMatch::Exact(_) | HeaderValueMatch::Prefix(_), HeaderValueMatch::Present(present)) => *present,
            (stricter, same) => stricter == same,
        }
}
