//! `timeouts`: how long the parts of an exchange may take.

use std::time::Duration;

use super::{Edit, Features, Route, Rules};
use crate::{
    config::{
        code,
        decode::{Said, Unsaid, mapping},
        file::Known,
        leaf::TimeLimit,
        report::Report,
    },
    model::route::timeouts::{IDLE, MAX_STREAM, Meaning, REQUEST, Timeouts as Model},
};

/// How long a request may take to come in where nothing else is said. `request` counts only from
/// its end, and `idle` counts anew from each byte, so that a body which trickles in would
/// otherwise have no end.
const SENDING: Duration = MAX_STREAM.saturating_sub(REQUEST);
/// The longest life of a stream where nothing else is said.
const LONGEST_STREAM: Duration = Duration::from_secs(86_400);

mapping! {
    /// How long the parts of an exchange may take. `0s` is no limit.
    Timeouts, "`timeouts`", "{request: 5s, idle: 30s}" {
        /// From the end of the request to the end of the response. On a route with `stream`,
        /// there is no limit unless it is written.
        optional request: TimeLimit = TimeLimit(Some(REQUEST)),
        /// Without a byte in either direction.
        optional idle: TimeLimit = TimeLimit(Some(IDLE)),
        /// From the end of the request to the first byte of the response.
        optional first_byte: TimeLimit = TimeLimit(None),
        /// The longest life of an exchange, from the first byte of the request. A longer
        /// `request` makes it longer, to four minutes more than that. On a route with `stream`,
        /// or with `request: 0s`, it is `1d` unless it is written.
        optional max_stream: TimeLimit = TimeLimit(Some(MAX_STREAM)),
    }
}

super::shape! {
    /// How long the parts of an exchange may take.
    Timeouts
}

impl Rules for Feature {
    type Meaning = Meaning;

    /// What they mean. What the file says counts. A stream's request has no time limit unless the
    /// file says one, but its life has an end, as that of any other exchange has.
    fn resolve(route: &Said<Route>, _: &Known<'_>, report: &mut Report) -> Option<Meaning> {
        let unsaid = Timeouts::unsaid(route.span);
        let written = match &route.features.timeouts {
            field if field.is_written() => &field.get()?.value,
            _ => &unsaid,
        };
        let is_stream = route.features.stream.is_written();
        let request = match written.request.written() {
            None if is_stream && !written.request.is_written() => None,
            _ => written.request.get()?.0,
        };
        let longest = match request {
            Some(request) if !is_stream => SENDING + request.max(REQUEST),
            _ => LONGEST_STREAM,
        };
        let max_stream = if written.max_stream.is_written() { written.max_stream.get()?.0 } else { Some(longest) };
        let (idle, first_byte) = (written.idle.get()?.0, written.first_byte.get()?.0);
        let timeouts = Model { request, idle, first_byte, max_stream };
        warn_of_useless(written, &timeouts, report);
        Some(timeouts)
    }

    /// The gateway may pass `request` on to Envoy's router by this header.
    fn edits(features: &Features) -> Vec<Edit> {
        let edit = |at| Edit {
            header: "x-envoy-upstream-rq-timeout-ms".to_owned(),
            at,
            why: "the gateway sets it once a route is chosen, for the timeouts of {}",
            help: "match on another header",
        };
        features.timeouts.key().map(edit).into_iter().collect()
    }
}

/// Warns of a timeout that another one always comes before.
fn warn_of_useless(written: &Timeouts, timeouts: &Model, report: &mut Report) {
    for (name, field, inner, longer, outer) in [
        ("first_byte", &written.first_byte, timeouts.first_byte, "request", timeouts.request),
        ("first_byte", &written.first_byte, timeouts.first_byte, "max_stream", timeouts.max_stream),
        ("request", &written.request, timeouts.request, "max_stream", timeouts.max_stream),
        ("idle", &written.idle, timeouts.idle, "max_stream", timeouts.max_stream),
    ] {
        if let (Some(limit), Some(inner), Some(outer)) = (field.written(), inner, outer)
            && inner > outer
        {
            let seconds = outer.as_secs_f64();
            let message = format!("`{name}` never comes to pass: `{longer}` ends the exchange after {seconds} s");
            report.warning(code::USELESS_TIMEOUT, limit.span, message, None);
        }
    }
}
