//! `hosts`: the hosts whose requests a route takes.

use std::collections::BTreeSet;

use super::Route;
use crate::{
    config::{code, decode::Said, node::Span, places::Places, report::Report},
    model::{self, route::VirtualHosts},
};

/// How many copies of routes a listener's virtual hosts may hold together. Envoy gets all of them
/// anew when one of them changes. A copy takes some 300 bytes there.
const MOST_COPIES: usize = 100_000;

/// The hosts. A route that names none takes the requests of any host.
pub fn resolve(route: &Said<Route>, report: &mut Report) -> Option<BTreeSet<model::Host>> {
    let Some(key) = route.hosts.key() else { return Some([model::Host::Any].into()) };
    if route.hosts.is_empty() {
        let help = "leave `hosts` out for every host".to_owned();
        report.error_with_help(code::INVALID_VALUE, key, "`hosts` is empty: no request would match", Some(help));
        return None;
    }
    let mut places = Places::default();
    let mut hosts = BTreeSet::new();
    for host in route.hosts.items() {
        if let Some(first) = places.earlier(&host.value.0, host.span) {
            let message = format!("the host {} is already given at {}", host.shown(), report.origin(first));
            report.error(code::DUPLICATE_VALUE, host.span, message);
        }
        hosts.insert(host.value.0.clone());
    }
    (hosts.len() == route.hosts.slots().len()).then_some(hosts)
}

/// Reports where the routes of a listener multiply: a request that no route of its host matches
/// goes on to the routes of wider hosts, so each narrower host has copies of these.
pub fn check(routes: &[(model::Route, Span)], listeners: &[model::Listener], report: &mut Report) {
    let is_narrow = |hosts: &BTreeSet<model::Host>| hosts.iter().any(|host| *host != model::Host::Any);
    let Some((_, at)) = routes.iter().find(|(route, _)| is_narrow(&route.hosts)) else { return };
    for listener in listeners {
        let served: Vec<&model::Route> =
            routes.iter().map(|(route, _)| route).filter(|route| route.is_on(&listener.name)).collect();
        let copies = VirtualHosts::new(&served).copies();
        if copies > MOST_COPIES {
            let message = format!(
                "the {} routes of the listener `{}` make {copies} copies in its virtual hosts; at most {MOST_COPIES} \
                 are allowed: each host of `hosts` has a copy of every route of wider hosts",
                served.len(),
                listener.name
            );
            let help = "give routes that are meant for some hosts only these in `hosts`".to_owned();
            report.error_with_help(code::TOO_COMPLEX, *at, message, Some(help));
        }
    }
}
