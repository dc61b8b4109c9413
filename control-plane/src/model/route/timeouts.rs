//! `timeouts`: how long the parts of a request may take.

use std::time::Duration;

use serde::Serialize;

/// What the word means on a route.
pub type Meaning = Timeouts;

/// The default from the end of a request to the end of its response.
pub const REQUEST: Duration = Duration::from_secs(60);
/// The default for the time without a byte in either direction.
pub const IDLE: Duration = Duration::from_secs(5 * 60);
/// The default from the first byte of a request to the end. Every listener has this limit; a route
/// with another limit tells Envoy so.
pub const MAX_STREAM: Duration = Duration::from_secs(5 * 60);

/// How long the parts of a request may take. `None` means no limit, which the file writes as `0s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// From the end of the request to the end of the response.
    pub request: Option<Duration>,
    /// The time without a byte in either direction.
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
