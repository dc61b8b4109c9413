//! How much a cluster takes at once.

use legation_protos::pb::envoy::config::cluster::v3::{CircuitBreakers, circuit_breakers::Thresholds};

use crate::translate::common::u32_value;

/// How many requests a cluster takes at once, each of which may be a stream that lasts. Envoy's default of 1,024 is one of a mesh:
/// here 11 connections of HTTP/2 with idle streams would shut everybody else out. An idle stream takes 20 KiB of Envoy's memory.
const AT_ONCE: u32 = 10_000;

/// The bounds of every cluster.
pub(in crate::translate) fn circuit_breakers() -> CircuitBreakers {
    let thresholds = Thresholds {
        max_connections: u32_value(AT_ONCE),
        max_pending_requests: u32_value(AT_ONCE),
        max_requests: u32_value(AT_ONCE),
        ..Thresholds::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}
