//! What several benchmarks share. Each has the support of the live tests as its module `support`.

pub mod cost;
pub mod envoy;
pub mod variant;
