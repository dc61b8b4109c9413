//! `cluster`, `clusters`, `respond` and `rewrite`: where a route's requests go.

use legation_protos::pb::envoy::{
    config::{
        core::v3::{DataSource, data_source},
        route::v3::{
            DirectResponseAction, RouteAction, WeightedCluster, route_action::ClusterSpecifier,
            weighted_cluster::ClusterWeight,
        },
    },
    r#type::matcher::v3::RegexMatchAndSubstitute,
};

use crate::{
    model::{Forward, PathMatch},
    translate::common::{regex, u32_value},
};

/// Returns the action that forwards requests, with the rewrite of their path.
pub(super) fn forward(path: &PathMatch, forward: &Forward) -> RouteAction {
    let (prefix_rewrite, regex_rewrite) = rewrite(path, forward.rewrite_prefix.as_deref());
    RouteAction {
        cluster_specifier: Some(cluster_specifier(forward)),
        prefix_rewrite,
        regex_rewrite,
        ..RouteAction::default()
    }
}

/// Returns the action that answers requests without an upstream.
pub(super) fn respond(status: u16, body: &str) -> DirectResponseAction {
    DirectResponseAction {
        status: status.into(),
        body: (!body.is_empty()).then(|| DataSource {
            specifier: Some(data_source::Specifier::InlineString(body.to_owned())),
            ..DataSource::default()
        }),
        ..DirectResponseAction::default()
    }
}

fn cluster_specifier(forward: &Forward) -> ClusterSpecifier {
    match forward.clusters.as_slice() {
        [only] => ClusterSpecifier::Cluster(only.cluster.clone()),
        several => ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: several
                .iter()
                .map(|share| ClusterWeight {
                    name: share.cluster.clone(),
                    weight: u32_value(share.weight),
                    ..ClusterWeight::default()
                })
                .collect(),
            ..WeightedCluster::default()
        }),
    }
}

/// Envoy replaces the matched characters, not segments. If one of the two prefixes is `/`, plain
/// replacement would turn `/api/x` into `//x`, or `/x` into `/v2x`.
fn rewrite(path: &PathMatch, to: Option<&str>) -> (String, Option<RegexMatchAndSubstitute>) {
    match (path, to) {
        (PathMatch::Prefix(from), Some("/")) if from != "/" => {
            let pattern = format!("^{}/?", regex_syntax::escape(from));
            let substitution = "/".to_owned();
            (String::new(), Some(RegexMatchAndSubstitute { pattern: Some(regex(pattern)), substitution }))
        }
        (PathMatch::Prefix(from), Some(to)) if from == "/" && to != "/" => (format!("{to}/"), None),
        (_, to) => (to.unwrap_or_default().to_owned(), None),
    }
}
