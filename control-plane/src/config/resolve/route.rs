//! `routes`: which request goes where.

use std::time::Duration;

use super::{Known, cluster, path, policy, request, shadow};
use crate::{
    config::{
        code,
        decode::{Field, Text},
        node::Span,
        report::Report,
        schema, value,
    },
    model::{Action, Forward, Route, Stream, Timeouts, WeightedCluster},
};

/// From the end of a request to the end of its response, where nothing else is said.
const REQUEST: Duration = Duration::from_secs(60);
/// Without a byte either way, where nothing else is said.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// The longest life of a stream, where nothing else is said.
const MAX_STREAM: Duration = Duration::from_secs(86_400);
/// The longest body that the gateway answers by itself: Envoy's `max_direct_response_body_size_bytes`.
const LONGEST_BODY: usize = 4096;

const STREAMS: &[(&str, Stream)] = &[
    ("sse", Stream::Sse),
    ("grpc", Stream::Grpc),
    ("websocket", Stream::Websocket),
    ("download", Stream::Download),
    ("upload", Stream::Upload),
];

/// All that are whole.
pub fn resolve(routes: &[schema::Route], known: &Known<'_>, report: &mut Report) -> Vec<Route> {
    let resolved: Vec<(Route, Span)> = routes.iter().filter_map(|route| one(route, known, report)).collect();
    shadow::warn(&resolved, report);
    resolved.into_iter().map(|(route, _)| route).collect()
}

/// The route, and where its name is.
fn one(route: &schema::Route, known: &Known<'_>, report: &mut Report) -> Option<(Route, Span)> {
    let matcher = route.r#match.get().and_then(|matcher| request::resolve(matcher, report));
    let stream = stream(route, report);
    let timeouts = timeouts(route.timeouts.get(), stream.is_some_and(|stream| stream.is_some()), report);
    let action = action(route, known, report);
    let policy = policy::resolve(route, known, report);
    let name = route.name.get()?;
    let route = Route {
        name: name.value.clone(),
        matcher: matcher?,
        action: action?,
        stream: stream?,
        timeouts: timeouts?,
        policy: policy?,
        origin: report.origin(route.span),
    };
    Some((route, name.span))
}

fn stream(route: &schema::Route, report: &mut Report) -> Option<Option<Stream>> {
    match route.stream.get() {
        Some(text) => value::word(text, "`stream`", STREAMS, &[], report).map(Some),
        None => Some(None),
    }
}

/// What the file says counts; a stream's request may take for ever unless it says otherwise, but its life has an end.
fn timeouts(written: Option<&schema::Timeouts>, is_stream: bool, report: &mut Report) -> Option<Timeouts> {
    let mut timeout =
        |field: fn(&schema::Timeouts) -> &Field<Text>, what: &str, default: Option<Duration>| match written
            .and_then(|timeouts| field(timeouts).get())
        {
            Some(text) => value::limit_of_time(text, what, report),
            None => Some(default),
        };
    let request = timeout(|timeouts| &timeouts.request, "`request`", (!is_stream).then_some(REQUEST));
    let idle = timeout(|timeouts| &timeouts.idle, "`idle`", Some(IDLE));
    let first_byte = timeout(|timeouts| &timeouts.first_byte, "`first_byte`", None);
    let max_stream = timeout(|timeouts| &timeouts.max_stream, "`max_stream`", is_stream.then_some(MAX_STREAM));
    Some(Timeouts { request: request?, idle: idle?, first_byte: first_byte?, max_stream: max_stream? })
}

fn action(route: &schema::Route, known: &Known<'_>, report: &mut Report) -> Option<Action> {
    let keys = [("cluster", route.cluster.key()), ("clusters", route.clusters.key()), ("respond", route.respond.key())];
    let written: Vec<(&'static str, Span)> = keys.iter().filter_map(|(name, key)| Some((*name, (*key)?))).collect();
    if written.is_empty() && !route.has_planned {
        let message = "a route needs one of `cluster`, `clusters` and `respond`";
        report.error(code::MISSING_FIELD, route.span, message);
    }
    value::exclusive(&written, report);
    let rewrite_prefix = rewrite_prefix(route, report);
    let single = route.cluster.get().map(|name| single(name, route, known, report));
    let shared = route.clusters.get().map(|clusters| shared(clusters, route, known, report));
    let respond = route.respond.get().map(|respond| respond_with(respond, route, report));
    let clusters = match (single, shared) {
        (None, None) => return respond?,
        (single, shared) => single.or(shared)??,
    };
    let hash_client_address = clusters.iter().any(|(_, cluster)| cluster::hashes(cluster));
    let clusters = clusters.into_iter().map(|(weighted, _)| weighted).collect();
    Some(Action::Forward(Forward { clusters, rewrite_prefix: rewrite_prefix?, hash_client_address }))
}

/// A share of the traffic, and what the file says of the cluster that gets it.
type Share<'a> = (WeightedCluster, &'a schema::Cluster);

