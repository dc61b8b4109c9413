//! `mirror`: copies of requests for another cluster.

use super::{Features, Route, Rules};
use crate::{
    config::{
        cluster::Cluster,
        decode::{Said, mapping},
        file::Known,
        leaf::Ref,
        report::Report,
    },
    model::{
        Share,
        route::mirror::{Meaning, Mirror as Model},
    },
};

mapping! {
    /// The gateway sends copies of requests to another cluster and throws their answers away.
    /// Callers neither see the copies nor wait for them.
    Mirror, "`mirror`", "{cluster: next, percent: 10%}" {
        /// The cluster that the copies go to.
        required cluster: Ref<Cluster>,
        /// How many of the requests are copied.
        optional percent: Share = Share::ALL,
    }
}

super::shape! {
    /// Copies of requests go to another cluster, too.
    Mirror
}

impl Rules for Feature {
    type Meaning = Meaning;

    fn resolve(route: &Said<Route>, _: &Known<'_>, _: &mut Report) -> Option<Meaning> {
        route.features.mirror.resolve(|mirror| {
            Some(Model { cluster: mirror.cluster.get()?.text.clone(), percent: mirror.percent.get()?.value })
        })
    }

    fn clusters(features: &Features) -> Vec<&Said<Ref<Cluster>>> {
        features.mirror.get().and_then(|mirror| mirror.value.cluster.get()).into_iter().collect()
    }
}
