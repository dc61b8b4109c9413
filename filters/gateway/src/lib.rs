//! Legation's gateway filter: API keys, plans, rate limits and identity headers, inside Envoy
//! (proxy-wasm).
//!
//! Envoy calls the filter once, when a request's headers are complete. The filter decides at once,
//! from what it has in memory and from counts in Envoy's shared data. It never waits for anything:
//! bodies, trailers, upgrades and 1xx responses pass without it.
//!
//! ```text
//!            on_configure                                    on_request_headers
//! JSON ─config─> Config ─compile─> Tables ──────────────────┐
//! the route's metadata ─policy─> Policy ────────────────────┤
//!                                                           v
//! headers ─host::pairs─> [(name, value)] ────────────────> decide ─> edits, Pass { on response }
//! route, address, clock ──(Outside, when asked for)─────────^ │ └─> Refuse ─reply─> local reply
//! counts <──rate_limit──────(SharedState, compare and swap)───┘      (problem+json or gRPC)
//! ```
//!
//! The rooms have the names of the configuration's words: [`plan`], [`consumer`], [`api_key`],
//! [`rate_limit`], [`policy`]. Each holds its rules (`compile`) and what it does to a request.
//! Imports between rooms point one way: a test fails if two rooms need each other, however far
//! around.
//!
//! Everything but `host` is pure code with native tests: headers in, decision out. The clock, the
//! counts and Envoy's properties come in by the traits of [`outside`].
//!
//! *Invariant:* nothing that a request, a configuration or another plugin's shared data says can
//! panic. A panic in a filter cuts every stream of its worker.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod api_key;
mod caller;
pub mod compile;
pub mod config;
pub mod consumer;
pub mod decide;
pub mod headers;
pub mod host;
pub mod identity;
mod known;
mod names;
pub mod outside;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod rate_limit;
pub mod reply;
pub mod stream_headers;
pub mod units;
