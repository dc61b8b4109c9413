//! Routes whose requests want a stream and that do not say `stream`. The gateway cuts such a
//! stream when the request timeout ends, with status 200 and half a body.

use super::{Route, r#match::HeaderCondition};
use crate::{
    config::{code, leaf::HeaderName, report::Report},
    model::route::timeouts::{MAX_STREAM, REQUEST},
};

/// A header, a part of its value if that matters, and the preset that such requests want. A hyphen
/// at the end stands for all headers that begin so. The first row that fits counts: gRPC-Web and
/// Connect stream over HTTP/1.1.
const SUGGESTIONS: &[(&str, Option<&str>, &str)] = &[
    ("accept", Some("text/event-stream"), "sse"),
    ("accept", Some("ndjson"), "sse"),
    ("content-type", Some("application/grpc-web"), "sse"),
    ("content-type", Some("application/connect"), "sse"),
    ("content-type", Some("application/grpc"), "grpc"),
    ("upgrade", Some("websocket"), "websocket"),
    ("sec-websocket-", None, "websocket"),
    ("last-event-id", None, "sse"),
    ("range", Some("bytes"), "download"),
    ("if-range", None, "download"),
    ("content-range", None, "upload"),
    ("upload-offset", None, "upload"),
];

/// Warns of each header that suggests a stream, and of the path of a gRPC method. A route that says
/// `stream`, or how long its exchanges may take, gets no warning.
pub fn warn(route: &Route, report: &mut Report) {
    let says_how_long = route
        .features
        .timeouts
        .get()
        .is_some_and(|timeouts| timeouts.request.is_written() || timeouts.max_stream.is_written());
    let Some(matcher) = route.r#match.get() else { return };
    if route.features.stream.is_written() || says_how_long || route.respond.is_written() {
        return;
    }
    let mut warn = |at, what: &str, preset: &str| {
        let (request, longest) = (REQUEST.as_secs(), MAX_STREAM.as_secs() / 60);
        let message = format!(
            "{what}, which the route ends {request} s after the request, and {longest} minutes after its beginning"
        );
        let help = format!("add `stream: {preset}`, or say `timeouts: {{request, max_stream}}`");
        report.warning(code::UNSAID_STREAM, at, message, Some(help));
    };
    for (name, condition) in matcher.headers.items() {
        if let Some(preset) = suggested(name, condition) {
            warn(name.span, "requests with this header want a stream", preset);
        }
    }
    let path = matcher.path.get().map(|path| (&path.value.0, path.span));
    let prefix = matcher.prefix.get().map(|prefix| (&prefix.value.0, prefix.span));
    for (_, at) in [path, prefix].into_iter().flatten().filter(|(path, _)| is_grpc(path)) {
        warn(at, "this is the path of a gRPC method or service, whose calls may be streams", "grpc");
    }
}

/// Whether it is `/package.Service` or `/package.Service/Method`, as protobuf's style guide
/// writes them: packages in lower case, services and methods in camel case.
fn is_grpc(path: &str) -> bool {
    let is_camel = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let is_package = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let Some(path) = path.strip_prefix('/') else { return false };
    let (service, method) = path.split_once('/').map_or((path, None), |(service, method)| (service, Some(method)));
    let Some((package, service)) = service.rsplit_once('.') else { return false };
    // `/index.HTML` is a file.
    let has_lower = service.bytes().any(|byte| byte.is_ascii_lowercase());
    package.split('.').all(is_package) && is_camel(service) && has_lower && method.is_none_or(is_camel)
}

fn suggested(name: &HeaderName, condition: &HeaderCondition) -> Option<&'static str> {
    let name = name.lower.as_str();
    let text = match condition {
        HeaderCondition::Exactly(text) => Some(&text.0),
        HeaderCondition::As(comparison) => {
            let exact = comparison.exact.get().map(|text| &text.value.0);
            exact.or_else(|| comparison.prefix.get().map(|text| &text.value.0))
        }
    };
    let is_absent = match condition {
        HeaderCondition::As(comparison) => comparison.present.get().is_some_and(|present| !present.value),
        HeaderCondition::Exactly(_) => false,
    };
    if is_absent {
        return None;
    }
    let value = text.map(|text| text.to_ascii_lowercase());
    let is = |header: &str| if header.ends_with('-') { name.starts_with(header) } else { name == header };
    let holds = |needle: Option<&str>| match (needle, &value) {
        (None, _) => true,
        (Some(needle), Some(value)) => value.contains(needle),
        // The condition takes any value. That is enough if all values are of one kind.
        (Some(_), None) => name == "range",
    };
    let mut suggestions = SUGGESTIONS.iter().filter(|(header, needle, _)| is(header) && holds(*needle));
    suggestions.next().map(|(_, _, preset)| *preset)
}
