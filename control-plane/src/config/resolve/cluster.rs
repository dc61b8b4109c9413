//! `clusters`: where requests go.

use std::{collections::BTreeSet, time::Duration};

use super::Known;
use crate::{
    config::{code, names, report::Report, schema, schema::File, value},
    model::{Cluster, LoadBalancing, Protocol},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const PROTOCOLS: &[(&str, Protocol)] =
    &[("http1", Protocol::Http1), ("http2", Protocol::Http2), ("auto", Protocol::Auto)];

const LOAD_BALANCING: &[(&str, LoadBalancing)] = &[
    ("round_robin", LoadBalancing::RoundRobin),
    ("least_request", LoadBalancing::LeastRequest),
    ("ring_hash", LoadBalancing::RingHash),
    ("random", LoadBalancing::Random),
    ("maglev", LoadBalancing::Maglev),
];

/// All that are whole.
pub fn resolve(file: &File, known: &Known<'_>, report: &mut Report) -> Vec<Cluster> {
    let used = used(file.routes.items());
    // A name that is misspelt in a route is an error; that its cluster is then unused need not be said.
    let routes_are_readable = file.routes.get().is_some() || !file.routes.is_written();
    let is_known = |name: &str| known.clusters.get(name).is_some() || known.raw_clusters.contains(name);
    let all_found = routes_are_readable && used.iter().all(|name| is_known(name));
    let raw_texts = super::raw::texts(known.raw);
    let mut resolved = Vec::new();
    for cluster in file.clusters.items() {
        if let Some(name) = cluster.name.get()
            && all_found
            && !used.contains(name.value.as_str())
            && !raw_texts.contains(name.value.as_str())
        {
            let message = format!("no route uses the cluster {}", name.shown());
            report.warning(code::UNUSED_CLUSTER, name.span, message, None);
        }
        resolved.extend(one(cluster, report));
    }
    resolved
}

fn one(cluster: &schema::Cluster, report: &mut Report) -> Option<Cluster> {
    let endpoints = super::endpoint::resolve(cluster.endpoints.items(), report);
    if cluster.endpoints.is_written() && cluster.endpoints.is_empty() && !cluster.has_planned {
        let at = cluster.endpoints.key().unwrap_or(cluster.span);
        let message = "the cluster has no endpoints: its requests are answered with 503";
        report.warning(code::NO_ENDPOINTS, at, message, None);
    }
    let protocol =
        cluster.protocol.resolve_or(Protocol::Http1, |text| value::word(text, "`protocol`", PROTOCOLS, &[], report));
    let lb =
        cluster.lb.resolve_or(LoadBalancing::RoundRobin, |text| value::word(text, "`lb`", LOAD_BALANCING, &[], report));
    let connect_timeout = cluster
        .connect_timeout
        .resolve_or(CONNECT_TIMEOUT, |text| value::positive_duration(text, "`connect_timeout`", report));
    let tls = cluster.tls.resolve(|tls| super::tls::cluster(tls, cluster.tls.key(), &endpoints, report));
    let origin = report.origin(cluster.span);
    Some(Cluster {
        name: names::of(&cluster.name)?,
        endpoints,
        protocol: protocol?,
        tls: tls?,
        lb: lb?,
        connect_timeout: connect_timeout?,
        origin,
    })
}

fn used(routes: &[schema::Route]) -> BTreeSet<&str> {
    let single = routes.iter().filter_map(|route| route.cluster.get());
    let shared = routes.iter().flat_map(|route| route.clusters.items()).filter_map(|cluster| cluster.name.get());
    single.chain(shared).map(|name| name.value.as_str()).collect()
}

/// The protocol of the schema's cluster as it is written, or the one that holds where none is.
pub fn protocol(cluster: &schema::Cluster) -> &str {
    cluster.protocol.get().map_or("http1", |text| &text.value)
}
