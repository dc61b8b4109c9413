//! `cluster`, `clusters`, `respond` and `rewrite`: what becomes of a route's requests.

use super::{Known, cluster, path};
use crate::{
    config::{code, decode::Text, places::Places, report::Report, schema, value},
    model::{Action, Forward, WeightedCluster},
};

/// The longest body that the gateway answers by itself: Envoy's `max_direct_response_body_size_bytes`.
const LONGEST_BODY: usize = 4096;

/// The one thing that becomes of the requests.
pub fn resolve(route: &schema::Route, known: &Known<'_>, report: &mut Report) -> Option<Action> {
    let keys = [("cluster", route.cluster.key()), ("clusters", route.clusters.key()), ("respond", route.respond.key())];
    if !value::exclusive(&keys, report) && !route.has_planned {
        let message = "a route needs one of `cluster`, `clusters` and `respond`";
        report.error(code::MISSING_FIELD, route.span, message);
    }
    let rewrite_prefix = route.rewrite.resolve(|rewrite| rewrite_prefix(rewrite, route, report));
    let single = route.cluster.resolve(|name| single(name, route, known, report));
    let shared = route.clusters.resolve(|_| shared(route, known, report));
    let respond = route.respond.resolve(|respond| respond_with(respond, route, report));
    // Only now, so that each of them has reported what is wrong with it.
    let (single, shared, respond) = (single?, shared?, respond?);
    let Some(shares) = single.or(shared) else { return respond };
    Some(Action::Forward(Forward { clusters: shares, rewrite_prefix: rewrite_prefix? }))
}

fn single(name: &Text, route: &schema::Route, known: &Known<'_>, report: &mut Report) -> Option<Vec<WeightedCluster>> {
    Some(vec![WeightedCluster { cluster: find(name, route, known, report)?, weight: 1 }])
}

fn shared(route: &schema::Route, known: &Known<'_>, report: &mut Report) -> Option<Vec<WeightedCluster>> {
    let mut places = Places::default();
    let shares = value::all(route.clusters.items().iter().map(|cluster| {
        let weight = cluster.weight.resolve_or(1, |weight| value::within(*weight, 0..=u32::MAX, "a weight", report));
        let name = cluster.name.get()?;
        if let Some(first) = places.earlier(&name.value, name.span) {
            let message = format!("the cluster {} already has a share at {}", name.shown(), report.origin(first));
            report.error(code::DUPLICATE_NAME, name.span, message);
        }
        let cluster = find(name, route, known, report)?;
        Some(WeightedCluster { cluster, weight: weight? })
    }))?;
    let at = route.clusters.key().unwrap_or(route.span);
    match shares.iter().map(|share| u64::from(share.weight)).sum::<u64>() {
        0 => {
            let message = "the weights of `clusters` add up to nothing: no request could go anywhere";
            report.error(code::OUT_OF_RANGE, at, message);
        }
        sum if sum > u64::from(u32::MAX) => {
            let message = format!("the weights of `clusters` add up to {sum}; at most {} is allowed", u32::MAX);
            report.error(code::OUT_OF_RANGE, at, message);
        }
        _ => {}
    }
    Some(shares)
}

/// The cluster's name, if the file has it.
fn find(name: &Text, route: &schema::Route, known: &Known<'_>, report: &mut Report) -> Option<String> {
    if known.raw_clusters.contains(name.value.as_str()) {
        return Some(name.value.clone());
    }
    let cluster = known.clusters.find(name, report)?;
    let stream = route.stream.get().map_or("", |stream| &stream.value);
    let mismatch = match (stream, cluster::protocol(cluster)) {
        ("grpc", "http1") => Some(("gRPC needs HTTP/2", "HTTP/1.1", "http2")),
        // Envoy would hand it on as RFC 8441 has it, and give a client over HTTP/1.1 no `sec-websocket-accept`.
        ("websocket", "http2") => Some(("WebSocket needs HTTP/1.1", "HTTP/2", "http1")),
        _ => None,
    };
    if let Some((need, speaks, protocol)) = mismatch {
        let message = format!("{need}, and the cluster {} speaks {speaks}", name.shown());
        let help = format!("give the cluster `protocol: {protocol}`");
        report.warning(code::PROTOCOL_MISMATCH, name.span, message, Some(help));
    }
    Some(name.value.clone())
}

fn respond_with(respond: &schema::Respond, route: &schema::Route, report: &mut Report) -> Option<Action> {
    let needless = [
        ("rewrite", route.rewrite.key()),
        ("timeouts", route.timeouts.key()),
        ("stream", route.stream.key()),
        ("max_request_body", route.max_request_body.key()),
    ];
    for (field, key) in needless {
        if let Some(at) = key {
            let message = format!("`{field}` has no effect with `respond`: nothing goes to a cluster");
            report.error(code::CONFLICT, at, message);
        }
    }
    let body = respond.body.resolve_or(String::new(), |text| body(text, report));
    let status = value::within(*respond.status.get()?, 200..=599, "`status`", report)?;
    Some(Action::Respond { status, body: body? })
}

fn body(text: &Text, report: &mut Report) -> Option<String> {
    if text.value.len() > LONGEST_BODY {
        let message = format!("`body` has {} bytes; at most {LONGEST_BODY} are allowed", text.value.len());
        report.error(code::OUT_OF_RANGE, text.span, message);
        return None;
    }
    Some(text.value.clone())
}

/// What takes the place of the matched prefix; so there must be one.
fn rewrite_prefix(rewrite: &schema::Rewrite, route: &schema::Route, report: &mut Report) -> Option<String> {
    if let Some(path) = route.r#match.get().and_then(|matcher| matcher.path.key()) {
        let at = route.rewrite.key().unwrap_or(rewrite.span);
        let message =
            format!("`rewrite` needs a prefix to replace; the route matches a path at {}", report.origin(path));
        report.error_with_help(code::CONFLICT, at, message, Some("match by `prefix`".to_owned()));
    }
    path::prefix(rewrite.prefix.get()?, "the prefix", report)
}
