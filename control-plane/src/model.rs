//! The file's meaning: every name resolved, every default filled in, every rule kept.
//!
//! [`config::resolve`](crate::config) is the only maker of a [`Model`]; whoever holds one need check nothing. What comes out
//! of Envoy's side (`translate`) is a pure function of these types, and a resource's version is a hash of the fragment that
//! it was made from, as canonical JSON. Hence every type here is `Serialize`, holds no hash map, and keeps its
//! [`Origin`] out of the serialised form: moving a route in the file must not change a version.

use std::{cmp::Reverse, net::IpAddr, time::Duration};

use legation_filter::config::{Consumer, Plan, Policy, RateLimitHeaders};
use serde::Serialize;

use crate::origin::Origin;

mod raw;
mod tls;

pub use raw::RawResource;
pub use tls::{CertificateFiles, ClusterTls, Hidden, ListenerTls, NamedFile, Secret, SecretContent, TlsVersion};

/// A whole configuration. Names are unique within each list, and lists keep the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Where connections come in.
    pub listeners: Vec<Listener>,
    /// Which request goes where.
    pub routes: Vec<Route>,
    /// Where requests go.
    pub clusters: Vec<Cluster>,
    /// Who calls, in the filter's own words.
    pub consumers: Vec<Consumer>,
    /// What a consumer may use, in the filter's own words.
    pub plans: Vec<Plan>,
    /// The file with the secret by which digests of keys are made.
    pub key_pepper: Option<NamedFile>,
    /// By which response fields clients see their limits.
    pub rate_limit_headers: RateLimitHeaders,
    /// How it reaches the nodes.
    pub rollout: Rollout,
    /// Resources in Envoy's own words.
    pub raw: Vec<RawResource>,
    /// The file itself, for what has no better place.
    pub origin: Origin,
}

/// How a new configuration reaches the nodes. No part of what they are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// How many nodes get it before the others; 0 is all at once.
    pub canary: usize,
}

/// A socket that accepts HTTP/1.1 and HTTP/2, in clear text or over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Its name, also in LDS, and the name of its route configuration in RDS.
    pub name: String,
    /// The address to bind.
    pub address: IpAddr,
    /// The port to bind, 1 to 65535.
    pub port: u16,
    /// TLS, where it speaks nothing else.
    pub tls: Option<ListenerTls>,
    /// What clients may take.
    pub limits: ListenerLimits,
    /// Where it is written.
    #[serde(skip)]
    pub origin: Origin,
}

/// What clients of a listener may take; what is not said, the translation says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListenerLimits {
    /// Open connections.
    pub connections: Option<u64>,
    /// Requests at once over a connection of HTTP/2.
    pub streams_per_connection: Option<u32>,
    /// All headers of a request together, in KiB.
    pub header_kib: Option<u32>,
    /// Headers of a request.
    pub header_count: Option<u32>,
    /// The body of a request, in bytes. Routes enforce it, so it is no part of the listener's resource.
    #[serde(skip)]
    pub request_body: Option<u64>,
}

/// A request matcher and what becomes of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Its name, also in access logs and in the filter's rules.
    pub name: String,
    /// Which requests.
    pub matcher: RouteMatch,
    /// What becomes of them.
    pub action: Action,
    /// A kind of long-lived exchange, where the file says so.
    pub stream: Option<Stream>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The largest body of a request in bytes, whatever the listener allows.
    pub max_request_body: Option<u64>,
    /// What the filter asks of the requests; its name is the route's.
    pub policy: Option<Policy>,
    /// Where it is written.
    #[serde(skip)]
    pub origin: Origin,
}

/// All conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteMatch {
    /// The path without its query.
    pub path: PathMatch,
    /// Any of these methods, upper case, sorted and without duplicates; empty: every method.
    pub methods: Vec<String>,
    /// All of these, sorted by name.
    pub headers: Vec<HeaderMatch>,
}

impl RouteMatch {
    /// Of two routes that match a request, the one with the smaller value wins, and among equals the first in the file:
    /// exact paths, then longer prefixes, then more conditions (all methods together are one, each header is one).
    pub fn specificity(&self) -> impl Ord + use<> {
        let (kind, length) = match &self.path {
            PathMatch::Exact(_) => (0, 0),
            PathMatch::Prefix(prefix) => (1, prefix.len()),
        };
        let conditions = usize::from(!self.methods.is_empty()) + self.headers.len();
        (kind, Reverse(length), Reverse(conditions))
    }
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// This very path.
    Exact(String),
    /// This prefix in whole segments: `/api` is `/api` and `/api/x`, not `/apix`. It starts with a slash, and ends with one
    /// only if it is `/`.
    Prefix(String),
}

/// A condition on one request header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HeaderMatch {
    /// The header's name, lower case.
    pub name: String,
    /// What its value must be.
    pub value: HeaderValueMatch,
}

/// A condition on a header's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValueMatch {
    /// This very value.
    Exact(String),
    /// A value that begins so.
    Prefix(String),
    /// Any value (`true`), or no such header (`false`).
    Present(bool),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes to a cluster.
    Forward(Forward),
    /// The gateway answers by itself.
    Respond {
        /// The status, 200 to 599.
        status: u16,
        /// The body; may be empty.
        body: String,
    },
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// One cluster or more; each weight counts against the sum, which is at least 1 and at most 2^32 - 1.
    pub clusters: Vec<WeightedCluster>,
    /// What the matched prefix becomes, by the same rules as [`PathMatch::Prefix`]. Only with a prefix match.
    pub rewrite_prefix: Option<String>,
}

/// A share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedCluster {
    /// The cluster's name, which exists.
    pub cluster: String,
    /// Its share; 0 is none.
    pub weight: u32,
}

/// How long an exchange may take, from the first byte of the request to the end, where its route says nothing of it: listeners have
/// this limit, and a route with another says so.
pub const MAX_STREAM: Duration = Duration::from_secs(5 * 60);

/// How long things may take. `None` is no limit, which the file writes as `0s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// From the end of the request to the end of the response.
    pub request: Option<Duration>,
    /// Without a byte either way.
    pub idle: Option<Duration>,
    /// From the end of the request to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// From the first byte of the request to the end, whatever happens.
    pub max_stream: Option<Duration>,
}

/// A kind of long-lived exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Server-sent events, and other responses that trickle.
    Sse,
    /// gRPC of any kind.
    Grpc,
    /// An upgrade to WebSocket.
    Websocket,
    /// A long response.
    Download,
    /// A long request.
    Upload,
}

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
    Addresses(Vec<std::net::SocketAddr>),
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
