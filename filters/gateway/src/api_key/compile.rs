//! The rules of the places where keys may be.

use super::source::Source;
use crate::config;
use crate::headers::{header_name, is_token};
use crate::identity::{CONSUMER_HEADER, METADATA_PREFIX, PLAN_HEADER};
use crate::names::LONGEST;
use crate::problem::{At, Problems, code, text, value};

/// The header that carries a key by default.
pub const DEFAULT_KEY_HEADER: &str = "x-api-key";

/// Headers that must not carry a key. They have their own meaning, the filter removes the key's
/// header, and proxies write to some of them.
const NOT_FOR_KEYS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
    CONSUMER_HEADER,
    PLAN_HEADER,
];
const NOT_FOR_KEYS_PREFIXES: &[&str] = &["x-forwarded-", "x-envoy-", "grpc-", METADATA_PREFIX];

/// Returns the places of a key, in the order of looking. `None` only with a problem.
pub(crate) fn sources(at: &At<'_>, rule: &config::ApiKeyRule, problems: &mut Problems) -> Option<Vec<Source>> {
    let is_said = rule.header.is_some() || rule.bearer || rule.cookie.is_some() || rule.query.is_some();
    let header = rule.header.as_deref().or((!is_said).then_some(DEFAULT_KEY_HEADER));
    let mut place = |field: &'static str, name: Option<&str>, check: fn(&str) -> Result<String, &'static str>| {
        let Some(name) = name else { return Some(None) };
        let checked = check(name).map_err(|problem| {
            problems.error(&at.field(field), code::INVALID_VALUE, [value(name), text(format!(" {problem}"))]);
        });
        checked.ok().map(Some)
    };
    let (header, cookie, query) = (
        place("header", header, key_header),
        place("cookie", rule.cookie.as_deref(), key_cookie),
        place("query", rule.query.as_deref(), key_parameter),
    );
    let (header, cookie, query) = (header?, cookie?, query?);
    if rule.bearer && header.as_deref() == Some("authorization") {
        let message =
            "the header authorization carries either a bearer token or a key as it is: leave out one of the two";
        problems.error(&at.field("bearer"), code::CONFLICT, message);
    }
    let places = [
        header.map(Source::Header),
        rule.bearer.then_some(Source::Bearer),
        cookie.map(Source::Cookie),
        query.map(Source::Query),
    ];
    Some(places.into_iter().flatten().collect())
}

/// Checks the name of a cookie that may carry a key.
///
/// # Errors
/// The problem, as the end of a sentence that begins with the name.
pub fn key_cookie(name: &str) -> Result<String, &'static str> {
    is_token(name).then(|| name.to_owned()).ok_or("is not the name of a cookie: letters, digits and - _ . are usual")
}

/// Checks the name of a query parameter that may carry a key.
///
/// # Errors
/// The problem, as the end of a sentence that begins with the name.
pub fn key_parameter(name: &str) -> Result<String, &'static str> {
    let is_visible = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=#?+%\"\\".contains(&byte));
    let is_name = (1..=LONGEST).contains(&name.len()) && is_visible;
    is_name.then(|| name.to_owned()).ok_or("is not the name of a parameter: letters, digits and - _ . are usual")
}

/// Returns the name of a header that may carry a key, in lower case.
///
/// # Errors
/// The problem, as the end of a sentence that begins with the name.
pub fn key_header(name: &str) -> Result<String, &'static str> {
    let lower = header_name(name)?;
    // Many upstreams read `x_consumer_id` as `x-consumer-id`.
    let read_as = lower.replace('_', "-");
    if NOT_FOR_KEYS.contains(&read_as.as_str())
        || NOT_FOR_KEYS_PREFIXES.iter().any(|prefix| read_as.starts_with(prefix))
    {
        return Err("can not carry a key: it has a meaning of its own");
    }
    Ok(lower)
}
