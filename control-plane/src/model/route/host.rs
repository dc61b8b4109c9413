//! The hosts that a route serves.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Route;

/// A host of requests, in lower case and without a port. Hosts are ordered by precedence: exact
/// hosts first, then longer wildcards, then any host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// Exactly this host.
    Exact(String),
    /// Every host below this domain, at any depth. `*.example.com` is `example.com` here, and does
    /// not match `example.com` itself.
    Below(Domain),
    /// Every host.
    Any,
}

/// A domain. Longer domains come first in the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Domain(pub String);

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.len().cmp(&self.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Host {
    /// The host itself and all that cover it, in the order of precedence.
    fn covering(&self) -> impl Iterator<Item = Self> {
        let name = match self {
            Self::Exact(name) | Self::Below(Domain(name)) => name.as_str(),
            Self::Any => "",
        };
        let parents = name.match_indices('.').filter_map(|(dot, _)| name.get(dot.saturating_add(1)..));
        let wildcards = parents.map(|parent| Self::Below(Domain(parent.to_owned())));
        let any = (*self != Self::Any).then_some(Self::Any);
        std::iter::once(self.clone()).chain(wildcards).chain(any)
    }
}

/// Which routes serve which hosts, of those that the routes name and any other.
///
/// A request that no route of its host matches goes on to the routes of wider hosts, so these serve
/// the narrower hosts too. Hosts that the same routes serve share one entry.
pub struct VirtualHosts<'a> {
    /// Places of routes. Each list is that of one host or more.
    lists: Vec<Vec<usize>>,
    /// Places of lists, in the order of precedence, and the hosts that they serve.
    hosts: BTreeMap<Vec<usize>, Vec<&'a Host>>,
}

impl<'a> VirtualHosts<'a> {
    /// Those of routes that are in the order in which a request to one host tries them.
    pub fn new(routes: &[&'a Route]) -> Self {
        let mut own: BTreeMap<&Host, Vec<usize>> = BTreeMap::from([(&Host::Any, Vec::new())]);
        for (place, route) in routes.iter().enumerate() {
            for host in &route.hosts {
                own.entry(host).or_default().push(place);
            }
        }
        let mut lists: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let list_of: BTreeMap<&Host, usize> = own
            .into_iter()
            .map(|(host, routes)| {
                let next = lists.len();
                (host, *lists.entry(routes).or_insert(next))
            })
            .collect();
        let mut hosts: BTreeMap<Vec<usize>, Vec<&Host>> = BTreeMap::new();
        for host in list_of.keys() {
            let mut serving: Vec<usize> = host.covering().filter_map(|host| list_of.get(&host).copied()).collect();
            serving.dedup();
            hosts.entry(serving).or_default().push(host);
        }
        let mut by_place: Vec<(usize, Vec<usize>)> = lists.into_iter().map(|(routes, place)| (place, routes)).collect();
        by_place.sort_unstable();
        Self { lists: by_place.into_iter().map(|(_, routes)| routes).collect(), hosts }
    }

    /// How many copies of routes they hold together: at least one a route, and more where a host's
    /// requests may go on to wider ones.
    pub fn copies(&self) -> usize {
        self.hosts.keys().flatten().filter_map(|list| self.lists.get(*list)).map(Vec::len).sum()
    }

    /// Hosts, and the places of the routes that serve them, in the order in which their requests
    /// try them.
    pub fn iter(&self) -> impl Iterator<Item = (&[&'a Host], Vec<usize>)> {
        self.hosts.iter().map(|(lists, hosts)| {
            let mut seen = BTreeSet::new();
            let routes = lists.iter().filter_map(|list| self.lists.get(*list)).flatten().copied();
            (hosts.as_slice(), routes.filter(|place| seen.insert(*place)).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_what_is_below_its_domain_and_not_the_domain() {
        let below = |domain: &str| Host::Below(Domain(domain.into()));
        let exact = |name: &str| Host::Exact(name.into());
        let wildcard = below("example.com");
        for covered in [exact("a.example.com"), exact("a.b.example.com"), below("b.example.com"), wildcard.clone()] {
            assert!(covered.covering().any(|host| host == wildcard), "{covered:?}");
        }
        for other in [exact("example.com"), exact("aexample.com"), below("com"), below("example.org"), Host::Any] {
            assert!(!other.covering().any(|host| host == wildcard), "{other:?}");
        }
    }
}
