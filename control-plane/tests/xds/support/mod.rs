//! What the tests of xDS share: a client without a wire, the real server with a client made by
//! hand, and Envoy's messages.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[macro_use]
mod variants;

pub mod messages;
pub mod recorder;
pub mod server;
pub mod tls_client;
mod wire;

pub use wire::*;
