//! xDS: what every connected Envoy is told, and what it answers.
//!
//! ```text
//! request ─> Variant::read ─> Ask ─> Session ─> Substream (Subscription, what the client holds) ─> Update ─> Variant::write ─> response
//!                                      ^ publish(Arc<Snapshot>)                └─> Event
//! ```
//!
//! Everything but [`server`], [`tls`] and what they serve beside xDS ([`csds`]) is pure: no sockets, no clock, no tasks. Time is an argument. The rules that the code cites by
//! number (G7, D6, O4, …) are those of Envoy's `xds_protocol` document, of the comments of `discovery.proto` and of what
//! Envoy 1.40 was seen to do:
//!
//! * G: any variant. S: state of the world. D: delta. O: order between the kinds of resource.
//!
//! Each is said in words where it is kept.

mod budget;
mod comparison;
pub(crate) mod connection;
pub mod csds;
pub mod delta;
pub mod event;
mod holding;
mod limits;
pub mod message;
pub mod name_set;
mod order;
pub mod plan;
mod requests;
pub mod server;
mod services;
pub mod session;
pub mod sotw;
pub mod subscription;
mod substream;
pub mod tls;
pub mod variant;

pub use event::{Event, NodeInfo, Observer, StreamId};
pub use limits::Limits;
pub use message::Message;
pub use plan::Plan;
pub use session::{Next, Refusal, Session};
pub use variant::{Variant, VariantName};
