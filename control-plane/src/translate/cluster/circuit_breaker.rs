//! The bounds on a cluster's load.

use legation_protos::pb::envoy::config::cluster::v3::{CircuitBreakers, circuit_breakers::Thresholds};

use crate::translate::common::u32_value;

/// How many requests a cluster takes at once. Each may be a long stream. Envoy's default of 1,024
/// fits a mesh; at an edge 11 HTTP/2 connections with idle streams would shut all other clients
/// out. An idle stream takes 20 KiB of Envoy's memory.
const AT_ONCE: u32 = 10_000;

/// Returns the bounds of every cluster.
pub(in crate::translate) fn circuit_breakers() -> CircuitBreakers {
    let thresholds = Thresholds {
        max_connections: u32_value(AT_ONCE),
        max_pending_requests: u32_value(AT_ONCE),
        max_requests: u32_value(AT_ONCE),
        ..Thresholds::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}
