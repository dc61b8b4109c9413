//! Envoy's form of a listener's words, a module each.

pub(super) mod tls;
