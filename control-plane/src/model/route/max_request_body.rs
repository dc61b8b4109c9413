//! `max_request_body`: the largest body of a request.

/// What the word means on a route: a size in bytes, in place of what the listener allows. `None` where the route says nothing.
pub type Meaning = Option<u64>;
