//! xDS: what the control plane sends to every connected Envoy, and what the Envoy answers.
//!
//! ```text
//! request ─> Variant::read ─> Ask ─> Session ─> Substream ─> Update ─> Variant::write ─> response
//!                                    ^  │       (Subscription, Holding)
//!               publish(Arc<Snapshot>)  └─> Event
//! ```
//!
//! Everything outside of [`server`] is pure: no sockets, no clock, no tasks. Time is an argument.
//! The code cites rules by number (G7, D6, O4, …). They come from Envoy's `xds_protocol` document,
//! from the comments of `discovery.proto` and from what Envoy 1.40 was seen to do:
//!
//! * G: both variants. S: state of the world. D: delta. O: order between the kinds of resource.
//!
//! The code says each rule in words where it applies it.

mod plan;
pub mod server;
pub mod session;

pub use plan::Plan;
pub use session::{
    Delta, Event, Message, Next, NodeInfo, Observer, Refusal, Rejection, Session, Sotw, StreamId, Variant, VariantName,
};
