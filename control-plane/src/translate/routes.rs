//! Routes (RDS): one route configuration for each listener. Hosts that the same routes serve share
//! one virtual host.
//!
//! Envoy first chooses the virtual host: the exact host, else the longest wildcard, else `*`. It
//! then takes the first of its routes that matches, and looks at no other virtual host. But a
//! request that no route of its host matches must go on to the wildcards' routes, and then to any
//! host's. So each virtual host has copies of the wider hosts' routes after its own.

use legation_protos::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use serde::Serialize;

use super::{route, version};
use crate::model::{self, Domain, Host, route::VirtualHosts};

/// All routes in the order in which Envoy tries those of one host, each with a hash. Listeners
/// share most of a file's routes, so each route is hashed once and not once a listener.
pub(super) struct Ordered<'a>(Vec<(&'a model::Route, String)>);

/// The fragment of a route configuration.
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

    /// Returns the fragment of a listener's routes. It uses the listener's name and `request_body`.
    pub(super) fn fragment(&self, listener: &model::Listener) -> RoutesFragment<'_> {
        RoutesFragment {
            request_body: listener.limits.request_body,
            routes: self.on(listener).map(|(_, mark)| mark.as_str()).collect(),
        }
    }

    /// Returns the route configuration of a listener.
    pub(super) fn configuration(&self, listener: &model::Listener) -> RouteConfiguration {
        let routes: Vec<&model::Route> = self.on(listener).map(|(route, _)| *route).collect();
        let by_hosts = VirtualHosts::new(&routes);
        let hosts: Vec<(&[&Host], Vec<usize>)> = by_hosts.iter().collect();
        let mut uses = vec![0_usize; routes.len()];
        for place in hosts.iter().flat_map(|(_, served)| served) {
            if let Some(uses) = uses.get_mut(*place) {
                *uses += 1;
            }
        }
        let mut built: Vec<Option<Route>> = routes.iter().map(|route| Some(route::build(route, listener))).collect();
        // The last virtual host that has a route takes it, and the others copy it.
        let mut take = |place: usize| {
            let (uses, route) = (uses.get_mut(place)?, built.get_mut(place)?);
            *uses = uses.saturating_sub(1);
            if *uses == 0 { route.take() } else { route.clone() }
        };
        let virtual_hosts = hosts.iter().map(|(hosts, served)| VirtualHost {
            name: name(hosts),
            domains: hosts.iter().flat_map(|host| domains(host)).collect(),
            routes: served.iter().filter_map(|place| take(*place)).collect(),
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

/// Names a virtual host after the first of its hosts. The one for any host is `any`.
fn name(hosts: &[&Host]) -> String {
    match hosts.first() {
        None | Some(Host::Any) => "any".to_owned(),
        Some(Host::Exact(name)) => name.clone(),
        Some(Host::Below(Domain(name))) => format!("*.{name}"),
    }
}

/// Returns Envoy's form of a host. `example.com.`, the absolute form of a name, is the same host.
fn domains(host: &Host) -> Vec<String> {
    match host {
        Host::Any => vec!["*".to_owned()],
        Host::Exact(name) => vec![name.clone(), format!("{name}.")],
        Host::Below(Domain(name)) => vec![format!("*.{name}"), format!("*.{name}.")],
    }
}
