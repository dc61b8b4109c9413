//! `max_request_body`: the largest body of a request.

/// A size in bytes, which replaces the listener's limit. `None` means that the listener's limit
/// applies.
pub type Meaning = Option<u64>;
