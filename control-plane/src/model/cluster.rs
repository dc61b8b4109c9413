//! Clusters: where requests go.

use std::{net::SocketAddr, time::Duration};

use serde::Serialize;

use super::ClusterTls;
use crate::origin::Origin;

/// A group of endpoints that serve the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Its name, also in CDS, EDS and Envoy's statistics.
    pub name: String,
    /// Its endpoints.
    pub endpoints: Endpoints,
    /// The version of HTTP that it speaks.
    pub protocol: Protocol,
    /// TLS towards it. `None` means clear text.
    pub tls: Option<ClusterTls>,
    /// How Envoy chooses the endpoint of a request.
    pub lb: LoadBalancing,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Its place in the file.
    #[serde(skip)]
    pub origin: Origin,
}

/// The endpoints of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoints {
    /// Addresses only. EDS serves them, so they change without touching the cluster. May be empty.
    Addresses(Vec<SocketAddr>),
    /// At least one is a host name. Envoy resolves it, and all of them are part of the cluster.
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

/// The version of HTTP that a cluster speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// The version that the client speaks.
    Auto,
}

/// How Envoy chooses the endpoint of a request, in the words of its `lb_policy`.
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
    /// Returns whether the choice needs a hash of the request.
    pub fn hashes(self) -> bool {
        matches!(self, Self::RingHash | Self::Maglev)
    }
}
