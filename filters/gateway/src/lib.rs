//! Legation's gateway filter: API keys, plans, rate limits and identity headers, inside Envoy (proxy-wasm).
//!
//! Envoy calls the filter once when a request's headers are complete. The filter decides there and then, from what it
//! has in memory and from counts in Envoy's shared data, and never waits for anything: bodies, trailers, upgrades and
//! 1xx responses pass without it.
//!
//! ```text
//!            on_configure                                   on_request_headers
//! JSON ─config─> Config ─compile─> Tables ────────────────────┐
//! the route's metadata ─route_policies─> Policy ──────────────┤
//!                                                             v
//! headers ─pairs─> [(name, value)] ────────────────────────> decide ─> edits, Pass { on response }
//! route name, address, clock ──(Outside, when asked for)──────^  │  └> Refuse ─reply─> local reply (problem+json or gRPC)
//! counts <──charges, limit, slots──(SharedState, compare and swap)┘
//! ```
//!
//! Everything but [`config`] and the three modules named next is pure code with native tests: headers in, decision out;
//! the clock, the counts and Envoy's properties come in by the [`decide::Outside`] trait. `abi`, the only module with
//! `unsafe`, speaks proxy-wasm 0.2.1, `metrics` counts decisions, and `glue` joins all; they exist on wasm32 alone.
//!
//! *Invariant:* nothing that a request, a configuration or another plugin's shared data says can panic. A panic in a
//! filter cuts every stream of its worker.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod algorithm;
mod authenticate;
mod calendar;
pub mod charges;
pub mod compile;
pub mod config;
pub mod consumers;
pub mod credential;
pub mod decide;
pub mod edit;
pub mod identity;
mod json_path;
pub mod key_format;
pub mod limit;
pub mod metric_names;
pub mod pairs;
pub mod pepper;
mod protobuf_struct;
pub mod ratelimit_fields;
pub mod reply;
pub mod route_policies;
pub mod rules;
pub mod slots;
pub mod stream_headers;
pub mod tables;
mod text;
pub mod units;
mod ways;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod glue;
#[cfg(target_arch = "wasm32")]
mod metrics;
