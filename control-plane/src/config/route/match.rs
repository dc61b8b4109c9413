//! `match`: which requests a route is for.

use crate::{
    config::{
        code,
        decode::{Decode, List, Pairs, Said, What, mapping},
        describe::Shape,
        leaf::{ExactPath, HeaderName, HeaderPrefix, HeaderValue, Method, PathPrefix, path_prefix},
        node::{Node, Value},
        places::Places,
        report::Report,
    },
    model::{HeaderMatch, HeaderValueMatch, PathMatch, RouteMatch},
};

mapping! {
    /// Which requests a route takes: those that meet all conditions.
    Match, "`match`", "{prefix: /api, methods: [GET], headers: {x-beta: {present: true}}}" {
        /// The path begins with these segments. `/` is every path.
        optional prefix: PathPrefix,
        /// The path is this one.
        optional path: ExactPath,
        /// The method is one of these. Without it, any method will do.
        optional methods: List<Method>,
        /// Each of these headers has such a value.
        optional headers: Pairs<HeaderName, HeaderCondition>,
    }
    one_of: prefix path, "`prefix: /` is every path";
    planned: regex query grpc;
}

/// What a header's value must be: a text, or a mapping that says how to compare.
#[derive(Debug)]
pub enum HeaderCondition {
    /// This very text.
    Exactly(HeaderValue),
    /// As the mapping says.
    As(HeaderComparison),
}

impl Decode for HeaderCondition {
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Mapping(_) => HeaderComparison::decode(node, what, report).map(Self::As),
            _ => HeaderValue::decode(node, what, report).map(Self::Exactly),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![HeaderValue::shape(), HeaderComparison::shape()])
    }
}

mapping! {
    /// How the gateway compares a header's value.
    HeaderComparison, "a header's condition", "{prefix: blue-}" {
        /// The value is this text.
        optional exact: HeaderValue,
        /// The value begins with this text.
        optional prefix: HeaderPrefix,
        /// `true`: the request has this header, whatever its value. `false`: it has none.
        optional present: bool,
    }
    one_of: exact prefix present;
    planned: regex suffix contains invert;
}

/// The conditions, if all are valid.
pub fn resolve(matcher: &Match, report: &mut Report) -> Option<RouteMatch> {
    let prefix = matcher.prefix.get().map(|prefix| PathMatch::Prefix(path_prefix(prefix)));
    let path = matcher.path.get().map(|path| PathMatch::Exact(path.0.clone()));
    let methods = methods(matcher, report);
    let headers = headers(matcher, report);
    Some(RouteMatch { path: prefix.or(path)?, methods: methods?, headers: headers? })
}

fn methods(matcher: &Match, report: &mut Report) -> Option<Vec<String>> {
    if matcher.methods.is_written() && matcher.methods.is_empty() {
        let at = matcher.methods.key()?;
        let help = "leave `methods` out for every method".to_owned();
        report.error_with_help(code::INVALID_VALUE, at, "`methods` is empty: no request would match", Some(help));
        return None;
    }
    let mut methods: Vec<String> = matcher.methods.items().map(|method| method.0.clone()).collect();
    methods.sort();
    methods.dedup();
    Some(methods)
}

fn headers(matcher: &Match, report: &mut Report) -> Option<Vec<HeaderMatch>> {
    let mut places = Places::default();
    let mut headers = Vec::new();
    for (name, condition) in matcher.headers.items() {
        if let Some(first) = places.earlier(&name.value.lower, name.span) {
            let message = format!("the header {} is already asked for at {}", name.shown(), report.origin(first));
            report.error(code::DUPLICATE_VALUE, name.span, message);
        }
        headers.push(HeaderMatch { name: name.lower.clone(), value: value(condition)? });
    }
    headers.sort();
    Some(headers)
}

fn value(condition: &Said<HeaderCondition>) -> Option<HeaderValueMatch> {
    let comparison = match &condition.value {
        HeaderCondition::Exactly(value) => return Some(HeaderValueMatch::Exact(value.0.clone())),
        HeaderCondition::As(comparison) => comparison,
    };
    let exact = comparison.exact.get().map(|text| HeaderValueMatch::Exact(text.0.clone()));
    let prefix = comparison.prefix.get().map(|text| HeaderValueMatch::Prefix(text.0.clone()));
    let present = comparison.present.get().map(|flag| HeaderValueMatch::Present(flag.value));
    exact.or(prefix).or(present)
}
