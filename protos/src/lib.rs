//! Envoy's messages as the rest of Legation uses them. No other crate names `envoy-types`.
//!
//! * [`pb`]: Envoy's protobuf messages, to build resources with.
//! * [`ResourceType`]: the kinds of resource, in the order in which they are pushed.
//! * [`discovery`]: the discovery messages over [`bytes::Bytes`], so that streams share an encoded
//!   resource and nothing copies it.
//! * [`descriptors`]: the descriptors of all of Envoy's messages, to print and read resources as
//!   Envoy YAML.

pub mod descriptors;
pub mod discovery;
mod resource_type;

pub use envoy_types::pb;
pub use resource_type::ResourceType;

use pb::google::protobuf::Any;
use prost::{Message, Name};

/// Packs a message into an `Any` under its own type URL.
pub fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
