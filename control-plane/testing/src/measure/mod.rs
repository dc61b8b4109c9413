//! Measurements that several benchmarks share.

pub mod cost;
pub mod envoy;
pub mod variant;
