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

mod plan;
pub mod server;
pub mod session;

pub use plan::Plan;
pub use session::{
    Delta, Event, Message, Next, NodeInfo, Observer, Refusal, Rejection, Session, Sotw, StreamId, Variant, VariantName,
};
