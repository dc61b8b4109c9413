//! Clusters: where requests go.

use std::{net::SocketAddr, time::Duration};

use serde::Serialize;

use super::ClusterTls;
use crate::origin::Origin;

/// Endpoints that serve the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Its name, also in CDS, EDS and Envoy's statistics.
    pub name: String,
    /// Where it is.
    pub endpoints: Endpoints,
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS, where it is spoken to over TLS.
    pub tls: Option<ClusterTls>,
    /// How a request's endpoint is chosen.
    pub lb: LoadBalancing,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// Where it is written.
    #[serde(skip)]
    pub origin: Origin,
}

/// Where a cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoints {
    /// Addresses only, served by EDS: they change without touching the cluster. May be empty.
    Addresses(Vec<SocketAddr>),
    /// At least one host name: Envoy resolves them, and they are part of the cluster.
    Names(Vec<HostPort>),
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostPort {
    /// A host name, or an address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// What a cluster speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// What the client speaks.
    Auto,
}

/// How a request's endpoint is chosen, in the words of Envoy's `lb_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancing {
    /// One after the other.
    RoundRobin,
    /// The less busy of two.
    LeastRequest,
    /// By hash of the client's address, on a ring.
    RingHash,
    /// Any.
    Random,
    /// By hash of the client's address, by Maglev's table.
    Maglev,
}

impl LoadBalancing {
    /// Whether it needs a hash of the request.
    pub fn hashes(self) -> bool {
        matches!(self, Self::RingHash | Self::Maglev)
    }
}
