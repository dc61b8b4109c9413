//! Routes whose requests ask for a stream, and that do not say `stream`: what is still streaming when their request timeout ends is
//! cut, with status 200 and half a body.

use super::route::REQUEST;
use crate::config::{
    code,
    decode::Text,
    report::Report,
    schema::{HeaderCondition, Route},
};

/// What a header's value begins with, and the preset that such requests want.
const SUGGESTIONS: &[(&str, &str, &str)] = &[
    ("accept", "text/event-stream", "sse"),
    ("content-type", "application/grpc", "grpc"),
    ("upgrade", "websocket", "websocket"),
    ("range", "", "download"),
];

/// Warns of each header that suggests a stream, unless the route says one, or how long a request may take.
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
    let suggestion = SUGGESTIONS.iter().find(|(header, start, _)| name == *header && value.starts_with(start));
    suggestion.map(|(_, _, preset)| *preset)
}
