//! The order between kinds of resource, as two tables: what a change waits for, and what a removal
//! waits for.

use std::time::Duration;

use legation_protos::ResourceType;

/// How long a change waits for another kind. Envoy holds the ACK of CDS until the clusters are
/// warm, and gives up on a cluster without endpoints after its `initial_fetch_timeout` of 15 s
/// (O3).
pub const GATE: Duration = Duration::from_secs(15);

/// How long a client may take to ask for more after it last said something. On a new stream it
/// asks for one kind after the other, and for routes only once it has the listeners that use them.
/// Until it has asked for everything, the server removes nothing that the next request may still
/// refer to, and the generation does not count as confirmed.
pub const SETTLING: Duration = Duration::from_secs(2);

/// One line of the table of waits: a change of `kind` goes out only after `of`, where the client
/// subscribes to that too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// What waits.
    kind: ResourceType,
    /// What it waits for.
    pub(super) of: ResourceType,
    /// What must have happened to `of`.
    pub(super) until: Until,
}

/// What must have happened to the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Its newest change is on its way. Envoy applies the responses of a stream in their order.
    Sent,
    /// The client has accepted its newest change.
    Accepted,
}

/// What each kind waits for. ECDS waits for nothing. EDS and SDS must not wait for CDS: the
/// clusters warm with them (O3).
const WAITS: [Wait; 4] = [
    // A listener or route leads only to clusters that are in place (O1, O2).
    Wait { kind: ResourceType::Listener, of: ResourceType::Cluster, until: Until::Accepted },
    Wait { kind: ResourceType::Route, of: ResourceType::Cluster, until: Until::Accepted },
    // A generation whose listeners Envoy rejects changes no answer (O9). This does not hold up a
    // new listener that warms until its routes are there: Envoy accepts it before it is warm.
    Wait { kind: ResourceType::Route, of: ResourceType::Listener, until: Until::Accepted },
    // A route that turns a filter on finds there what it asks for. The ACK is not waited for: the
    // control plane has checked the filter's configuration by the filter's own rules, and a filter
    // that Envoy refuses leaves the one before in force.
    Wait { kind: ResourceType::Route, of: ResourceType::Extension, until: Until::Sent },
];

/// What a change of this kind waits for.
pub(super) fn waits(kind: ResourceType) -> impl Iterator<Item = Wait> {
    WAITS.into_iter().filter(move |wait| wait.kind == kind)
}

/// The kinds that may refer to resources of this kind. The server removes a resource only when
/// they no longer do (O1).
pub(super) fn referrers(kind: ResourceType) -> &'static [ResourceType] {
    match kind {
        ResourceType::Extension | ResourceType::Secret | ResourceType::Listener => &[],
        ResourceType::Cluster => &[ResourceType::Listener, ResourceType::Route],
        ResourceType::Endpoints => &[ResourceType::Cluster],
        ResourceType::Route => &[ResourceType::Listener],
    }
}
