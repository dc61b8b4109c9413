//! What a refused caller is told: a problem document (RFC 9457), or a gRPC status where the call is gRPC.

use serde::Serialize;

use crate::credential::Source;
use crate::ratelimit_fields::{self, Fields};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// None of the places has a key.
    MissingKey {
        /// Where it may be.
        sources: &'a [Source],
    },
    /// A place has more than one.
    DuplicateKey {
        /// Which place.
        source: &'a Source,
        /// Where it may be.
        sources: &'a [Source],
    },
    /// No consumer holds the key, nor could one: a character is missing or wrong.
    MistypedKey {
        /// Where it may be.
        sources: &'a [Source],
    },
    /// No consumer holds the key.
    UnknownKey {
        /// Where it may be.
        sources: &'a [Source],
    },
    /// The key will be valid.
    KeyNotYetValid {
        /// Where it may be.
        sources: &'a [Source],
    },
    /// The key was valid once.
    ExpiredKey {
        /// Where it may be.
        sources: &'a [Source],
    },
    /// The consumer may not use this policy.
    ConsumerNotAllowed,
    /// The header that says what the request costs says nothing that can be charged.
    InvalidCost {
        /// Its name.
        header: &'a str,
        /// The most that may be charged.
        most: u64,
    },
    /// A limit is used up.
    RateLimited {
        /// Nanoseconds until a request would be admitted.
        wait: u64,
        /// How the limits stand.
        fields: Fields,
    },
    /// No rule says what is asked of this request.
    UnknownPolicy,
    /// A limit cannot be counted.
    RateLimitUnavailable,
    /// The filter has no configuration for this request, or Envoy did not let it read or change the request.
    FilterFailed,
}

/// A response made by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u32,
    /// What the access log calls it (`%RESPONSE_CODE_DETAILS%`), `legation.` and the code.
    pub response_code_details: String,
    /// Beside those that Envoy sets itself.
    pub headers: Vec<(&'static str, String)>,
    /// A problem document or, for gRPC, the message.
    pub body: String,
    /// The gRPC status, where the call is gRPC.
    pub grpc_status: Option<u32>,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u32,
    detail: &'a str,
    code: &'a str,
}

impl Refusal<'_> {
    /// The code that the caller and the access log see.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingKey { .. } => "missing_api_key",
            Self::DuplicateKey { .. } => "duplicate_api_key",
            Self::MistypedKey { .. } => "malformed_api_key",
            Self::UnknownKey { .. } => "unknown_api_key",
            Self::KeyNotYetValid { .. } => "not_yet_valid_api_key",
            Self::ExpiredKey { .. } => "expired_api_key",
            Self::ConsumerNotAllowed => "consumer_not_allowed",
            Self::InvalidCost { .. } => "invalid_cost",
            Self::RateLimited { .. } => "rate_limited",
            Self::UnknownPolicy => "unknown_policy",
            Self::RateLimitUnavailable => "rate_limit_unavailable",
            Self::FilterFailed => "filter_failed",
        }
    }

    /// The response.
    #[must_use]
    pub fn reply(&self, is_grpc: bool) -> LocalReply {
        let (status, title, grpc_status) = self.status();
        let (code, detail) = (self.code(), self.detail());
        let mut headers = self.headers();
        let body = if is_grpc {
            detail
        } else {
            headers.push(("content-type", "application/problem+json".to_owned()));
            let problem = Problem { r#type: "about:blank", title, status, detail: &detail, code };
            serde_json::to_string(&problem).unwrap_or_default()
        };
        LocalReply {
            status,
            response_code_details: format!("legation.{code}"),
            headers,
            body,
            grpc_status: is_grpc.then_some(grpc_status),
        }
    }

    /// The HTTP status, its phrase, and the gRPC status: UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT,
    /// RESOURCE_EXHAUSTED or UNAVAILABLE.
    fn status(&self) -> (u32, &'static str, u32) {
        match self {
            Self::MissingKey { .. }
            | Self::DuplicateKey { .. }
            | Self::MistypedKey { .. }
            | Self::UnknownKey { .. }
            | Self::KeyNotYetValid { .. }
            | Self::ExpiredKey { .. } => (401, "Unauthorized", 16),
            Self::ConsumerNotAllowed => (403, "Forbidden", 7),
            Self::InvalidCost { .. } => (400, "Bad Request", 3),
            Self::RateLimited { .. } => (429, "Too Many Requests", 8),
            Self::UnknownPolicy | Self::RateLimitUnavailable | Self::FilterFailed => (503, "Service Unavailable", 14),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::MissingKey { sources } => {
                let places = sources.iter().map(Source::place).collect::<Vec<_>>().join(" or ");
                format!("this route asks for an API key in {places}")
            }
            Self::DuplicateKey { source, .. } => format!("{} must be given once", source.place()),
            Self::MistypedKey { .. } => "the API key is not whole: a character of it is missing or wrong".to_owned(),
            Self::UnknownKey { .. } => "the API key is not known".to_owned(),
            Self::KeyNotYetValid { .. } => "the API key is not valid yet".to_owned(),
            Self::ExpiredKey { .. } => "the API key has expired".to_owned(),
            Self::ConsumerNotAllowed => "the API key is valid, but its consumer may not use this route".to_owned(),
            Self::InvalidCost { header, most } => {
                format!("the header {header} must be given once at most, as a whole number from 1 to {most}")
            }
            Self::RateLimited { wait, .. } => format!("the rate limit is used up; try again in {}", seconds(*wait)),
            Self::UnknownPolicy => "the gateway has no policy for this route".to_owned(),
            Self::RateLimitUnavailable => "the gateway cannot count this request at the moment".to_owned(),
            Self::FilterFailed => "the gateway cannot handle this request at the moment".to_owned(),
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            // The errors of RFC 6750, section 3.1; who sent nothing is told none.
            Self::MissingKey { sources } => challenges(sources, None),
            Self::DuplicateKey { sources, .. } => challenges(sources, Some("invalid_request")),
            Self::MistypedKey { sources }
            | Self::UnknownKey { sources }
            | Self::KeyNotYetValid { sources }
            | Self::ExpiredKey { sources } => challenges(sources, Some("invalid_token")),
            Self::RateLimited { wait, fields } => {
                let mut headers = vec![(ratelimit_fields::RETRY_AFTER, retry_after(*wait).to_string())];
                headers.extend(fields.iter().cloned());
                headers
            }
            Self::RateLimitUnavailable => vec![(ratelimit_fields::RETRY_AFTER, "1".to_owned())],
            Self::ConsumerNotAllowed | Self::InvalidCost { .. } | Self::UnknownPolicy | Self::FilterFailed => {
                Vec::new()
            }
        }
    }
}

