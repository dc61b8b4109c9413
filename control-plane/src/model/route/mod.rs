//! Routes: the requests that they match, where these go, and what else applies.

use std::collections::BTreeSet;

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

/// A request matcher, an action, and the features of the route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Its name. Access logs, metrics and the filter's policies use it too.
    pub name: String,
    /// The names of the listeners that serve it. They exist. `None` means all listeners of the
    /// file. It is not serialised: a listener's list of routes already shows which routes it
    /// serves.
    #[serde(skip)]
    pub listeners: Option<BTreeSet<String>>,
    /// The hosts that it serves. Never empty: a route without `hosts` serves [`Host::Any`].
    pub hosts: BTreeSet<Host>,
    /// The requests of these hosts that it matches.
    pub matcher: RouteMatch,
    /// What Envoy does with them.
    pub action: Action,
    /// The other words of the route.
    pub features: Features,
    /// Its place in the file.
    #[serde(skip)]
    pub origin: Origin,
}

macro_rules! features {
    ($($word:ident),* $(,)?) => {
        $(pub mod $word;)*

        /// The meaning of each word of [`route_features`] on a route. The default is the meaning of
        /// a word that the route does not have.
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
    /// Returns whether the listener of this name serves it.
    pub fn is_on(&self, listener: &str) -> bool {
        self.listeners.as_ref().is_none_or(|listeners| listeners.contains(listener))
    }
}
