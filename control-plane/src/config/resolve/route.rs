//! `routes`: which request goes where.

use std::{collections::BTreeSet, time::Duration};

use super::{Known, action, policy, request, shadow, unsaid};
use crate::{
    config::{
        code,
        decode::{Field, Text},
        node::Span,
        report::Report,
        schema, value,
    },
    model::{
        Host, Route, Stream, Timeouts,
        route::{
            Features,
            timeouts::{self, IDLE, REQUEST},
        },
    },
};

/// For a request to come in, where nothing else is said: `request` counts from its end only, and `idle` anew from each byte, so
/// that a body which trickles in would have no end.
const SENDING: Duration = timeouts::MAX_STREAM.saturating_sub(REQUEST);
/// The longest life of a stream, where nothing else is said.
const MAX_STREAM: Duration = Duration::from_secs(86_400);
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
    let stream = route.stream.resolve(|text| value::word(text, "`stream`", STREAMS, &[], report));
    let timeouts = resolve_timeouts(route.timeouts.get(), stream.flatten(), report);
    let max_request_body = max_request_body(route, stream.flatten(), report);
    let action = action::resolve(route, known, report);
    unsaid::warn(route, report);
    let (api_key, rate_limit) = policy::resolve(route, known, report);
    let name = route.name.get()?;
    let route = Route {
        name: name.value.clone(),
        listeners: None,
        hosts: BTreeSet::from([Host::Any]),
        matcher: matcher?,
        action: action?,
        features: Features {
            timeouts: timeouts?,
            stream: stream?,
            max_request_body: max_request_body?,
            api_key: api_key?,
            rate_limit: rate_limit?,
        },
        origin: report.origin(route.span),
    };
    Some((route, name.span))
}

/// A WebSocket has no body: to count what it sends as one would cut it when enough was said.
fn max_request_body(route: &schema::Route, stream: Option<Stream>, report: &mut Report) -> Option<Option<u64>> {
    let size = route.max_request_body.resolve(|text| value::size(text, "`max_request_body`", report));
    if let (Some(written), Some(Stream::Websocket)) = (route.max_request_body.get(), stream) {
        let message = "`stream: websocket` and `max_request_body` exclude each other: a WebSocket has no body";
        report.error(code::CONFLICT, written.span, message);
        return None;
    }
    size
}

/// What the file says counts; a stream's request may take for ever unless it says otherwise, but its life has an end, as that
/// of any other exchange has.
fn resolve_timeouts(
    written: Option<&schema::Timeouts>,
    stream: Option<Stream>,
    report: &mut Report,
) -> Option<Timeouts> {
    let is_stream = stream.is_some();
    let mut timeout = |field: fn(&schema::Timeouts) -> &Field<Text>, what: &str, default: Option<Duration>| {
        let Some(timeouts) = written else { return Some(default) };
        field(timeouts).resolve_or(default, |text| value::limit_of_time(text, what, report))
    };
    let request = timeout(|timeouts| &timeouts.request, "`request`", (!is_stream).then_some(REQUEST));
    let idle = timeout(|timeouts| &timeouts.idle, "`idle`", Some(IDLE));
    let first_byte = timeout(|timeouts| &timeouts.first_byte, "`first_byte`", None);
    let longest = match request.flatten() {
        Some(request) if !is_stream => SENDING + request.max(REQUEST),
        _ => MAX_STREAM,
    };
    let max_stream = timeout(|timeouts| &timeouts.max_stream, "`max_stream`", Some(longest));
    let timeouts = Timeouts { request: request?, idle: idle?, first_byte: first_byte?, max_stream: max_stream? };
    if let Some(written) = written {
        useless(written, &timeouts, stream, report);
    }
    Some(timeouts)
}

/// Says which timeouts can't be heeded: a WebSocket's request has no end from which to count, and what ends earlier by another
/// timeout never comes to its own.
fn useless(written: &schema::Timeouts, timeouts: &Timeouts, stream: Option<Stream>, report: &mut Report) {
    if let (Some(text), Some(Stream::Websocket), Some(_)) = (written.request.get(), stream, timeouts.request) {
        let message = "`request` has no effect with `stream: websocket`: such a request has no end to count from";
        report.error_with_help(code::CONFLICT, text.span, message, Some("say `max_stream`".to_owned()));
        return;
    }
    for (name, field, inner, longer, outer) in [
        ("first_byte", &written.first_byte, timeouts.first_byte, "request", timeouts.request),
        ("first_byte", &written.first_byte, timeouts.first_byte, "max_stream", timeouts.max_stream),
        ("request", &written.request, timeouts.request, "max_stream", timeouts.max_stream),
        ("idle", &written.idle, timeouts.idle, "max_stream", timeouts.max_stream),
    ] {
        if let (Some(text), Some(inner), Some(outer)) = (field.get(), inner, outer)
            && inner > outer
        {
            let seconds = outer.as_secs_f64();
            let message = format!("`{name}` never comes to pass: `{longer}` ends the exchange after {seconds} s");
            report.warning(code::USELESS_TIMEOUT, text.span, message, None);
        }
    }
}
