//! Legation's control plane: one watched YAML file in, xDS out.

pub mod diagnostic;
pub mod model;
pub mod origin;
pub mod snapshot;
