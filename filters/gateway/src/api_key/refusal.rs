//! The answers to callers whose key does not admit them. Each challenge has an error of RFC 6750,
//! section 3.1, unless the caller sent no key.

use super::source::Source;
use crate::reply::{Refusal, Status};

/// No place has a key.
pub(super) fn missing(sources: &[Source]) -> Refusal {
    let places = sources.iter().map(Source::place).collect::<Vec<_>>().join(" or ");
    unauthorized("missing_api_key", format!("this route asks for an API key in {places}"), sources, None)
}

/// A place has more than one key.
pub(super) fn duplicate(source: &Source, sources: &[Source]) -> Refusal {
    let detail = format!("{} must be given once", source.place());
    unauthorized("duplicate_api_key", detail, sources, Some("invalid_request"))
}

/// No consumer can hold the key, since a character is missing or wrong.
pub(super) fn mistyped(sources: &[Source]) -> Refusal {
    let detail = "the API key is not whole: a character of it is missing or wrong";
    unauthorized("malformed_api_key", detail, sources, Some("invalid_token"))
}

/// No consumer holds the key.
pub(super) fn unknown(sources: &[Source]) -> Refusal {
    unauthorized("unknown_api_key", "the API key is not known", sources, Some("invalid_token"))
}

/// The key is not valid yet.
pub(super) fn not_yet_valid(sources: &[Source]) -> Refusal {
    unauthorized("not_yet_valid_api_key", "the API key is not valid yet", sources, Some("invalid_token"))
}

/// The key has expired.
pub(super) fn expired(sources: &[Source]) -> Refusal {
    unauthorized("expired_api_key", "the API key has expired", sources, Some("invalid_token"))
}

/// The consumer may not use the policy.
pub(super) fn not_allowed() -> Refusal {
    let detail = "the API key is valid, but its consumer may not use this route";
    Refusal::new("consumer_not_allowed", Status::Forbidden, detail)
}

fn unauthorized(
    code: &'static str,
    detail: impl Into<String>,
    sources: &[Source],
    error: Option<&'static str>,
) -> Refusal {
    let headers = sources.iter().map(|source| ("www-authenticate", source.challenge(error))).collect();
    Refusal { headers, ..Refusal::new(code, Status::Unauthorized, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_code_and_status() {
        let sources = &[Source::Header("x-api-key".to_owned())];
        for (refusal, code) in [
            (missing(sources), "missing_api_key"),
            (duplicate(&sources[0], sources), "duplicate_api_key"),
            (mistyped(sources), "malformed_api_key"),
            (unknown(sources), "unknown_api_key"),
            (not_yet_valid(sources), "not_yet_valid_api_key"),
            (expired(sources), "expired_api_key"),
        ] {
            assert_eq!((refusal.code, refusal.status), (code, Status::Unauthorized));
            assert_eq!(
                refusal.headers,
                [("www-authenticate", r#"ApiKey realm="legation", header="x-api-key""#.to_owned())]
            );
        }
        let refusal = not_allowed();
        assert_eq!((refusal.code, refusal.status), ("consumer_not_allowed", Status::Forbidden));
    }

    #[test]
    fn each_place_has_its_challenge_and_a_bearer_is_told_the_error() {
        let sources = [Source::Bearer, Source::Cookie("key".to_owned()), Source::Query("key".to_owned())];
        let challenges =
            |refusal: Refusal| refusal.headers.into_iter().map(|(_, challenge)| challenge).collect::<Vec<_>>();
        let cookie = r#"ApiKey realm="legation", cookie="key""#;
        assert_eq!(
            challenges(missing(&sources)),
            [r#"Bearer realm="legation""#, cookie, r#"ApiKey realm="legation", query="key""#]
        );
        assert_eq!(challenges(unknown(&sources))[0], r#"Bearer realm="legation", error="invalid_token""#);
        assert_eq!(
            challenges(duplicate(&sources[1], &sources))[0],
            r#"Bearer realm="legation", error="invalid_request""#
        );
        assert_eq!(
            missing(&sources).detail,
            "this route asks for an API key in the header authorization, as a bearer token or the cookie key or the query parameter key"
        );
    }
}
