//! The whole path: the real command, a real Envoy, real HTTP. Tests that leave no trace share the
//! gateway of their file. The others run one of their own, on free ports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod accuracy;
mod attacks;
mod bad_files;
mod bodies;
mod channel;
mod clusters;
mod drains;
mod ending;
mod events;
mod garbage;
mod grpc;
mod hosts;
mod interim;
mod kept;
mod keys;
mod limits;
mod live_edits;
mod mesh;
mod mesh_image;
mod mirror;
mod neighbour;
mod overload;
mod pairings;
mod policies;
mod policy_moves;
mod quickstart;
mod random_edits;
mod raw;
mod reconnect;
mod rejections;
mod replicas;
mod rollouts;
mod routes;
mod saves;
#[path = "../../../filters/gateway/tests/scenarios/scenario.rs"]
mod scenario;
mod scenarios;
mod secrets;
mod stalled;
mod standalone;
mod streams;
mod timeouts;
mod tls;
mod transfers;
mod websocket;
