//! Routes (RDS): one route configuration for each listener, with one virtual host for each set of hosts that the same routes serve.
//!
//! Envoy chooses the virtual host first (the exact host, else the longest wildcard, else `*`) and then the first of its routes that
//! matches, without a look at any other virtual host. A request that no route of its host matches is to go on to the wildcards'
//! routes and then to any host's. So each virtual host holds copies of the routes of the wider ones, after its own.

use legation_protos::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use serde::Serialize;

use super::{route, version};
use crate::model::{self, Domain, Host, route::VirtualHosts};

/// All routes in the order in which Envoy is to try those of one host, each with a mark of what it says. A file's listeners share
/// most of its routes, so each route is marked once and not once a listener.
pub(super) struct Ordered<'a>(Vec<(&'a model::Route, String)>);

/// What a route configuration is made from.
#[derive(Serialize)]
pub(super) struct RoutesFragment<'a> {
    request_body: Option<u64>,
    routes: Vec<&'a str>,
}

impl<'a> Ordered<'a> {
    pub(super) fn new(routes: &'a [model::Route]) -> Self {
        let mut ordered: Vec<&model::Route> = routes.iter().collect();
        ordered.sort_by_key(|route| route.matcher.specificity());
        Self(ordered.into_iter().map(|route| (route, version::mark_of_route(route))).collect())
    }

    /// What the routes of a listener are made from. Of the listener it takes the name and the largest body.
    pub(super) fn fragment(&self, listener: &model::Listener) -> RoutesFragment<'_> {
        RoutesFragment {
            request_body: listener.limits.request_body,
            routes: self.on(listener).map(|(_, mark)| mark.as_str()).collect(),
        }
    }

    /// The route configuration of a listener.
    pub(super) fn configuration(&self, listener: &model::Listener) -> RouteConfiguration {
        let routes: Vec<&model::Route> = self.on(listener).map(|(route, _)| *route).collect();
        let built: Vec<Route> = routes.iter().map(|route| route::build(route, listener)).collect();
        let hosts = VirtualHosts::new(&routes);
        let virtual_hosts = hosts.iter().map(|(hosts, served)| VirtualHost {
            name: name(hosts),
            domains: hosts.iter().flat_map(|host| domains(host)).collect(),
            routes: served.iter().filter_map(|place| built.get(*place)).cloned().collect(),
            ..VirtualHost::default()
        });
        RouteConfiguration {
            name: listener.name.clone(),
            virtual_hosts: virtual_hosts.collect(),
            ignore_port_in_host_matching: true,
            ..RouteConfiguration::default()
        }
    }

    fn on<'b>(&'b self, listener: &model::Listener) -> impl Iterator<Item = &'b (&'a model::Route, String)> {
        self.0.iter().filter(|(route, _)| route.is_on(&listener.name))
    }
}

/// A virtual host is called after the first of its hosts; that of any host is `any`.
fn name(hosts: &[&Host]) -> String {
    match hosts.first() {
        None | Some(Host::Any) => "any".to_owned(),
        Some(Host::Exact(name)) => name.clone(),
        Some(Host::Below(Domain(name))) => format!("*.{name}"),
    }
}

/// Envoy's form of a host. `example.com.`, the absolute form of a name, is the same host.
fn domains(host: &Host) -> Vec<String> {
    match host {
        Host::Any => vec!["*".to_owned()],
        Host::Exact(name) => vec![name.clone(), format!("{name}.")],
        Host::Below(Domain(name)) => vec![format!("*.{name}"), format!("*.{name}.")],
    }
}
