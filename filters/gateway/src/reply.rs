//! What a refused caller is told: a problem document (RFC 9457), or a gRPC status where the call is gRPC.

use serde::Serialize;

use crate::ratelimit_fields::{self, Fields};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// The header `header` is absent or empty.
    MissingKey {
        /// In lower case.
        header: &'a str,
    },
    /// The header `header` is there more than once.
    DuplicateKey {
        /// In lower case.
        header: &'a str,
    },
    /// No consumer holds the key.
    UnknownKey {
        /// In lower case.
        header: &'a str,
    },
    /// The key was valid once.
    ExpiredKey {
        /// In lower case.
        header: &'a str,
    },
    /// The consumer may not use this policy.
    ConsumerNotAllowed,
    /// A limit is used up.
    RateLimited {
        /// Nanoseconds until a request would be admitted.
        wait: u64,
        /// How the limits stand.
        fields: Option<Fields>,
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
            Self::UnknownKey { .. } => "unknown_api_key",
            Self::ExpiredKey { .. } => "expired_api_key",
            Self::ConsumerNotAllowed => "consumer_not_allowed",
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

    /// The HTTP status, its phrase, and the gRPC status: UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED or
    /// UNAVAILABLE.
    fn status(&self) -> (u32, &'static str, u32) {
        match self {
            Self::MissingKey { .. } | Self::DuplicateKey { .. } | Self::UnknownKey { .. } | Self::ExpiredKey { .. } => {
                (401, "Unauthorized", 16)
            }
            Self::ConsumerNotAllowed => (403, "Forbidden", 7),
            Self::RateLimited { .. } => (429, "Too Many Requests", 8),
            Self::UnknownPolicy | Self::RateLimitUnavailable | Self::FilterFailed => (503, "Service Unavailable", 14),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::MissingKey { header } => format!("this route asks for an API key in the header {header}"),
            Self::DuplicateKey { header } => format!("the header {header} must be given once"),
            Self::UnknownKey { .. } => "the API key is not known".to_owned(),
            Self::ExpiredKey { .. } => "the API key has expired".to_owned(),
            Self::ConsumerNotAllowed => "the API key is valid, but its consumer may not use this route".to_owned(),
            Self::RateLimited { wait, .. } => format!("the rate limit is used up; try again in {}", seconds(*wait)),
            Self::UnknownPolicy => "the gateway has no policy for this route".to_owned(),
            Self::RateLimitUnavailable => "the gateway cannot count this request at the moment".to_owned(),
            Self::FilterFailed => "the gateway cannot handle this request at the moment".to_owned(),
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            // No scheme for keys in a header is registered (RFC 9110 §16.4); the parameter says what to send.
            Self::MissingKey { header }
            | Self::DuplicateKey { header }
            | Self::UnknownKey { header }
            | Self::ExpiredKey { header } => {
                vec![("www-authenticate", format!(r#"ApiKey realm="legation", header="{header}""#))]
            }
            Self::RateLimited { wait, fields } => {
                let mut headers = vec![(ratelimit_fields::RETRY_AFTER, retry_after(*wait).to_string())];
                if let Some(fields) = fields {
                    headers.push((ratelimit_fields::POLICY, fields.policy.clone()));
                    headers.push((ratelimit_fields::STATE, fields.state.clone()));
                }
                headers
            }
            Self::RateLimitUnavailable => vec![(ratelimit_fields::RETRY_AFTER, "1".to_owned())],
            Self::ConsumerNotAllowed | Self::UnknownPolicy | Self::FilterFailed => Vec::new(),
        }
    }
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

    const HEADER: &str = "x-api-key";

    #[test]
    fn each_refusal_has_its_code_and_statuses() {
        let limited = Refusal::RateLimited { wait: 1, fields: None };
        for (refusal, code, status, grpc) in [
            (Refusal::MissingKey { header: HEADER }, "missing_api_key", 401, 16),
            (Refusal::DuplicateKey { header: HEADER }, "duplicate_api_key", 401, 16),
            (Refusal::UnknownKey { header: HEADER }, "unknown_api_key", 401, 16),
            (Refusal::ExpiredKey { header: HEADER }, "expired_api_key", 401, 16),
            (Refusal::ConsumerNotAllowed, "consumer_not_allowed", 403, 7),
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
        let reply = Refusal::UnknownKey { header: HEADER }.reply(true);
        assert_eq!(reply.body, "the API key is not known");
        assert_eq!(reply.headers, [("www-authenticate", r#"ApiKey realm="legation", header="x-api-key""#.to_owned())]);
    }

    #[test]
    fn a_limited_caller_is_told_when_to_come_back() {
        for (wait, seconds, text) in
            [(1, "1", "1 second"), (1_000_000_000, "1", "1 second"), (1_000_000_001, "2", "2 seconds")]
        {
            let fields = Some(Fields { policy: "p".to_owned(), state: "s".to_owned() });
            let reply = Refusal::RateLimited { wait, fields }.reply(true);
            assert!(reply.body.ends_with(text), "{}", reply.body);
            let expected = [("retry-after", seconds), ("ratelimit-policy", "p"), ("ratelimit", "s")];
            assert_eq!(reply.headers, expected.map(|(name, value)| (name, value.to_owned())));
        }
    }
}
