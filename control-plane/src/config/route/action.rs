//! `cluster`, `clusters` and `respond`: what becomes of a route's requests.

use super::{Route, rewrite};
use crate::{
    config::{
        cluster::Cluster,
        code,
        decode::{Said, mapping},
        file::Known,
        leaf::{Body, Ref, Whole, Word},
        places::Places,
        report::Report,
    },
    model::{Action, Forward, Protocol, Stream, WeightedCluster as Share},
};

const MOST: u64 = u32::MAX as u64;

mapping! {
    /// A cluster and its share of a route's requests.
    WeightedCluster, "one of a route's clusters", "{name: svc, weight: 9}" {
        /// The name of the cluster.
        required name: Ref<Cluster>,
        /// The cluster's share, against the sum of all weights.
        optional weight: Whole<u32, 0, MOST> = Whole(1),
    }
}

mapping! {
    /// What the gateway answers by itself.
    Respond, "`respond`", "{status: 200, body: ok}" {
        /// The status.
        required status: Whole<u16, 200, 599>,
        /// The body. Without it, the answer has none.
        optional body: Body,
    }
    planned: headers body_file;
}

/// What becomes of the requests.
pub fn resolve(route: &Said<Route>, report: &mut Report) -> Option<Action> {
    let rewrite_prefix = route.rewrite.resolve(|rewrite| rewrite::resolve(rewrite));
    let single = route.cluster.resolve(|name| Some(vec![Share { cluster: name.text.clone(), weight: 1 }]));
    let shared = route.clusters.resolve(|_| shared(route, report));
    let respond = route.respond.resolve(|respond| {
        let (status, body) = (respond.status.get()?, respond.body.value()?.unwrap_or_default().0);
        // RFC 9110 §6.4.1: whoever reads strictly takes such a body for the next answer.
        if let (204 | 205 | 304, false, Some(at)) = (status.0, body.is_empty(), respond.body.key()) {
            let message = format!("an answer with status {} has no body", status.0);
            report.error_with_help(code::CONFLICT, at, message, Some("leave `body` out".to_owned()));
        }
        Some(Action::Respond { status: status.0, body })
    });
    let (single, shared, respond) = (single?, shared?, respond?);
    let Some(clusters) = single.or(shared) else { return respond };
    Some(Action::Forward(Forward { clusters, rewrite_prefix: rewrite_prefix? }))
}

fn shared(route: &Said<Route>, report: &mut Report) -> Option<Vec<Share>> {
    let mut places = Places::default();
    let mut shares = Vec::new();
    for cluster in route.clusters.items() {
        let Some(name) = cluster.name.get() else { continue };
        if let Some(first) = places.earlier(&name.value.text, name.span) {
            let message = format!("the cluster {} already has a share at {}", name.shown(), report.origin(first));
            report.error(code::DUPLICATE_NAME, name.span, message);
        }
        let share = |weight| Share { cluster: name.text.clone(), weight };
        shares.extend(cluster.weight.get().map(|weight| share(weight.0)));
    }
    if route.clusters.slots().len() > shares.len() {
        return None;
    }
    let at = route.clusters.key().unwrap_or(route.span);
    match shares.iter().map(|share| u64::from(share.weight)).sum::<u64>() {
        0 => {
            let message = "the weights of `clusters` add up to nothing: no request could go anywhere";
            report.error(code::OUT_OF_RANGE, at, message);
        }
        sum if sum > MOST => {
            let message = format!("the weights of `clusters` add up to {sum}; at most {MOST} is allowed");
            report.error(code::OUT_OF_RANGE, at, message);
        }
        _ => {}
    }
    Some(shares)
}

/// Reports a cluster that the file does not have, or that cannot carry the route's stream.
pub fn check_cluster(name: &Said<Ref<Cluster>>, route: &Route, known: &Known<'_>, report: &mut Report) {
    if known.raw_clusters.contains(name.text.as_str()) {
        return;
    }
    let Some(cluster) = known.clusters.find(name, report) else { return };
    let stream = route.features.stream.get().map(|stream| stream.0);
    let protocol = cluster.protocol.get().map(|protocol| protocol.0);
    let mismatch = match (stream, protocol) {
        (Some(Stream::Grpc), Some(Protocol::Http1)) => Some(("gRPC needs HTTP/2", "HTTP/1.1", Protocol::Http2)),
        // Envoy would hand it on as RFC 8441 has it, and give a client over HTTP/1.1 no
        // `sec-websocket-accept`.
        (Some(Stream::Websocket), Some(Protocol::Http2)) => {
            Some(("WebSocket needs HTTP/1.1", "HTTP/2", Protocol::Http1))
        }
        _ => None,
    };
    if let Some((need, speaks, protocol)) = mismatch {
        let message = format!("{need}, and the cluster {} speaks {speaks}", name.shown());
        let help = format!("give the cluster `protocol: {}`", Word(protocol).word());
        report.warning(code::PROTOCOL_MISMATCH, name.span, message, Some(help));
    }
}
