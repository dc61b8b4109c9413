//! The order between kinds of resource, as data: what waits for what, and for how long.

use std::time::Duration;

use legation_protos::ResourceType;

/// How long anything waits for an ACK of another kind. Envoy holds the ACK of CDS until the clusters are warm, and gives up
/// on a cluster without endpoints after its `initial_fetch_timeout` of 15 s (O3).
pub const GATE: Duration = Duration::from_secs(15);

/// How long a client may take to ask for more after it last said something: on a new stream it asks for one kind after the
/// other, and for routes only once it has the listeners that use them. As long as it has not asked for all there is, nothing is
/// removed that what it asks for next may stop referring to, and the generation does not count as confirmed.
pub const SETTLING: Duration = Duration::from_secs(2);

/// Whether a change of this kind waits until the clusters of the same generation are in place (O1, O2). ECDS waits for
/// nothing, and EDS and SDS must not: the clusters warm with them (O3).
pub(super) fn waits_for_clusters(kind: ResourceType) -> bool {
    matches!(kind, ResourceType::Listener | ResourceType::Route)
}

/// Whether a change of this kind is sent only after the filters' configuration (ECDS) of the same generation.
pub(super) fn waits_for_filters(kind: ResourceType) -> bool {
    kind == ResourceType::Route
}

/// The kinds that may refer to resources of this kind. What is gone is removed only when they no longer do (O1).
pub(super) fn referrers(kind: ResourceType) -> &'static [ResourceType] {
    match kind {
        ResourceType::Extension | ResourceType::Secret | ResourceType::Listener => &[],
        ResourceType::Cluster => &[ResourceType::Listener, ResourceType::Route],
        ResourceType::Endpoints => &[ResourceType::Cluster],
        ResourceType::Route => &[ResourceType::Listener],
    }
}
