//! What several benchmarks measure with.

pub mod cost;
pub mod envoy;
pub mod variant;
