//! Routes: which requests, what becomes of them, and on what terms.

use std::collections::BTreeSet;

use legation_filter::config::Policy;
use serde::Serialize;

use crate::{origin::Origin, route_features::route_features};

mod action;
mod host;
mod r#match;

pub use action::{Action, Forward, WeightedCluster};
pub use host::{Domain, Host, VirtualHosts};
pub use r#match::{HeaderMatch, HeaderValueMatch, PathMatch, RouteMatch};
pub use stream::Stream;
pub use timeouts::Timeouts;

/// A request matcher, what becomes of the requests, and what else holds for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Its name. Access logs, metrics and the filter's policies use it too.
    pub name: String,
    /// The listeners that serve it, by their names, which exist. `None` means all of the file's listeners.
    /// Whether a listener serves it shows in that listener's list of routes, so it is no part of the route's resource.
    #[serde(skip)]
    pub listeners: Option<BTreeSet<String>>,
    /// The hosts that it serves. Never empty: a route that names none serves [`Host::Any`].
    pub hosts: BTreeSet<Host>,
    /// Which requests of these hosts.
    pub matcher: RouteMatch,
    /// What becomes of them.
    pub action: Action,
    /// What else the route says.
    pub features: Features,
    /// Where it is written.
    #[serde(skip)]
    pub origin: Origin,
}

macro_rules! features {
    ($($word:ident),* $(,)?) => {
        $(pub mod $word;)*

        /// What each word of [`route_features`] means on a route. The default is what holds on a route that does not say it.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Features {
            $(
                #[doc = concat!("See [`", stringify!($word), "`].")]
                pub $word: $word::Meaning,
            )*
        }
    };
}
route_features!(features);

impl Route {
    /// What the gateway filter asks of the route's requests. `None` where it has nothing to do there.
    pub fn policy(&self) -> Option<Policy> {
        let Features { api_key, rate_limit, stream, .. } = &self.features;
        // Proxies further out would hold events back.
        let stream_headers = *stream == Some(Stream::Sse);
        let asks = api_key.is_some() || !rate_limit.is_empty() || stream_headers;
        asks.then(|| Policy {
            name: self.name.clone(),
            api_key: api_key.clone(),
            rate_limit: rate_limit.clone(),
            stream_headers,
        })
    }

    /// Whether the listener of this name serves it.
    pub fn is_on(&self, listener: &str) -> bool {
        self.listeners.as_ref().is_none_or(|listeners| listeners.contains(listener))
    }
}
