//! `policies`: the demands on a request, and the choice of its policy.

mod compile;
mod of_routes;
mod rules;
mod warnings;

use crate::api_key::ApiKeyRule;
use crate::rate_limit::RateLimit;

pub use of_routes::RoutePolicies;
pub use rules::{Rules, Target};

pub(crate) use compile::{policies, policy, rules};
pub(crate) use warnings::warn;

/// The demands on a request.
#[derive(Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The required key, if any.
    pub api_key: Option<ApiKeyRule>,
    /// The limits, which all hold at once.
    pub rate_limit: Vec<RateLimit>,
    /// Whether streaming responses are marked for proxies further out.
    pub stream_headers: bool,
}
