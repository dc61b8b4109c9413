//! A stand-in for an `Any` without a type.
//!
//! Envoy writes such an `Any` as `{}` and gives it a meaning: a `FilterConfig` with an empty
//! `config` turns a filter on. Protobuf has no JSON form for it. So another message takes its place
//! while JSON is written or read, and leaves it afterwards.

use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage, Value as Field};
use serde_json::Value;

use super::{DescriptorError, decode};
use crate::pb::google::protobuf::Any;

/// The message that stands in. Envoy's admin interface uses it; no configuration does.
pub(super) const STAND_IN: &str = "type.googleapis.com/envoy.admin.v3.CommandLineOptions";

/// Puts the stand-in into every `Any` without a type, inside packed messages too.
pub(super) fn mark(message: &mut DynamicMessage) -> Result<(), DescriptorError> {
    retype(message, "", STAND_IN)
}

/// Takes the stand-in out of every `Any` that holds it, inside packed messages too.
pub(super) fn clear(message: &mut DynamicMessage) -> Result<(), DescriptorError> {
    retype(message, STAND_IN, "")
}

/// Turns every `Any` of one type into an `Any` of the other, without a value.
fn retype(message: &mut DynamicMessage, from: &str, to: &str) -> Result<(), DescriptorError> {
    if message.descriptor().full_name() == "google.protobuf.Any" {
        return retype_any(message, from, to);
    }
    message.fields_mut().try_for_each(|(_, field)| retype_field(field, from, to))
}

fn retype_field(field: &mut Field, from: &str, to: &str) -> Result<(), DescriptorError> {
    match field {
        Field::Message(message) => retype(message, from, to),
        Field::List(values) => values.iter_mut().try_for_each(|value| retype_field(value, from, to)),
        Field::Map(values) => values.values_mut().try_for_each(|value| retype_field(value, from, to)),
        _ => Ok(()),
    }
}

fn retype_any(any: &mut DynamicMessage, from: &str, to: &str) -> Result<(), DescriptorError> {
    let packed = any.transcode_to::<Any>().map_err(unreadable)?;
    let other = if packed.type_url == from {
        Any { type_url: to.to_owned(), value: Vec::new() }
    } else if packed.type_url.is_empty() {
        return Ok(());
    } else {
        let mut inner = decode(&packed.type_url, &packed.value)?;
        retype(&mut inner, from, to)?;
        Any { type_url: packed.type_url, value: inner.encode_to_vec() }
    };
    // Transcoding merges: an empty field of `other` would leave the old value in place.
    any.clear();
    any.transcode_from(&other).map_err(unreadable)
}

fn unreadable(error: prost::DecodeError) -> DescriptorError {
    DescriptorError::Message(error.to_string())
}

/// Puts an empty mapping where the stand-in is.
pub(super) fn unmark(value: &mut Value) {
    match value {
        Value::Object(fields) if fields.get("@type").is_some_and(|of| of == STAND_IN) => fields.clear(),
        Value::Object(fields) => fields.values_mut().for_each(unmark),
        Value::Array(values) => values.iter_mut().for_each(unmark),
        _ => {}
    }
}
