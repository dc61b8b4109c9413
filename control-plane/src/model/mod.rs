//! The file's meaning: every name resolved, every default filled in, every rule kept.
//!
//! [`config::resolve`](crate::config) is the only maker of a [`Model`]; whoever holds one need check nothing. What comes out
//! of Envoy's side (`translate`) is a pure function of these types, and a resource's version is a hash of the fragment that
//! it was made from, as canonical JSON. Hence every type here is `Serialize`, holds no hash map, and keeps its
//! [`Origin`] out of the serialised form: moving a route in the file must not change a version.

use legation_filter::config::{Consumer, Plan, RateLimitHeaders};

use crate::origin::Origin;

mod cluster;
mod listener;
mod raw;
pub mod route;
mod tls;

pub use cluster::{Cluster, Endpoints, HostPort, LoadBalancing, Protocol};
pub use listener::{Listener, ListenerLimits};
pub use raw::RawResource;
pub use route::{
    Action, Domain, Forward, HeaderMatch, HeaderValueMatch, Host, PathMatch, Route, RouteMatch, Stream, Timeouts,
    WeightedCluster,
};
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
