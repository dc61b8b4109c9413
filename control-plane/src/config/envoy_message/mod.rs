//! A [`Node`] read as one of Envoy's messages, by its descriptor: canonical JSON, or every fault
//! with its place in the file.
//!
//! The reader takes what Envoy takes: protobuf's JSON, with field names in either spelling. It
//! checks only the form. Envoy itself applies its rules for values.

mod path;
mod scalar;

use std::sync::OnceLock;

use legation_protos::descriptors::{
    self,
    reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor},
};
use serde_json::{Map, Value as Json};

pub use self::path::Path;
use super::{
    code, decode,
    node::{Entry, Node, Scalar, Value},
    places::Places,
    report::{Report, quoted},
};

/// The descriptor of a message by its type URL or name. Reports at `node` that there is none.
pub fn descriptor(type_url: &str, node: &Node, report: &mut Report) -> Option<MessageDescriptor> {
    let pool = match descriptors::pool() {
        Ok(pool) => pool,
        Err(error) => {
            report.error(code::INVALID_VALUE, node.span, error.to_string());
            return None;
        }
    };
    let (prefix, name) = type_url.rsplit_once('/').unwrap_or_default();
    let found = pool.get_message_by_name(name).filter(|_| !prefix.is_empty());
    if found.is_none() {
        let help = report.did_you_mean(type_url, type_urls(pool).iter().map(String::as_str));
        let message = format!("Envoy has no message of the type {}", shown(node, type_url));
        report.error_with_help(code::INVALID_VALUE, node.span, message, help);
    }
    found
}

/// The type URLs of all messages. They are listed once, since a file may have many unknown types.
fn type_urls(pool: &DescriptorPool) -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(|| {
        pool.all_messages().map(|message| format!("type.googleapis.com/{}", message.full_name())).collect()
    })
}

/// The node as such a message.
pub fn message(node: &Node, of: &MessageDescriptor, path: Path<'_>, report: &mut Report) -> Option<Json> {
    match of.full_name() {
        "google.protobuf.Any" => any(node, path, report),
        "google.protobuf.Struct" => scalar::structure(node, path, report),
        "google.protobuf.ListValue" => scalar::list(node, path, report),
        "google.protobuf.Value" => Some(scalar::guessed(node)),
        "google.protobuf.Duration" | "google.protobuf.Timestamp" | "google.protobuf.FieldMask" => {
            scalar::with_own_form(node, of, path, report)
        }
        name if is_wrapper(name) => value(node, &of.get_field_by_name("value")?.kind(), path, report),
        _ => fields(mapping(node, path, report)?, of, path, report).map(Json::Object),
    }
}

/// The `@type` of a packed message, and its text.
pub fn type_of(entries: &[Entry]) -> Option<(&Node, &str)> {
    let entry = entries.iter().find(|entry| entry.key == "@type")?;
    match &entry.node.value {
        Value::Scalar(scalar) => Some((&entry.node, &scalar.text)),
        _ => None,
    }
}

/// All entries but `@type` as the fields of a message.
pub fn fields(
    entries: &[Entry],
    of: &MessageDescriptor,
    path: Path<'_>,
    report: &mut Report,
) -> Option<Map<String, Json>> {
    let mut read = Map::new();
    let mut written = Places::default();
    let mut chosen = Places::default();
    let mut whole = true;
    for entry in entries.iter().filter(|entry| entry.key != "@type") {
        let by_name = of.get_field_by_name(&entry.key);
        let Some(field) = by_name.or_else(|| of.get_field_by_json_name(&entry.key)) else {
            unknown(entry, of, path, report);
            whole = false;
            continue;
        };
        let within = path.field(&entry.key);
        if let Some(first) = written.earlier(field.number(), entry.key_span) {
            let message = format!("`{within}` is already given at {}", report.origin(first));
            report.error(code::DUPLICATE_KEY, entry.key_span, message);
            whole = false;
        }
        // As in Envoy, an empty value counts as not written.
        if entry.node.value == Value::Null && !takes_null(&field) {
            continue;
        }
        if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
            && let Some(first) = chosen.earlier(oneof.name().to_owned(), entry.key_span)
        {
            let first = report.origin(first);
            let message = format!("`{within}` and what is given at {first} exclude one another");
            report.error(code::CONFLICT, entry.key_span, message);
            whole = false;
        }
        match self::field(&entry.node, &field, within, report) {
            Some(value) => {
                read.insert(field.name().to_owned(), value);
            }
            None => whole = false,
        }
    }
    whole.then_some(read)
}

