//! Legation's control plane: one watched YAML file in, xDS out.
//!
//! ```text
//! file ─watch─> bytes ─config─> Model ─translate─> Resources ─> Arc<Snapshot N>
//!         any failure: diagnostics to log and status;               │ Rollout ─> Plan, tokio watch
//!         generation N-1 stays                                      v
//! Envoy ─request─> Session (sans-IO) ─diff(subscription, snapshot)─> responses ─> Envoy
//! Envoy ─ACK/NACK─> Session ─event─> Status, Rollout
//! ```
//!
//! `config`, `model`, `translate`, `snapshot` and the session are pure. Time, files and the
//! network are at the rim (`files`, `rollout::reload`, `status::admin`, `xds::server`, `envoy`,
//! `cli`).

pub mod cli;
pub mod config;
pub mod control_plane;
pub mod diagnostic;
pub mod envoy;
pub mod files;
pub mod filter_module;
pub mod http_client;
pub mod model;
pub mod origin;
pub mod rollout;
mod route_features;
pub mod snapshot;
pub mod status;
pub mod translate;
pub mod xds;