fn challenges(sources: &[Source], error: Option<&str>) -> Vec<(&'static str, String)> {
    sources.iter().map(|source| ("www-authenticate", source.challenge(error))).collect()
}

fn retry_after(wait: u64) -> u64 {
    ratelimit_fields::whole_seconds(wait).max(1)
}

fn seconds(wait: u64) -> String {
    match retry_after(wait) {
        1 => "1 second".to_owned(),
        more => format!("{more} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> [Source; 1] {
        [Source::Header("x-api-key".to_owned())]
    }

    #[test]
    fn each_refusal_has_its_code_and_statuses() {
        let sources = &sources();
        let limited = Refusal::RateLimited { wait: 1, fields: Fields::new() };
        for (refusal, code, status, grpc) in [
            (Refusal::MissingKey { sources }, "missing_api_key", 401, 16),
            (Refusal::DuplicateKey { source: &sources[0], sources }, "duplicate_api_key", 401, 16),
            (Refusal::MistypedKey { sources }, "malformed_api_key", 401, 16),
            (Refusal::UnknownKey { sources }, "unknown_api_key", 401, 16),
            (Refusal::KeyNotYetValid { sources }, "not_yet_valid_api_key", 401, 16),
            (Refusal::ExpiredKey { sources }, "expired_api_key", 401, 16),
            (Refusal::ConsumerNotAllowed, "consumer_not_allowed", 403, 7),
            (Refusal::InvalidCost { header: "x-cost", most: 9 }, "invalid_cost", 400, 3),
            (limited, "rate_limited", 429, 8),
            (Refusal::UnknownPolicy, "unknown_policy", 503, 14),
            (Refusal::RateLimitUnavailable, "rate_limit_unavailable", 503, 14),
            (Refusal::FilterFailed, "filter_failed", 503, 14),
        ] {
            let reply = refusal.reply(false);
            assert_eq!((reply.status, reply.grpc_status), (status, None), "{code}");
            assert_eq!(reply.response_code_details, format!("legation.{code}"));
            let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(body["code"], code);
            assert_eq!(body["status"], status);
            assert_eq!(body["type"], "about:blank");
            assert!(body["title"].is_string() && body["detail"].is_string());
            assert!(reply.headers.contains(&("content-type", "application/problem+json".to_owned())));
            assert_eq!(refusal.reply(true).grpc_status, Some(grpc), "{code}");
        }
    }

    #[test]
    fn a_grpc_caller_gets_a_message_and_no_content_type() {
        let reply = Refusal::UnknownKey { sources: &sources() }.reply(true);
        assert_eq!(reply.body, "the API key is not known");
        assert_eq!(reply.headers, [("www-authenticate", r#"ApiKey realm="legation", header="x-api-key""#.to_owned())]);
    }

    #[test]
    fn each_place_has_its_challenge_and_a_bearer_is_told_the_error() {
        let sources = [Source::Bearer, Source::Cookie("key".to_owned()), Source::Query("key".to_owned())];
        let challenges = |refusal: Refusal<'_>| {
            let headers = refusal.reply(false).headers.into_iter();
            headers.filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value).collect::<Vec<_>>()
        };
        let missing = challenges(Refusal::MissingKey { sources: &sources });
        let cookie = r#"ApiKey realm="legation", cookie="key""#;
        assert_eq!(missing, [r#"Bearer realm="legation""#, cookie, r#"ApiKey realm="legation", query="key""#]);
        let unknown = challenges(Refusal::UnknownKey { sources: &sources });
        assert_eq!(unknown[0], r#"Bearer realm="legation", error="invalid_token""#);
        let detail = Refusal::MissingKey { sources: &sources }.reply(true).body;
        assert_eq!(
            detail,
            "this route asks for an API key in the header authorization, as a bearer token or the cookie key or the query parameter key"
        );
    }

    #[test]
    fn a_limited_caller_is_told_when_to_come_back() {
        for (wait, seconds, text) in
            [(1, "1", "1 second"), (1_000_000_000, "1", "1 second"), (1_000_000_001, "2", "2 seconds")]
        {
            let fields = vec![("ratelimit-policy", "p".to_owned()), ("ratelimit", "s".to_owned())];
            let reply = Refusal::RateLimited { wait, fields }.reply(true);
            assert!(reply.body.ends_with(text), "{}", reply.body);
            let expected = [("retry-after", seconds), ("ratelimit-policy", "p"), ("ratelimit", "s")];
            assert_eq!(reply.headers, expected.map(|(name, value)| (name, value.to_owned())));
        }
    }
}
