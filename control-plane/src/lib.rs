//! Legation's control plane: one watched YAML file in, xDS out.
//!
//! ```text
//! file ─watch─> bytes ─config─> Model ─translate─> Resources ─> Arc<Snapshot N>
//!         any failure: diagnostics to log and status; generation N-1 stays    │ tokio watch
//! Envoy ─request─> Session (sans-IO) ─diff(subscription, snapshot)─> responses ─> Envoy ─ACK/NACK─> Session ─event─> Status
//! ```
//!
//! `config`, `model`, `translate`, `snapshot` and the session are pure; time, files and the network are at the rim
//! (`reload`, `watch`, `source`, `http_client`, `xds::server`, `admin`, `envoy`, `cli`).

pub mod admin;
pub mod certificates;
pub mod cli;
pub mod collection;
pub mod config;
pub mod control_plane;
pub mod diagnostic;
pub mod envoy;
pub mod filter_module;
pub mod http_client;
pub mod key_pepper;
pub mod metrics;
pub mod model;
pub mod named_files;
pub mod origin;
pub mod propagation;
pub mod relay;
pub mod reload;
pub mod rollout;
mod route_features;
pub mod snapshot;
pub mod source;
pub mod state;
pub mod status;
pub mod translate;
pub mod watch;
pub mod xds;
