//! `timeouts`: how long things may take.

use std::time::Duration;

use serde::Serialize;

/// What the word means on a route.
pub type Meaning = Timeouts;

/// From the end of a request to the end of its response, on a route that says nothing else.
pub const REQUEST: Duration = Duration::from_secs(60);
/// Without a byte either way, on a route that says nothing else.
pub const IDLE: Duration = Duration::from_secs(5 * 60);
/// From the first byte of a request to the end, on a route that says nothing else. Every listener has this limit, and a route with
/// another one says so to Envoy.
pub const MAX_STREAM: Duration = Duration::from_secs(5 * 60);

/// How long things may take. `None` is no limit, which the file writes as `0s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// From the end of the request to the end of the response.
    pub request: Option<Duration>,
    /// Without a byte either way.
    pub idle: Option<Duration>,
    /// From the end of the request to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// From the first byte of the request to the end, whatever happens.
    pub max_stream: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { request: Some(REQUEST), idle: Some(IDLE), first_byte: None, max_stream: Some(MAX_STREAM) }
    }
}
