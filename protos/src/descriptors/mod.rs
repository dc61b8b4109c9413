//! Resources as Envoy YAML, and back.
//!
//! The descriptors of Envoy's messages turn an encoded message into the form of Envoy's own
//! documentation, nested `@type`s included. They turn such a text into an encoded message, too.

mod empty_anys;
mod envoy_message;

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

pub use envoy_message::{EnvoyMessage, empty_any};
pub use prost_reflect as reflect;

/// Why a message cannot be shown or read.
#[derive(Debug)]
pub enum DescriptorError {
    /// The descriptors in this build cannot be decoded.
    Pool(String),
    /// No message has this type URL.
    UnknownType(String),
    /// The message, or one packed in it, cannot be decoded or written.
    Message(String),
    /// The JSON is not a message of its type.
    NotTheMessage(String),
}

impl std::fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pool(reason) => write!(f, "the descriptors of Envoy's messages cannot be read: {reason}"),
            Self::UnknownType(type_url) => write!(f, "no message of Envoy's has the type {type_url}"),
            Self::Message(reason) => write!(f, "the message cannot be shown: {reason}"),
            Self::NotTheMessage(reason) => write!(f, "not such a message: {reason}"),
        }
    }
}

impl std::error::Error for DescriptorError {}

/// The descriptors of the discovery services, of CSDS and of everything that they import, as an
/// encoded `google.protobuf.FileDescriptorSet`. gRPC reflection serves them. [`pool`] holds much
/// more.
pub const SERVICES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/services.bin"));

/// Returns the descriptors of all of Envoy's messages. The first call decodes them, which takes
/// some tens of milliseconds.
pub fn pool() -> Result<&'static DescriptorPool, DescriptorError> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    POOL.get_or_init(|| {
        let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/types.bin"));
        DescriptorPool::decode(bytes).map_err(|error| error.to_string())
    })
    .as_ref()
    .map_err(|reason| DescriptorError::Pool(reason.clone()))
}

/// Returns an encoded message as Envoy's JSON, with field names in snake_case.
pub fn to_value(type_url: &str, body: &[u8]) -> Result<serde_json::Value, DescriptorError> {
    let mut message = decode(type_url, body)?;
    empty_anys::mark(&mut message)?;
    let options = SerializeOptions::new().use_proto_field_name(true);
    let mut value = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| DescriptorError::Message(error.to_string()))?;
    empty_anys::unmark(&mut value);
    Ok(value)
}

fn decode(type_url: &str, body: &[u8]) -> Result<DynamicMessage, DescriptorError> {
    let name = type_url.rsplit('/').next().unwrap_or(type_url);
    let descriptor =
        pool()?.get_message_by_name(name).ok_or_else(|| DescriptorError::UnknownType(type_url.to_owned()))?;
    DynamicMessage::decode(descriptor, body).map_err(|error| DescriptorError::Message(error.to_string()))
}

/// Returns a message as Envoy's JSON, with field names in snake_case.
pub fn message_to_value<M: Message + prost::Name>(message: &M) -> Result<serde_json::Value, DescriptorError> {
    to_value(&M::type_url(), &message.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pack,
        pb::{
            envoy::config::{cluster::v3::Cluster, core::v3::TypedExtensionConfig, route::v3::FilterConfig},
            google::protobuf::{Any, Duration},
        },
    };

    #[test]
    fn a_message_is_shown_in_snake_case_with_what_is_packed_in_it() {
        let inner = Cluster {
            name: "svc".into(),
            connect_timeout: Some(Duration { seconds: 1, nanos: 500_000_000 }),
            ..Cluster::default()
        };
        let outer = TypedExtensionConfig { name: "x".into(), typed_config: Some(pack(&inner)) };
        assert_eq!(
            message_to_value(&outer).expect("it is shown"),
            serde_json::json!({
                "name": "x",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
                    "name": "svc",
                    "connect_timeout": "1.500s",
                }
            })
        );
    }

    #[test]
    fn an_any_without_a_type_is_shown_as_an_empty_mapping_however_deep_it_lies() {
        let route = FilterConfig { config: Some(Any::default()), ..FilterConfig::default() };
        let outer = TypedExtensionConfig { name: "x".into(), typed_config: Some(pack(&route)) };
        assert_eq!(
            message_to_value(&outer).expect("it is shown"),
            serde_json::json!({
                "name": "x",
                "typed_config": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}},
            })
        );
    }

    #[test]
    fn what_is_not_envoys_is_an_error() {
        assert!(matches!(to_value("type.googleapis.com/nobody.Knows", b""), Err(DescriptorError::UnknownType(_))));
        assert!(matches!(
            to_value("type.googleapis.com/envoy.config.cluster.v3.Cluster", b"\xff"),
            Err(DescriptorError::Message(_))
        ));
    }
}
