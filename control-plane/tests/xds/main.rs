//! The xDS server and its sessions. Names of tests end in the rules that they hold; `../README.md`
//! lists the rules.
//!
//! Each kind of client has its modules: scripts (`sotw`, `delta`, `order`, `waits`, `rejections`,
//! `status`), a random model of a client (`model`), clients made by hand over real gRPC (`server`,
//! `channel`, `hostile`), the real Envoy (`envoy`) and gRPC's own client (`grpc`).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[macro_use]
mod support;

mod channel;
mod delta;
mod envoy;
mod grpc;
mod hostile;
mod model;
mod order;
mod rejections;
mod server;
mod sotw;
mod status;
mod waits;
