//! A checked message in Envoy's JSON, beside its encoding.

use std::fmt;

use bytes::Bytes;
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

use super::{DescriptorError, empty_anys, pool};

/// A message of Envoy's that was given as JSON. Two messages are equal if their JSON is equal: the
/// encoding of a message with maps differs each time.
#[derive(Clone)]
pub struct EnvoyMessage {
    value: Value,
    body: Bytes,
}

impl EnvoyMessage {
    /// Reads protobuf's JSON, packed messages included. [`empty_any`] stands for an `Any` without a
    /// type.
    ///
    /// # Errors
    /// There is no such type, or the JSON is not a message of it. Unknown fields are errors.
    pub fn from_value(type_url: &str, value: Value) -> Result<Self, DescriptorError> {
        let name = type_url.rsplit('/').next().unwrap_or(type_url);
        let descriptor =
            pool()?.get_message_by_name(name).ok_or_else(|| DescriptorError::UnknownType(type_url.to_owned()))?;
        let mut message = DynamicMessage::deserialize(descriptor, &value)
            .map_err(|error| DescriptorError::NotTheMessage(error.to_string()))?;
        empty_anys::clear(&mut message)?;
        Ok(Self { value, body: message.encode_to_vec().into() })
    }

    /// Returns its JSON.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns its encoding, without an `Any` around it.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl PartialEq for EnvoyMessage {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for EnvoyMessage {}

/// Leaves the content out, since it may hold a private key.
impl fmt::Debug for EnvoyMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.body.len())
    }
}

/// Returns the form of an `Any` without a type in the JSON of an [`EnvoyMessage`]. Protobuf's JSON
/// has none.
pub fn empty_any() -> Value {
    json!({"@type": empty_anys::STAND_IN})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::to_value;

    const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

    #[test]
    fn what_is_read_is_shown_as_it_was_written() {
        let filter = |config: Value| {
            json!({"name": "r", "typed_per_filter_config": {
                "x": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": config}
            }})
        };
        let message = EnvoyMessage::from_value(ROUTES, filter(empty_any())).expect("it is one");
        assert_eq!(to_value(ROUTES, message.body()).expect("it is shown"), filter(json!({})));
        let stand_in = empty_anys::STAND_IN.as_bytes();
        assert!(!message.body().windows(stand_in.len()).any(|bytes| bytes == stand_in), "Envoy would see it");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for value in [json!({"nmae": "r"}), json!({"name": 1}), json!([]), json!({"x": empty_any()})] {
            assert!(matches!(EnvoyMessage::from_value(ROUTES, value), Err(DescriptorError::NotTheMessage(_))));
        }
        assert!(matches!(EnvoyMessage::from_value("nobody.Knows", json!({})), Err(DescriptorError::UnknownType(_))));
    }
}