fn unknown(entry: &Entry, of: &MessageDescriptor, path: Path<'_>, report: &mut Report) {
    let names: Vec<String> = of.fields().map(|field| field.name().to_owned()).collect();
    let help = report.did_you_mean(&entry.key, names.iter().map(String::as_str));
    let message = format!("{} has no field {}{}", of.full_name(), quoted(&entry.key), path.location());
    report.error_with_help(code::UNKNOWN_FIELD, entry.key_span, message, help);
}

fn takes_null(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value" && !field.is_list(),
        Kind::Enum(of) => of.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn field(node: &Node, field: &FieldDescriptor, path: Path<'_>, report: &mut Report) -> Option<Json> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let value_kind = entry.map_entry_value_field().kind();
            let key_kind = entry.map_entry_key_field().kind();
            let mut read = Map::new();
            let mut whole = true;
            for Entry { key, key_span, node } in mapping(node, path, report)? {
                let within = path.field(key);
                whole &= scalar::is_key(key, &key_kind, *key_span, within, report);
                match value(node, &value_kind, within, report) {
                    Some(value) => {
                        read.insert(key.clone(), value);
                    }
                    None => whole = false,
                }
            }
            whole.then_some(Json::Object(read))
        }
        kind if field.is_list() => {
            let Value::List(items) = &node.value else { return wrong(node, path, "a list", report) };
            let mut read = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                read.extend(value(item, &kind, path.item(index), report));
            }
            (read.len() == items.len()).then_some(Json::Array(read))
        }
        kind => value(node, &kind, path, report),
    }
}

fn value(node: &Node, kind: &Kind, path: Path<'_>, report: &mut Report) -> Option<Json> {
    match kind {
        // Each level of messages takes a frame, and threads have small stacks.
        Kind::Message(of) => stacker::maybe_grow(128 * 1024, 1024 * 1024, || message(node, of, path, report)),
        scalar => scalar::scalar(node, scalar, path, report),
    }
}

/// A packed message: one that says its type, or `{}`, which Envoy gives a meaning in places.
fn any(node: &Node, path: Path<'_>, report: &mut Report) -> Option<Json> {
    let entries = mapping(node, path, report)?;
    if entries.is_empty() {
        return Some(descriptors::empty_any());
    }
    let Some((at, type_url)) = type_of(entries) else {
        let message = format!("`{path}` needs an `@type`, such as `type.googleapis.com/…`");
        report.error(code::MISSING_FIELD, node.span, message);
        return None;
    };
    let of = descriptor(type_url, at, report)?;
    let mut packed = if has_own_form(&of) {
        match entries.iter().filter(|entry| entry.key != "@type").collect::<Vec<_>>().as_slice() {
            [only] if only.key == "value" => {
                Map::from_iter([("value".to_owned(), message(&only.node, &of, path.field("value"), report)?)])
            }
            _ => {
                let message = format!("`{path}` holds a {}, which has one field: `value`", of.full_name());
                report.error(code::WRONG_TYPE, node.span, message);
                return None;
            }
        }
    } else {
        fields(entries, &of, path, report)?
    };
    packed.insert("@type".to_owned(), type_url.into());
    Some(Json::Object(packed))
}

/// Whether protobuf's JSON has a form of its own for the message. When it is packed, that form
/// stands in a field `value`.
fn has_own_form(of: &MessageDescriptor) -> bool {
    let name = of.full_name();
    let others = ["Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value"];
    is_wrapper(name) || name.strip_prefix("google.protobuf.").is_some_and(|name| others.contains(&name))
}

fn is_wrapper(name: &str) -> bool {
    let of = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];
    name.strip_prefix("google.protobuf.")
        .and_then(|name| name.strip_suffix("Value"))
        .is_some_and(|name| of.contains(&name))
}

fn mapping<'a>(node: &'a Node, path: Path<'_>, report: &mut Report) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Mapping(entries) => Some(entries),
        _ => wrong(node, path, "a mapping", report),
    }
}

/// Reports that a node is not what it must be.
fn wrong<T>(node: &Node, path: Path<'_>, wanted: &str, report: &mut Report) -> Option<T> {
    decode::wrong_type(node, format_args!("`{path}`"), wanted, None, report)
}

/// The text as messages show it. They hide what came from the environment.
fn shown(node: &Node, text: &str) -> String {
    match &node.value {
        Value::Scalar(Scalar { from_environment: true, .. }) => "that the environment says".to_owned(),
        _ => quoted(text),
    }
}
