//! Pairs of things that exclude each other, with the messages. If exactly one of several fields
//! must be written, their mapping declares that (`one_of`).

use legation_filter::config;

use super::{
    code,
    leaf::{TimeLimit, Word},
    node::Span,
    report::Report,
    route::{RateLimit, Route},
};
use crate::model::Stream;

/// Two things that exclude each other in a mapping `T`.
pub struct Clash<T> {
    /// The place of the one that is reported, where the file says it.
    here: fn(&T) -> Option<Span>,
    /// The place of the other one, where the file says it.
    there: fn(&T) -> Option<Span>,
    /// What is wrong. `{}` stands for the place of the other one.
    message: &'static str,
    help: Option<&'static str>,
}

/// What excludes what on a route.
pub const ROUTE: &[Clash<Route>] = &[
    Clash {
        here: |route| route.rewrite.key(),
        there: |route| route.respond.key(),
        message: "`rewrite` has no effect with `respond`: nothing goes to a cluster",
        help: None,
    },
    Clash {
        here: |route| route.features.timeouts.key(),
        there: |route| route.respond.key(),
        message: "`timeouts` has no effect with `respond`: nothing goes to a cluster",
        help: None,
    },
    Clash {
        here: |route| route.features.stream.key(),
        there: |route| route.respond.key(),
        message: "`stream` has no effect with `respond`: nothing goes to a cluster",
        help: None,
    },
    Clash {
        here: |route| route.features.max_request_body.key(),
        there: |route| route.respond.key(),
        message: "`max_request_body` has no effect with `respond`: nothing goes to a cluster",
        help: None,
    },
    Clash {
        here: |route| route.features.mirror.key(),
        there: |route| route.respond.key(),
        message: "`mirror` has no effect with `respond`: nothing goes to a cluster",
        help: None,
    },
    Clash {
        here: |route| route.features.mirror.key(),
        there: |route| of_stream(route, Stream::Websocket).or_else(|| of_stream(route, Stream::Upload)),
        message: "`mirror` can't copy what `stream` says at {}: such a request may have no end",
        help: None,
    },
    Clash {
        here: |route| route.rewrite.key(),
        there: |route| route.r#match.get()?.path.key(),
        message: "`rewrite` needs a prefix to replace; the route matches a path at {}",
        help: Some("match by `prefix`"),
    },
    Clash {
        here: |route| route.features.max_request_body.key(),
        there: websocket,
        message: "`stream: websocket` and `max_request_body` exclude each other: a WebSocket has no body",
        help: None,
    },
    Clash {
        here: request_timeout,
        there: websocket,
        message: "`request` has no effect with `stream: websocket`: such a request has no end to count from",
        help: Some("say `max_stream`"),
    },
];

/// What excludes what in a limit. The filter has these rules, but cannot see that a default is
/// written.
pub const RATE_LIMIT: &[Clash<RateLimit>] = &[
    Clash {
        here: |limit| limit.by.key().filter(|_| limit.by.get().is_some_and(|by| by.0 == config::By::Route)),
        there: plan,
        message: "only one of `plan` and `by` may be written: the plan says it",
        help: None,
    },
    Clash {
        here: |limit| {
            let is_default = limit.algorithm.get().is_some_and(|word| word.0 == config::Algorithm::default());
            limit.algorithm.key().filter(|_| is_default)
        },
        there: plan,
        message: "only one of `plan` and `algorithm` may be written: the plan says it",
        help: None,
    },
];

/// Reports what clashes.
pub fn check<T>(clashes: &[Clash<T>], written: &T, report: &mut Report) {
    for Clash { here, there, message, help } in clashes {
        if let (Some(here), Some(there)) = (here(written), there(written)) {
            let message = message.replace("{}", &report.origin(there).to_string());
            report.error_with_help(code::CONFLICT, here, message, help.map(str::to_owned));
        }
    }
}

fn websocket(route: &Route) -> Option<Span> {
    of_stream(route, Stream::Websocket)
}

/// Where the route says this stream.
fn of_stream(route: &Route, stream: Stream) -> Option<Span> {
    route.features.stream.get().filter(|said| said.value == Word(stream)).map(|said| said.span)
}

/// The place of a written request timeout that is not `0s`.
fn request_timeout(route: &Route) -> Option<Span> {
    let request = route.features.timeouts.get()?.request.written()?;
    matches!(request.value, TimeLimit(Some(_))).then_some(request.span)
}

fn plan(limit: &RateLimit) -> Option<Span> {
    limit.plan.get().filter(|plan| plan.value).map(|plan| plan.span)
}
