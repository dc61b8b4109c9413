//! Envoy's form of a cluster's words, a module each.

pub(super) mod circuit_breaker;
pub(super) mod lb;
pub(super) mod protocol;
pub(super) mod tls;
