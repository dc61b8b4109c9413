//! The file's meaning: every name resolved, every default filled in, every rule kept.
//!
//! Only [`config`](crate::config) makes a [`Model`], so code that has one checks nothing.
//! `translate` is a pure function of these types. The version of a resource is a hash of the
//! fragment that the resource is made from, as canonical JSON. Hence every type here is `Serialize`
//! and holds no hash map. [`Origin`] is not serialised: moving a route in the file must not change
//! a version.

use legation_filter::config::{Consumer, Plan, RateLimitHeaders};

use crate::origin::Origin;

mod cluster;
mod listener;
mod raw;
pub mod route;
mod share;
mod tls;

pub use cluster::{Cluster, Endpoints, HostPort, LoadBalancing, Protocol};
pub use listener::{Listener, ListenerLimits};
pub use raw::RawResource;
pub use route::{
    Action, Domain, Forward, HeaderMatch, HeaderValueMatch, Host, PathMatch, Route, RouteMatch, Stream, Timeouts,
    WeightedCluster,
};
pub use share::Share;
pub use tls::{
    CertificateFiles, ClusterTls, FileKind, Hidden, ListenerTls, NamedFile, Secret, SecretContent, TlsVersion,
};

/// A whole configuration. Names are unique within each list, and lists keep the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The listeners, where connections come in.
    pub listeners: Vec<Listener>,
    /// The routes, which say where each request goes.
    pub routes: Vec<Route>,
    /// The clusters, where requests go.
    pub clusters: Vec<Cluster>,
    /// The consumers, in the filter's own words.
    pub consumers: Vec<Consumer>,
    /// The plans of consumers, in the filter's own words.
    pub plans: Vec<Plan>,
    /// The file with the secret of API keys' digests.
    pub key_pepper: Option<NamedFile>,
    /// The response fields in which clients see their limits.
    pub rate_limit_headers: RateLimitHeaders,
    /// How a new configuration reaches the nodes.
    pub rollout: Rollout,
    /// Resources in Envoy's own words.
    pub raw: Vec<RawResource>,
    /// The file itself, as the place of anything without a better one.
    pub origin: Origin,
}

/// How a new configuration reaches the nodes. It is no part of any resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// How many nodes get it before the others. 0 means all at once.
    pub canary: usize,
}
