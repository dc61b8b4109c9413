//! Routes (RDS): one route configuration for each listener, ordered so that the most specific route comes first.

use std::{collections::HashMap, time::Duration};

use legation_filter::config::Policy;
use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::{
                core::v3::{DataSource, Metadata, data_source},
                route::v3::{
                    DirectResponseAction, FilterConfig, HeaderMatcher, RetryPolicy, Route, RouteAction,
                    RouteConfiguration, RouteMatch, VirtualHost, WeightedCluster,
                    header_matcher::HeaderMatchSpecifier,
                    route,
                    route_action::{ClusterSpecifier, MaxStreamDuration, UpgradeConfig},
                    route_match::PathSpecifier,
                    weighted_cluster::ClusterWeight,
                },
            },
            r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher, StringMatcher, string_matcher::MatchPattern},
        },
        google::protobuf::{Any, Struct, Value, value},
    },
};

use serde::Serialize;

use super::{
    body_limit,
    common::{bool_value, duration, limit, u32_value},
    extensions::FILTER_NAME,
    request_timeout,
};
use crate::model::{self, Action, Forward, HeaderMatch, HeaderValueMatch, PathMatch, Stream, Timeouts};

/// What a route is made from.
#[derive(Serialize)]
pub(super) struct RouteFragment<'a> {
    pub(super) name: &'a str,
    matcher: &'a model::RouteMatch,
    action: &'a Action,
    stream: Option<Stream>,
    timeouts: &'a Timeouts,
    max_request_body: Option<u64>,
    policy: Option<&'a Policy>,
}

/// The routes in the order in which Envoy is to try them.
pub(super) fn fragments(routes: &[model::Route]) -> Vec<RouteFragment<'_>> {
    let mut ordered: Vec<&model::Route> = routes.iter().collect();
    ordered.sort_by_key(|route| route.matcher.specificity());
    ordered
        .into_iter()
        .map(|route| RouteFragment {
            name: &route.name,
            matcher: &route.matcher,
            action: &route.action,
            stream: route.stream,
            timeouts: &route.timeouts,
            max_request_body: route.max_request_body,
            policy: route.policy.as_ref(),
        })
        .collect()
}

/// The route configuration of a listener, from routes that are in order. Of the listener it takes the name and the largest body.
pub(super) fn route_configuration(listener: &model::Listener, routes: &[RouteFragment<'_>]) -> RouteConfiguration {
    RouteConfiguration {
        name: listener.name.clone(),
        virtual_hosts: vec![VirtualHost {
            name: "any".to_owned(),
            domains: vec!["*".to_owned()],
            routes: routes.iter().map(|route| build(route, listener.limits.request_body)).collect(),
            ..VirtualHost::default()
        }],
        ..RouteConfiguration::default()
    }
}

/// `request_body` is what the listener allows.
fn build(route: &RouteFragment<'_>, request_body: Option<u64>) -> Route {
    let filters = [
        route.policy.map(|_| turn_on(FILTER_NAME, Any::default())),
        largest_body(route, request_body).map(|limit| turn_on(body_limit::NAME, body_limit::on_route(limit))),
        unheeded_request(route.timeouts).map(|limit| turn_on(request_timeout::NAME, request_timeout::on_route(limit))),
    ];
    Route {
        name: route.name.to_owned(),
        r#match: Some(matcher(route.matcher)),
        action: Some(match route.action {
            Action::Forward(forward) => route::Action::Route(forwarding(route, forward)),
            Action::Respond { status, body } => route::Action::DirectResponse(DirectResponseAction {
                status: (*status).into(),
                body: (!body.is_empty()).then(|| DataSource {
                    specifier: Some(data_source::Specifier::InlineString(body.clone())),
                    ..DataSource::default()
                }),
                ..DirectResponseAction::default()
            }),
        }),
        metadata: route.policy.map(policy),
        typed_per_filter_config: filters.into_iter().flatten().collect(),
        ..Route::default()
    }
}

/// A route's policy, which the filter reads from the route's own metadata. So Envoy has the two as one thing: no request is
/// judged by another route's policy, or by an older or newer one, whatever is renamed, moved or slow.
fn policy(policy: &Policy) -> Metadata {
    let text = serde_json::to_string(policy).unwrap_or_default();
    let text = Value { kind: Some(value::Kind::StringValue(text)) };
    let fields = Struct { fields: HashMap::from([("policy".to_owned(), text)]) };
    Metadata { filter_metadata: HashMap::from([(FILTER_NAME.to_owned(), fields)]), ..Metadata::default() }
}

/// A filter that is disabled in the chain is enabled by a configuration for a route, which may be empty.
fn turn_on(filter: &str, config: Any) -> (String, Any) {
    (filter.to_owned(), pack(&FilterConfig { config: Some(config), ..FilterConfig::default() }))
}

/// The largest body of a request, in bytes: what the route says, else what the listener says, but not of routes whose requests are
/// long by their nature.
fn largest_body(route: &RouteFragment<'_>, of_listener: Option<u64>) -> Option<u64> {
    if matches!(route.action, Action::Respond { .. }) {
        return None;
    }
    match route.stream {
        Some(Stream::Grpc | Stream::Websocket | Stream::Upload) => route.max_request_body,
        Some(Stream::Sse | Stream::Download) | None => route.max_request_body.or(of_listener),
    }
}

/// The route's longest life, unless its listener has the same.
fn own_max_stream(timeouts: &Timeouts) -> Option<MaxStreamDuration> {
    let differs = timeouts.max_stream != Some(model::MAX_STREAM);
    differs.then(|| MaxStreamDuration {
        max_stream_duration: Some(limit(timeouts.max_stream)),
        ..MaxStreamDuration::default()
    })
}

/// The route's request timeout, if Envoy does not heed it where it stands: beside a longest life of the route's own.
fn unheeded_request(timeouts: &Timeouts) -> Option<Duration> {
    timeouts.request.filter(|_| own_max_stream(timeouts).is_some())
}

fn matcher(matcher: &model::RouteMatch) -> RouteMatch {
    let path = match &matcher.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.clone()),
        // Envoy's `path_separated_prefix` must not end with a slash, so it can't say "everything".
        PathMatch::Prefix(prefix) if prefix == "/" => PathSpecifier::Prefix(prefix.clone()),
        PathMatch::Prefix(prefix) => PathSpecifier::PathSeparatedPrefix(prefix.clone()),
    };
    RouteMatch {
        path_specifier: Some(path),
        headers: methods(&matcher.methods).into_iter().chain(matcher.headers.iter().map(header)).collect(),
        ..RouteMatch::default()
    }
}

