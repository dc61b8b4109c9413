//! `policies`: what is asked of a request, and which policy that is.

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

/// What is asked of a request.
#[derive(Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The key that is asked for.
    pub api_key: Option<ApiKeyRule>,
    /// All of them hold at once.
    pub rate_limit: Vec<RateLimit>,
    /// Whether responses that stream are marked as such for proxies further out.
    pub stream_headers: bool,
}
