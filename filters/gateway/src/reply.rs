//! The answer to a refused caller: a problem document (RFC 9457), or a gRPC status for a gRPC call.

use serde::Serialize;

/// The reason for refusing a request, and the answer to its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code that the caller, metrics and the access log see.
    pub code: &'static str,
    /// The status of the answer.
    pub status: Status,
    /// A sentence for people.
    pub detail: String,
    /// Headers of the answer, beside its content type.
    pub headers: Vec<(&'static str, String)>,
}

/// The status of an answer, over HTTP and over gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 400, or INVALID_ARGUMENT.
    BadRequest,
    /// 401, or UNAUTHENTICATED.
    Unauthorized,
    /// 403, or PERMISSION_DENIED.
    Forbidden,
    /// 429, or RESOURCE_EXHAUSTED.
    TooManyRequests,
    /// 503, or UNAVAILABLE.
    Unavailable,
}

impl Status {
    /// The HTTP status, its phrase, and the gRPC status.
    fn parts(self) -> (u32, &'static str, u32) {
        match self {
            Self::BadRequest => (400, "Bad Request", 3),
            Self::Unauthorized => (401, "Unauthorized", 16),
            Self::Forbidden => (403, "Forbidden", 7),
            Self::TooManyRequests => (429, "Too Many Requests", 8),
            Self::Unavailable => (503, "Service Unavailable", 14),
        }
    }
}

/// A response made by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u32,
    /// Its name in the access log (`%RESPONSE_CODE_DETAILS%`): `legation.` and the code.
    pub response_code_details: String,
    /// Headers beside those that Envoy sets itself.
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

impl Refusal {
    /// A refusal without headers of its own.
    pub(crate) fn new(code: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { code, status, detail: detail.into(), headers: Vec::new() }
    }

    /// The request has no policy.
    #[must_use]
    pub fn unknown_policy() -> Self {
        Self::new("unknown_policy", Status::Unavailable, "the gateway has no policy for this route")
    }

    /// The filter has no configuration for the request, or Envoy did not let it read or change the
    /// request.
    #[must_use]
    pub fn filter_failed() -> Self {
        Self::new("filter_failed", Status::Unavailable, "the gateway cannot handle this request at the moment")
    }

    /// The response.
    #[must_use]
    pub fn reply(&self, is_grpc: bool) -> LocalReply {
        let (status, title, grpc_status) = self.status.parts();
        let (code, detail) = (self.code, &*self.detail);
        let mut headers = self.headers.clone();
        let body = if is_grpc {
            detail.to_owned()
        } else {
            headers.push(("content-type", "application/problem+json".to_owned()));
            let problem = Problem { r#type: "about:blank", title, status, detail, code };
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_problem_document_or_a_grpc_status() {
        for (status, http, grpc) in [
            (Status::BadRequest, 400, 3),
            (Status::Unauthorized, 401, 16),
            (Status::Forbidden, 403, 7),
            (Status::TooManyRequests, 429, 8),
            (Status::Unavailable, 503, 14),
        ] {
            let mut refusal = Refusal::new("some_code", status, "a \"reason\"");
            refusal.headers.push(("retry-after", "1".to_owned()));
            let reply = refusal.reply(false);
            assert_eq!((reply.status, reply.grpc_status), (http, None));
            assert_eq!(reply.response_code_details, "legation.some_code");
            let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!((&body["code"], &body["status"]), (&"some_code".into(), &http.into()));
            assert_eq!((&body["type"], &body["detail"]), (&"about:blank".into(), &"a \"reason\"".into()));
            assert!(body["title"].is_string());
            let content_type = ("content-type", "application/problem+json".to_owned());
            assert_eq!(reply.headers, [("retry-after", "1".to_owned()), content_type]);

            let reply = refusal.reply(true);
            assert_eq!((reply.grpc_status, reply.body.as_str()), (Some(grpc), "a \"reason\""));
            assert_eq!(reply.headers, [("retry-after", "1".to_owned())]);
        }
        assert_eq!(Refusal::unknown_policy().reply(false).status, 503);
        assert_eq!(Refusal::filter_failed().reply(false).status, 503);
    }
}
