//! The kinds of xDS resource, their type URLs and their names.

use std::fmt;

/// A kind of resource that Legation serves.
///
/// The order of the variants is the order in which a change is pushed (`xds_protocol`, "Eventual
/// consistency considerations"): the filter's configuration before the routes that turn the filter
/// on, secrets before clusters and listeners that need them to warm, clusters and their endpoints
/// before the listeners and routes that refer to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// ECDS: configuration of HTTP filters.
    Extension,
    /// SDS: certificates with their keys, and authorities.
    Secret,
    /// CDS.
    Cluster,
    /// EDS: load assignments.
    Endpoints,
    /// LDS.
    Listener,
    /// RDS: route configurations.
    Route,
}

impl ResourceType {
    /// The number of kinds.
    pub const COUNT: usize = Self::ALL.len();

    /// All kinds, in the order in which a change is pushed.
    pub const ALL: [Self; 6] =
        [Self::Extension, Self::Secret, Self::Cluster, Self::Endpoints, Self::Listener, Self::Route];

    /// Returns the type URL of the resources in a response.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Extension => "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// Returns the kind with this type URL, if Legation serves it.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }

    /// Returns the abbreviation of the discovery service, such as `LDS`.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Extension => "ECDS",
            Self::Secret => "SDS",
            Self::Cluster => "CDS",
            Self::Endpoints => "EDS",
            Self::Listener => "LDS",
            Self::Route => "RDS",
        }
    }

    /// Returns the file's word for this kind. `dump --type` takes the same words.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Extension => "extensions",
            Self::Secret => "secrets",
            Self::Cluster => "clusters",
            Self::Endpoints => "endpoints",
            Self::Listener => "listeners",
            Self::Route => "routes",
        }
    }

    /// Returns this kind's place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns whether a client gets all resources of the kind without naming them. LDS and CDS do
    /// this (`xds_protocol`, "How the client specifies what resources to return").
    pub const fn has_wildcard(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_type_url_and_stands_at_its_index() {
        for (index, kind) in ResourceType::ALL.into_iter().enumerate() {
            assert_eq!(ResourceType::from_type_url(kind.type_url()), Some(kind));
            assert_eq!(kind.index(), index);
        }
        assert_eq!(ResourceType::from_type_url("type.googleapis.com/unknown"), None);
    }
}
