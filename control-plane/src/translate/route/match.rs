//! `match`: the requests that a route is for.

use legation_protos::pb::envoy::{
    config::route::v3::{HeaderMatcher, RouteMatch, header_matcher::HeaderMatchSpecifier, route_match::PathSpecifier},
    r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
};

use crate::{
    model::{self, HeaderMatch, HeaderValueMatch, PathMatch},
    translate::common::regex,
};

/// Returns Envoy's form of the conditions.
pub(super) fn matcher(matcher: &model::RouteMatch) -> RouteMatch {
    let path = match &matcher.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.clone()),
        // Envoy's `path_separated_prefix` must not end with a slash, so it cannot match everything.
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
        // Methods are tokens. Some of their characters have a meaning in regular expressions.
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
