//! The hosts that a route serves.

use serde::Serialize;

/// A host of requests, in lower case and without a port. The order is that of precedence: exact hosts first, then longer
/// wildcards, then any host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// This very host.
    Exact(String),
    /// Every host below this domain, at any depth: `example.com` for `*.example.com`, which does not match `example.com` itself.
    Below(Domain),
    /// Every host.
    Any,
}

/// A domain. Longer ones come first.
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
    /// Whether every request to `other` is one to this host, too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(domain), Self::Exact(host) | Self::Below(Domain(host))) if *host != domain.0 => {
                host.strip_suffix(domain.0.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (one, other) => one == other,
        }
    }
}
