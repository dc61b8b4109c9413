//! xDS: what the server tells every connected Envoy, and what the Envoys answer.
//!
//! ```text
//! request ─> Variant::read ─> Ask ─> Session ─> Substream (Subscription, what the client holds)
//!                                      ^             └─> Update ─> Variant::write ─> response
//!            publish(Arc<Snapshot>) ───┘             └─> Event
//! ```
//!
//! Everything but [`server`] is pure. It has no sockets, no clock and no tasks; time is an
//! argument. The rules that the code cites by number (G7, D6, O4, …) come from Envoy's
//! `xds_protocol` text, from the comments of `discovery.proto`, and from what Envoy 1.40 was seen
//! to do. Each rule is said in words where the code keeps it.
//!
//! * G: any variant. S: state of the world. D: delta. O: order between the kinds of resource.

mod plan;
pub mod server;
pub mod session;

pub use plan::Plan;
pub use session::{
    Delta, Event, Message, Next, NodeInfo, Observer, Refusal, Rejection, Session, Sotw, StreamId, Variant, VariantName,
};
