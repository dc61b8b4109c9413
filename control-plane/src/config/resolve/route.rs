//! `routes`: which request goes where.

use std::time::Duration;

use super::{Known, action, policy, request, shadow, unsaid};
use crate::{
    config::{
        code,
        decode::{Field, Text},
        node::Span,
        report::Report,
        schema, value,
    },
    model::{self, Route, Stream, Timeouts},
};

/// From the end of a request to the end of its response, where nothing else is said.
pub const REQUEST: Duration = Duration::from_secs(60);
/// Without a byte either way, where nothing else is said.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// For a request to come in, where nothing else is said: `request` counts from its end only, and `idle` anew from each byte, so
/// that a body which trickles in would have no end.
const SENDING: Duration = model::MAX_STREAM.saturating_sub(REQUEST);
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
    let timeouts = timeouts(route.timeouts.get(), stream.is_some_and(|stream| stream.is_some()), report);
    let max_request_body = max_request_body(route, stream.flatten(), report);
    let action = action::resolve(route, known, report);
    unsaid::warn(route, report);
    // Proxies further out would hold events back.
    let stream_headers = stream == Some(Some(Stream::Sse));
    let policy = policy::resolve(route, stream_headers, known, report);
    let name = route.name.get()?;
    let route = Route {
        name: name.value.clone(),
        matcher: matcher?,
        action: action?,
        stream: stream?,
        timeouts: timeouts?,
        max_request_body: max_request_body?,
        policy: policy?,
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
fn timeouts(written: Option<&schema::Timeouts>, is_stream: bool, report: &mut Report) -> Option<Timeouts> {
    let mut timeout = |field: fn(&schema::Timeouts) -> &Field<Text>, what: &str, default: Option<Duration>| {
        let Some(timeouts) = written else { return Some(default) };
        field(timeouts).resolve_or(default, |text| value::limit_of_time(text, what, report))
    };
    let request = timeout(|timeouts| &timeouts.request, "`request`", (!is_stream).then_some(REQUEST));
    let idle = timeout(|timeouts| &timeouts.idle, "`idle`", Some(IDLE));
    let first_byte = timeout(|timeouts| &timeouts.first_byte, "`first_byte`", None);
    let longest =
        if is_stream { Some(MAX_STREAM) } else { request.flatten().map(|request| SENDING + request.max(REQUEST)) };
    let max_stream = timeout(|timeouts| &timeouts.max_stream, "`max_stream`", longest);
    Some(Timeouts { request: request?, idle: idle?, first_byte: first_byte?, max_stream: max_stream? })
}
