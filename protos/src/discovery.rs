//! `envoy.service.discovery.v3` on the wire, with resource bodies as [`Bytes`].
//!
//! A resource is encoded once and every stream shares its bytes. The generated messages would copy
//! them for each stream.
//!
//! The tags are those of Envoy's `discovery.proto`. Fields that are neither read nor written here
//! are left out, which protobuf allows. A test compares these messages with the generated ones.

use bytes::Bytes;
use prost::Message;

use crate::pb::envoy::config::core::v3::{ControlPlane, Node};
use crate::pb::google::rpc::Status;

/// `google.protobuf.Any` over shared bytes.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// The type of the message in `value`.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The encoded message.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// State of the world: a client's subscription, and its ACK or NACK.
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryRequest {
    /// The version of the last response that the client accepted. Empty in the first request.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// The client. Only the first request of a stream needs it.
    #[prost(message, optional, tag = "2")]
    pub node: Option<Node>,
    /// The whole subscription. An empty one is a wildcard, if the type has wildcards.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// The kind of resource.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The nonce of the response that this answers. Empty in the first request.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Why the client rejects the response. Its presence makes this a NACK.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Status>,
}

/// State of the world: resources.
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryResponse {
    /// The version of these resources together.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// For LDS and CDS everything that the client should have; for other kinds what changed.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Any>,
    /// The type of every resource in it.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// Unique on this stream.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// The control plane that answers.
    #[prost(message, optional, tag = "6")]
    pub control_plane: Option<ControlPlane>,
}

/// Delta: changes of a subscription, and an ACK or NACK.
#[derive(Clone, PartialEq, Message)]
pub struct DeltaDiscoveryRequest {
    /// The client. Only the first request of a stream needs it.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// The kind of resource.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// Names to add to the subscription. The server sends each of them, again if need be.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// Names to remove from the subscription.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// In the first request of a kind on a stream: what the client holds, from name to version.
    #[prost(btree_map = "string, string", tag = "5")]
    pub initial_resource_versions: std::collections::BTreeMap<String, String>,
    /// The nonce of the response that this answers. Empty in a spontaneous request.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Why the client rejects the response. Its presence makes this a NACK.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<Status>,
}

/// Delta: what changed.
#[derive(Clone, PartialEq, Message)]
pub struct DeltaDiscoveryResponse {
    /// For people who debug.
    #[prost(string, tag = "1")]
    pub system_version_info: String,
    /// Added and changed resources.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Resource>,
    /// The type of every resource in it.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// Unique on this stream.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// Names that exist no longer, or never did.
    #[prost(string, repeated, tag = "6")]
    pub removed_resources: Vec<String>,
    /// The control plane that answers.
    #[prost(message, optional, tag = "7")]
    pub control_plane: Option<ControlPlane>,
}

/// One resource of a delta response.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// Its version.
    #[prost(string, tag = "1")]
    pub version: String,
    /// The resource itself.
    #[prost(message, optional, tag = "2")]
    pub resource: Option<Any>,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::envoy::service::discovery::v3 as generated;

    /// Encodes with one message type, decodes and encodes with the other, and gives both encodings.
    fn through<A: Message, B: Message + Default>(message: &A) -> (Vec<u8>, Vec<u8>) {
        let bytes = message.encode_to_vec();
        let other = B::decode(bytes.as_slice()).expect("the other type reads it");
        (bytes, other.encode_to_vec())
    }

    #[test]
    fn requests_are_read_as_the_generated_messages_write_them() {
        let node = Some(Node { id: "a".into(), cluster: "b".into(), ..Node::default() });
        let error_detail = Some(Status { code: 13, message: "no".into(), details: vec![] });
        let (ours, theirs) = through::<_, DiscoveryRequest>(&generated::DiscoveryRequest {
            version_info: "v".into(),
            node: node.clone(),
            resource_names: vec!["x".into(), "y".into()],
            type_url: "t".into(),
            response_nonce: "n".into(),
            error_detail: error_detail.clone(),
            ..Default::default()
        });
        assert_eq!(ours, theirs);
        let (ours, theirs) = through::<_, DeltaDiscoveryRequest>(&generated::DeltaDiscoveryRequest {
            node,
            type_url: "t".into(),
            resource_names_subscribe: vec!["x".into()],
            resource_names_unsubscribe: vec!["y".into()],
            initial_resource_versions: [("z".to_owned(), "1".to_owned())].into(),
            response_nonce: "n".into(),
            error_detail,
            ..Default::default()
        });
        assert_eq!(ours, theirs);
    }

    #[test]
    fn responses_are_written_as_the_generated_messages_read_them() {
        let any = Any { type_url: "t".into(), value: Bytes::from_static(b"body") };
        let control_plane = Some(ControlPlane { identifier: "me".into() });
        let (ours, theirs) = through::<_, generated::DiscoveryResponse>(&DiscoveryResponse {
            version_info: "v".into(),
            resources: vec![any.clone()],
            type_url: "t".into(),
            nonce: "n".into(),
            control_plane: control_plane.clone(),
        });
        assert_eq!(ours, theirs);
        let resource = Resource { version: "1".into(), resource: Some(any), name: "x".into() };
        let (ours, theirs) = through::<_, generated::DeltaDiscoveryResponse>(&DeltaDiscoveryResponse {
            system_version_info: "v".into(),
            resources: vec![resource],
            type_url: "t".into(),
            nonce: "n".into(),
            removed_resources: vec!["y".into()],
            control_plane,
        });
        assert_eq!(ours.len(), theirs.len(), "the generated messages order their fields otherwise");
    }
}
