//! `clusters`: where requests go.

mod endpoints;
mod tls;

use std::{collections::BTreeSet, time::Duration};

use self::{endpoints::EndpointItem, tls::Tls};
use super::{
    code,
    decode::{Field, List, mapping},
    envoy,
    file::{File, Known},
    leaf::{
        Name, Named, Word,
        name::{self, Kind},
        words,
    },
    report::Report,
    route,
};
use crate::model::{self, LoadBalancing, Protocol};

words! {
    /// What the endpoints of a cluster speak.
    Protocol, "protocol" {
        /// HTTP/1.1.
        "http1" => Protocol::Http1,
        /// HTTP/2 with prior knowledge, which gRPC needs.
        "http2" => Protocol::Http2,
        /// HTTP/1.1 or HTTP/2, as the client speaks.
        "auto" => Protocol::Auto,
    }
}

words! {
    /// How the gateway chooses an endpoint for a request.
    LoadBalancing, "load balancing" {
        /// One after the other.
        "round_robin" => LoadBalancing::RoundRobin,
        /// Of two at random, the one with fewer requests under way.
        "least_request" => LoadBalancing::LeastRequest,
        /// By a hash of the client's address, on a ring.
        "ring_hash" => LoadBalancing::RingHash,
        /// At random.
        "random" => LoadBalancing::Random,
        /// By a hash of the client's address, by Maglev's table.
        "maglev" => LoadBalancing::Maglev,
    }
}

mapping! {
    /// Endpoints that serve the same.
    Cluster, "a cluster", "{name: svc, endpoints: [\"svc:8080\"]}" {
        /// The cluster's name. It is also its name in CDS, in EDS and in Envoy's statistics.
        required name: Name<Cluster>,
        /// Where the cluster is. If all are IP addresses, Envoy gets them by EDS. If one is a
        /// host name, Envoy resolves it.
        unless_planned endpoints: List<EndpointItem>,
        /// What the endpoints speak.
        optional protocol: Word<Protocol> = Word(Protocol::Http1),
        /// How the gateway chooses an endpoint for a request.
        optional lb: Word<LoadBalancing> = Word(LoadBalancing::RoundRobin),
        /// How long it may take to open a connection.
        optional connect_timeout: Duration = Duration::from_secs(5),
        /// TLS to the endpoints. Without it, the gateway speaks clear text to them.
        optional tls: Tls,
    }
    planned: endpoints_file discover health_check circuit_breaker outlier_detection slow_start panic_threshold
        zone_aware dns connection adaptive_concurrency admission_control aws_lambda_url aws_lambda aws_kinesis
        aws_s3 region aws;
}

impl Named for Cluster {
    // The bootstrap's own cluster leads to the control plane.
    const KIND: Kind = Kind::plain("cluster", code::UNKNOWN_CLUSTER).without(&["legation-xds"]);

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

/// The valid clusters.
pub fn resolve(file: &File, known: &Known<'_>, report: &mut Report) -> Vec<model::Cluster> {
    let used = used(file);
    // A misspelt name in a route is an error. A warning that its cluster is unused would add
    // nothing.
    let routes_are_readable = file.routes.get().is_some() || !file.routes.is_written();
    let is_known = |name: &str| known.clusters.get(name).is_some() || known.raw_clusters.contains(name);
    let all_found = routes_are_readable && used.iter().all(|name| is_known(name));
    let raw_texts = envoy::texts(known.raw);
    let mut resolved = Vec::new();
    for cluster in file.clusters.items() {
        if let Some(name) = cluster.name.get()
            && all_found
            && !used.contains(name.text.as_str())
            && !raw_texts.contains(name.text.as_str())
        {
            let message = format!("no route uses the cluster {}", name.shown());
            report.warning(code::UNUSED_CLUSTER, name.span, message, None);
        }
        let origin = report.origin(cluster.span);
        if cluster.endpoints.is_written() && cluster.endpoints.is_empty() && !cluster.has_planned {
            let at = cluster.endpoints.key().unwrap_or(cluster.span);
            let message = "the cluster has no endpoints: its requests are answered with 503";
            report.warning(code::NO_ENDPOINTS, at, message, None);
        }
        resolved.extend(one(cluster, origin, report));
    }
    resolved
}

fn one(cluster: &Cluster, origin: crate::origin::Origin, report: &mut Report) -> Option<model::Cluster> {
    let endpoints = endpoints::resolve(cluster.endpoints.items(), report);
    let tls = cluster.tls.resolve(|tls| tls::resolve(tls, cluster.tls.key(), &endpoints, report));
    Some(model::Cluster {
        name: name::of(&cluster.name)?,
        endpoints,
        protocol: cluster.protocol.get()?.0,
        tls: tls?,
        lb: cluster.lb.get()?.0,
        connect_timeout: cluster.connect_timeout.get()?.value,
        origin,
    })
}

fn used(file: &File) -> BTreeSet<&str> {
    file.routes.items().flat_map(|route| route::clusters(route)).map(|name| name.text.as_str()).collect()
}
