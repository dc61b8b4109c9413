//! Routes whose requests ask for a stream, and that do not say `stream`: what is still streaming when their request timeout ends is
//! cut, with status 200 and half a body.

use super::route::REQUEST;
use crate::config::{
    code,
    decode::Text,
    report::Report,
    schema::{HeaderCondition, Route},
};

/// A header (with a hyphen at its end: all that begin so), what its value begins with, and the preset that such requests want.
const SUGGESTIONS: &[(&str, &str, &str)] = &[
    ("accept", "text/event-stream", "sse"),
    ("content-type", "application/grpc", "grpc"),
    ("content-type", "application/connect", "grpc"),
    ("upgrade", "websocket", "websocket"),
    ("sec-websocket-", "", "websocket"),
    ("last-event-id", "", "sse"),
    ("range", "", "download"),
    ("if-range", "", "download"),
    ("content-range", "", "upload"),
    ("upload-offset", "", "upload"),
];

/// Warns of each header that suggests a stream, and of the path of a gRPC method, unless the route says one, or how long a request
/// may take.
pub fn warn(route: &Route, report: &mut Report) {
    let says_how_long = route.timeouts.get().is_some_and(|timeouts| timeouts.request.is_written());
    let Some(matcher) = route.r#match.get() else { return };
    if route.stream.is_written() || says_how_long || route.respond.is_written() {
        return;
    }
    for (name, condition) in matcher.headers.items() {
        if let Some(preset) = suggested(name, condition) {
            let seconds = REQUEST.as_secs();
            let message = format!("requests with this header want a stream, which the route ends after {seconds} s");
            let help = format!("add `stream: {preset}`, or say `timeouts: {{request: {seconds}s}}`");
            report.warning(code::UNSAID_STREAM, name.span, message, Some(help));
        }
    }
    for path in [matcher.path.get(), matcher.prefix.get()].into_iter().flatten().filter(|path| is_grpc(&path.value)) {
        let seconds = REQUEST.as_secs();
        let message =
            format!("this is the path of a gRPC method or service, whose calls the route ends after {seconds} s");
        let help = format!("add `stream: grpc`, or say `timeouts: {{request: {seconds}s}}`");
        report.warning(code::UNSAID_STREAM, path.span, message, Some(help));
    }
}

/// Whether it is `/package.Service` or `/package.Service/Method`, as protobuf's style guide writes them: packages in lower case,
/// services and methods in camel case.
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
    package.split('.').all(is_package) && is_camel(service) && method.is_none_or(is_camel)
}

fn suggested(name: &Text, condition: &HeaderCondition) -> Option<&'static str> {
    let name = name.value.to_ascii_lowercase();
    let value = match condition {
        HeaderCondition::Exactly(text) => Some(&text.value),
        HeaderCondition::As(comparison) => {
            let text = comparison.exact.get().or_else(|| comparison.prefix.get());
            match (text, comparison.present.get()) {
                (Some(text), _) => Some(&text.value),
                // That there is any: enough where any value suggests a stream.
                (None, Some(present)) if present.value => None,
                _ => return None,
            }
        }
    };
    let value = value.map_or(String::new(), |value| value.to_ascii_lowercase());
    let is = |header: &str| if header.ends_with('-') { name.starts_with(header) } else { name == header };
    let suggestion = SUGGESTIONS.iter().find(|(header, start, _)| is(header) && value.starts_with(start));
    suggestion.map(|(_, _, preset)| *preset)
}