fn single<'a>(name: &Text, route: &schema::Route, known: &Known<'a>, report: &mut Report) -> Option<Vec<Share<'a>>> {
    let cluster = find(name, route, known, report)?;
    Some(vec![(WeightedCluster { cluster: name.value.clone(), weight: 1 }, cluster)])
}

fn shared<'a>(
    clusters: &[schema::WeightedCluster],
    route: &schema::Route,
    known: &Known<'a>,
    report: &mut Report,
) -> Option<Vec<Share<'a>>> {
    let at = route.clusters.key().unwrap_or(route.span);
    let mut shares: Option<Vec<Share<'a>>> = Some(Vec::new());
    let mut names: Vec<&Text> = Vec::new();
    for cluster in clusters {
        let weight = match cluster.weight.get() {
            Some(weight) => value::within(*weight, 0..=u32::MAX, "a weight", report),
            None => Some(1),
        };
        let share = cluster.name.get().and_then(|name| {
            if let Some(first) = names.iter().find(|first| first.value == name.value) {
                let message =
                    format!("the cluster {} already has a share at {}", name.shown(), report.origin(first.span));
                report.error(code::DUPLICATE_NAME, name.span, message);
            }
            names.push(name);
            let found = find(name, route, known, report)?;
            Some((WeightedCluster { cluster: name.value.clone(), weight: weight? }, found))
        });
        shares = shares.zip(share).map(|(mut shares, share)| {
            shares.push(share);
            shares
        });
    }
    let shares = shares?;
    let sum: u64 = shares.iter().map(|(share, _)| u64::from(share.weight)).sum();
    if sum == 0 {
        let message = "the weights of `clusters` add up to nothing: no request could go anywhere";
        report.error(code::OUT_OF_RANGE, at, message);
    } else if sum > u64::from(u32::MAX) {
        report.error(
            code::OUT_OF_RANGE,
            at,
            format!("the weights of `clusters` add up to {sum}, more than {}", u32::MAX),
        );
    }
    Some(shares)
}

fn find<'a>(name: &Text, route: &schema::Route, known: &Known<'a>, report: &mut Report) -> Option<&'a schema::Cluster> {
    let cluster = known.clusters.find(name, report)?;
    let is_grpc = route.stream.get().is_some_and(|stream| stream.value == "grpc");
    if is_grpc && cluster::speaks_only_http1(cluster) {
        let message = format!("gRPC needs HTTP/2, and the cluster {} speaks HTTP/1.1", name.shown());
        let help = "give the cluster `protocol: http2`".to_owned();
        report.warning(code::PROTOCOL_MISMATCH, name.span, message, Some(help));
    }
    Some(cluster)
}

fn respond_with(respond: &schema::Respond, route: &schema::Route, report: &mut Report) -> Option<Action> {
    let needless =
        [("rewrite", route.rewrite.key()), ("timeouts", route.timeouts.key()), ("stream", route.stream.key())];
    for (field, key) in needless {
        if let Some(at) = key {
            let message = format!("`{field}` has no effect with `respond`: nothing goes to a cluster");
            report.error(code::CONFLICT, at, message);
        }
    }
    let body = match respond.body.get() {
        Some(text) if text.value.len() > LONGEST_BODY => {
            let message = format!("`body` has {} bytes; at most {LONGEST_BODY} are allowed", text.value.len());
            report.error(code::OUT_OF_RANGE, text.span, message);
            None
        }
        Some(text) => Some(text.value.clone()),
        None => Some(String::new()),
    };
    let status = value::within(*respond.status.get()?, 200..=599, "`status`", report)?;
    Some(Action::Respond { status, body: body? })
}

/// The rewrite, if there is one; it replaces the matched prefix, so there must be a prefix.
fn rewrite_prefix(route: &schema::Route, report: &mut Report) -> Option<Option<String>> {
    let Some(rewrite) = route.rewrite.get() else { return Some(None) };
    if let Some(exact) = route.r#match.get().and_then(|matcher| matcher.path.key()) {
        let at = route.rewrite.key().unwrap_or(rewrite.span);
        let message = format!(
            "`rewrite` replaces the prefix that was matched, but the route matches a path at {}",
            report.origin(exact)
        );
        let help = "match by `prefix`".to_owned();
        report.error_with_help(code::CONFLICT, at, message, Some(help));
    }
    path::prefix(rewrite.prefix.get()?, "the prefix", report).map(Some)
}
