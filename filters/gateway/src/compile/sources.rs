//! The places where a policy looks for keys, and the names that such places may have.

use super::{MAX_NAME, Problems};
use crate::config;
use crate::credential::Source;
use crate::identity::{CONSUMER_HEADER, METADATA_PREFIX, PLAN_HEADER};

/// Where a key may be, in the order in which the places are looked at. `None` only with a problem.
pub(super) fn sources(path: &str, rule: &config::ApiKeyRule, problems: &mut Problems) -> Option<Vec<Source>> {
    let is_said = rule.header.is_some() || rule.bearer || rule.cookie.is_some() || rule.query.is_some();
    let header = rule.header.as_deref().or((!is_said).then_some(DEFAULT_KEY_HEADER));
    let mut place = |field: &str, name: Option<&str>, check: fn(&str) -> Result<String, &'static str>| {
        let checked = name.map(|name| check(name).map_err(|problem| format!("`{name}` {problem}"))).transpose();
        problems.take(format_args!("{path}.{field}"), checked)
    };
    let (header, cookie, query) = (
        place("header", header, key_header),
        place("cookie", rule.cookie.as_deref(), key_cookie),
        place("query", rule.query.as_deref(), key_parameter),
    );
    let (header, cookie, query) = (header?, cookie?, query?);
    if rule.bearer && header.as_deref() == Some("authorization") {
        problems.add(
            format_args!("{path}.bearer"),
            "the header authorization carries either a bearer token or a key as it is",
        );
    }
    let places = [
        header.map(Source::Header),
        rule.bearer.then_some(Source::Bearer),
        cookie.map(Source::Cookie),
        query.map(Source::Query),
    ];
    Some(places.into_iter().flatten().collect())
}

/// The header that carries a key where nothing is said.
pub const DEFAULT_KEY_HEADER: &str = "x-api-key";

/// Headers with a meaning of their own, which a key would break: the filter takes the header away, and proxies write to some.
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

/// Whether a text is a token (RFC 9110, section 5.6.2), as names of headers and of cookies are.
pub(super) fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(of_token)
}

/// The name of a cookie that may carry a key.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn key_cookie(name: &str) -> Result<String, &'static str> {
    is_token(name).then(|| name.to_owned()).ok_or("is not the name of a cookie: letters, digits and - _ . are usual")
}

/// The name of a parameter of the query that may carry a key.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn key_parameter(name: &str) -> Result<String, &'static str> {
    let is_visible = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=#?+%\"\\".contains(&byte));
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && is_visible;
    is_name.then(|| name.to_owned()).ok_or("is not the name of a parameter: letters, digits and - _ . are usual")
}

/// The name of a header, in lower case.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn header_name(name: &str) -> Result<String, &'static str> {
    let lower = name.to_ascii_lowercase();
    is_token(&lower).then_some(lower).ok_or("is not a header name: letters, digits and - _ . are usual")
}

/// The name of a header that may carry a key, in lower case.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn key_header(name: &str) -> Result<String, &'static str> {
    let lower = header_name(name)?;
    // Many an upstream reads `x_consumer_id` as `x-consumer-id`.
    let read_as = lower.replace('_', "-");
    if NOT_FOR_KEYS.contains(&read_as.as_str())
        || NOT_FOR_KEYS_PREFIXES.iter().any(|prefix| read_as.starts_with(prefix))
    {
        return Err("can not carry a key: it has a meaning of its own");
    }
    Ok(lower)
}
