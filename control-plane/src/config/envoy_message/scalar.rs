//! Scalars, read by the type of their field, and the messages that have a form of their own in
//! protobuf's JSON.

use legation_protos::descriptors::reflect::{DynamicMessage, EnumDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Number, Value as Json};

use super::{Path, mapping, wrong};
use crate::config::{
    code,
    node::{Node, Scalar, Span, Value},
    report::{Report, quoted},
};

/// A double holds every whole number below this one exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A scalar of this kind.
pub fn scalar(node: &Node, kind: &Kind, path: Path<'_>, report: &mut Report) -> Option<Json> {
    if let Kind::Enum(of) = kind {
        return word(node, of, path, report);
    }
    let scalar = match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        _ => None,
    };
    let (wanted, found) = match kind {
        Kind::Bool => ("`true` or `false`", scalar.and_then(truth)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            ("a whole number of 32 bits", scalar.and_then(|it| whole(it, i32::MIN.into(), i32::MAX.into())))
        }
        Kind::Uint32 | Kind::Fixed32 => {
            ("a whole number from 0 to 4294967295", scalar.and_then(|it| whole(it, 0, u32::MAX.into())))
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            ("a whole number of 64 bits", scalar.and_then(|it| whole(it, i64::MIN.into(), i64::MAX.into())))
        }
        Kind::Uint64 | Kind::Fixed64 => {
            ("a whole number of 64 bits that is not negative", scalar.and_then(|it| whole(it, 0, u64::MAX.into())))
        }
        Kind::Double | Kind::Float => ("a number", scalar.and_then(|it| number(it, matches!(kind, Kind::Float)))),
        Kind::Bytes => ("a text in Base64", scalar.map(|it| Json::from(it.text.as_str())).filter(is_base64)),
        _ => ("a text", scalar.map(|it| it.text.as_str().into())),
    };
    found.or_else(|| wrong(node, path, wanted, report))
}

/// Whether the key has the form of the map's keys. Reports one that has not.
pub fn is_key(key: &str, kind: &Kind, at: Span, path: Path<'_>, report: &mut Report) -> bool {
    if matches!(kind, Kind::String) {
        return true;
    }
    let scalar = Scalar { text: key.to_owned(), plain: true, from_environment: false };
    let node = Node { span: at, value: Value::Scalar(scalar) };
    self::scalar(&node, kind, path, report).is_some()
}

/// A message that JSON writes as a text, such as a duration.
pub fn with_own_form(node: &Node, of: &MessageDescriptor, path: Path<'_>, report: &mut Report) -> Option<Json> {
    let wanted = match of.full_name() {
        "google.protobuf.Duration" => "a duration in seconds, such as `0.25s`",
        "google.protobuf.Timestamp" => "a time, such as `2030-01-01T00:00:00Z`",
        _ => "the paths of fields with commas between them",
    };
    let text = match &node.value {
        Value::Scalar(scalar) => Some(Json::from(scalar.text.as_str())),
        _ => None,
    };
    text.filter(|text| DynamicMessage::deserialize(of.clone(), text).is_ok())
        .or_else(|| wrong(node, path, wanted, report))
}

/// A mapping of anything.
pub fn structure(node: &Node, path: Path<'_>, report: &mut Report) -> Option<Json> {
    mapping(node, path, report)?;
    Some(guessed(node))
}

/// A list of anything.
pub fn list(node: &Node, path: Path<'_>, report: &mut Report) -> Option<Json> {
    match node.value {
        Value::List(_) => Some(guessed(node)),
        _ => wrong(node, path, "a list", report),
    }
}

/// Anything. No field says its type, so it has the type that YAML guesses.
pub fn guessed(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Reported => Json::Null,
        Value::Scalar(scalar) => truth(scalar)
            .or_else(|| if scalar.plain { number(scalar, false) } else { None })
            .unwrap_or_else(|| scalar.text.as_str().into()),
        Value::List(items) => items.iter().map(guessed).collect(),
        Value::Mapping(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), guessed(&entry.node))).collect::<Map<_, _>>())
        }
    }
}

fn truth(scalar: &Scalar) -> Option<Json> {
    scalar.text.parse::<bool>().ok().filter(|_| scalar.plain).map(Json::Bool)
}

/// A whole number, quoted or not, also one written as `1e3`.
fn whole(scalar: &Scalar, least: i128, most: i128) -> Option<Json> {
    let exact = |number: f64| (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i128);
    let number = scalar.text.parse::<i128>().ok().or_else(|| scalar.text.parse().ok().and_then(exact))?;
    if !(least..=most).contains(&number) {
        return None;
    }
    i64::try_from(number).map(Json::from).or_else(|_| u64::try_from(number).map(Json::from)).ok()
}

fn number(scalar: &Scalar, single: bool) -> Option<Json> {
    let text = match scalar.text.as_str() {
        ".nan" | ".NaN" | "NaN" => return Some("NaN".into()),
        ".inf" | "Infinity" => return Some("Infinity".into()),
        "-.inf" | "-Infinity" => return Some("-Infinity".into()),
        text => text,
    };
    let number: f64 = text.parse().ok()?;
    let fits = !single || number.abs() <= f32::MAX.into();
    Number::from_f64(number).filter(|_| fits).map(Json::Number)
}

fn is_base64(text: &Json) -> bool {
    let descriptor = legation_protos::descriptors::pool()
        .ok()
        .and_then(|pool| pool.get_message_by_name("google.protobuf.BytesValue"));
    descriptor.is_some_and(|of| DynamicMessage::deserialize(of, text).is_ok())
}

/// A value of an enum by its name or number. JSON gets the name.
fn word(node: &Node, of: &EnumDescriptor, path: Path<'_>, report: &mut Report) -> Option<Json> {
    let scalar = match &node.value {
        Value::Null if of.full_name() == "google.protobuf.NullValue" => return Some(Json::Null),
        Value::Scalar(scalar) => scalar,
        _ => return wrong(node, path, "one of Envoy's words for it", report),
    };
    let by_number = || scalar.text.parse().ok().filter(|_| scalar.plain).and_then(|number| of.get_value(number));
    if let Some(value) = of.get_value_by_name(&scalar.text).or_else(by_number) {
        return Some(value.name().into());
    }
    let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
    let help = report
        .did_you_mean(&scalar.text, names.iter().map(String::as_str))
        .unwrap_or_else(|| format!("it may be {}", names.join(", ")));
    let found = if scalar.from_environment { "what the environment says".to_owned() } else { quoted(&scalar.text) };
    let message = format!("`{path}` must be one of Envoy's words for it, not {found}");
    report.error_with_help(code::INVALID_VALUE, node.span, message, Some(help));
    None
}