fn methods(methods: &[String]) -> Option<HeaderMatcher> {
    let pattern = match methods {
        [] => return None,
        [method] => MatchPattern::Exact(method.clone()),
        // Methods are tokens; those of their characters that mean something in a regular expression are escaped.
        several => MatchPattern::SafeRegex(regex(
            several.iter().map(|method| regex_syntax::escape(method)).collect::<Vec<_>>().join("|"),
        )),
    };
    Some(header_matcher(":method", pattern))
}

fn header(header: &HeaderMatch) -> HeaderMatcher {
    match &header.value {
        HeaderValueMatch::Exact(value) => header_matcher(&header.name, MatchPattern::Exact(value.clone())),
        HeaderValueMatch::Prefix(value) => header_matcher(&header.name, MatchPattern::Prefix(value.clone())),
        HeaderValueMatch::Present(present) => HeaderMatcher {
            name: header.name.clone(),
            header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(*present)),
            ..HeaderMatcher::default()
        },
    }
}

fn header_matcher(name: &str, pattern: MatchPattern) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(StringMatcher {
            match_pattern: Some(pattern),
            ignore_case: false,
        })),
        ..HeaderMatcher::default()
    }
}

fn forwarding(route: &RouteFragment<'_>, forward: &Forward) -> RouteAction {
    let Timeouts { request, idle, first_byte, .. } = *route.timeouts;
    let (prefix_rewrite, regex_rewrite) = rewrite(&route.matcher.path, forward.rewrite_prefix.as_deref());
    RouteAction {
        cluster_specifier: Some(cluster_specifier(forward)),
        prefix_rewrite,
        regex_rewrite,
        // Explicit even where it is none: Envoy's own default of 15 s ends a response in its middle, with status 200.
        timeout: Some(limit(request)),
        idle_timeout: Some(limit(idle)),
        max_stream_duration: own_max_stream(route.timeouts),
        // Without a condition to retry on, the first try is the only one, and Envoy's timeout of a try ends with the first
        // byte of the response.
        retry_policy: first_byte.map(|first_byte| RetryPolicy {
            per_try_timeout: Some(duration(first_byte)),
            num_retries: u32_value(0),
            ..RetryPolicy::default()
        }),
        upgrade_configs: match route.stream {
            Some(Stream::Websocket) => vec![UpgradeConfig {
                upgrade_type: "websocket".to_owned(),
                enabled: bool_value(true),
                ..UpgradeConfig::default()
            }],
            _ => Vec::new(),
        },
        ..RouteAction::default()
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

/// Envoy replaces the matched characters, not segments. Where one of the two prefixes is `/`, plain replacement would make
/// `//x` of `/api/x`, or `/v2x` of `/x`.
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

fn regex(regex: String) -> RegexMatcher {
    RegexMatcher { regex, ..RegexMatcher::default() }
}
