//! Reads the bytes of a `google.protobuf.Struct`, which means JSON. Envoy 1.40 hands these bytes
//! over if a configuration is written as a Struct, as in an EnvoyFilter of Istio. (Its
//! documentation says JSON.)
//!
//! The reader is our own: with `prost-types` in its place the module was 18 KiB larger (534 against
//! 516 kB), and every push of the filter's configuration carries the module.

use serde_json::{Map, Number, Value};

/// The deepest nesting. No configuration is as deep.
const DEEPEST: u8 = 16;

/// Reads a Struct. `None` if the bytes are anything else.
pub(crate) fn decode(bytes: &[u8]) -> Option<Value> {
    object(bytes, DEEPEST)
}

fn object(bytes: &[u8], depth: u8) -> Option<Value> {
    let mut map = Map::new();
    for field in Fields(bytes) {
        let (1, Content::Bytes(entry)) = field? else { return None };
        let (mut name, mut value) = (String::new(), Value::Null);
        for field in Fields(entry) {
            match field? {
                (1, Content::Bytes(bytes)) => name = text(bytes)?,
                (2, Content::Bytes(bytes)) => value = any(bytes, depth)?,
                _ => return None,
            }
        }
        map.insert(name, value);
    }
    Some(Value::Object(map))
}

fn any(bytes: &[u8], depth: u8) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut value = Value::Null;
    for field in Fields(bytes) {
        value = match field? {
            (1, Content::Number(_)) => Value::Null,
            (2, Content::Fixed(bits)) => Value::Number(number(f64::from_bits(bits))?),
            (3, Content::Bytes(bytes)) => Value::String(text(bytes)?),
            (4, Content::Number(flag)) => Value::Bool(flag != 0),
            (5, Content::Bytes(bytes)) => object(bytes, depth)?,
            (6, Content::Bytes(bytes)) => {
                let items = Fields(bytes).map(|item| match item? {
                    (1, Content::Bytes(bytes)) => any(bytes, depth),
                    _ => None,
                });
                Value::Array(items.collect::<Option<_>>()?)
            }
            _ => return None,
        };
    }
    Some(value)
}

/// All numbers of a Struct are doubles. Whole doubles are meant as whole numbers.
fn number(double: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if double.fract() == 0.0 && double.abs() <= EXACT { Some((double as i64).into()) } else { Number::from_f64(double) }
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The content of a field, by its wire type.
enum Content<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// Returns the fields of a message, each with its number, and one `None` if the bytes are no
/// message.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Content<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Content<'a>)> {
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Number(self.varint()?),
            1 => {
                let (bits, rest) = self.0.split_first_chunk::<8>()?;
                self.0 = rest;
                Content::Fixed(u64::from_le_bytes(*bits))
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Content::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, content))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    /// A message of one field.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        [out, bytes.to_vec()].concat()
    }

    fn encode(value: &Value) -> Vec<u8> {
        match value {
            Value::Null => vec![1 << 3, 0],
            Value::Bool(flag) => vec![4 << 3, u8::from(*flag)],
            Value::Number(number) => [vec![2 << 3 | 1], number.as_f64().unwrap().to_le_bytes().to_vec()].concat(),
            Value::String(text) => field(3, text.as_bytes()),
            Value::Array(items) => {
                let items: Vec<u8> = items.iter().flat_map(|item| field(1, &encode(item))).collect();
                field(6, &items)
            }
            Value::Object(_) => field(5, &encode_object(value)),
        }
    }

    fn encode_object(value: &Value) -> Vec<u8> {
        let entry = |(name, value): (&String, &Value)| {
            field(1, &[field(1, name.as_bytes()), field(2, &encode(value))].concat())
        };
        value.as_object().unwrap().iter().flat_map(entry).collect()
    }

    #[test]
    fn a_struct_is_read_as_the_json_that_it_stands_for() {
        let value = serde_json::json!({
            "version": 1, "limit": 1_000_000_000, "half": 0.5, "no": null, "yes": true,
            "list": [1, "a", {"b": []}], "long": "x".repeat(300),
        });
        assert_eq!(decode(&encode_object(&value)), Some(value));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let deep = (0..100).fold(Value::Null, |value, _| Value::Array(vec![value]));
        assert_eq!(decode(&encode_object(&serde_json::json!({"a": deep}))), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(0u8.., 0..200)) {
            prop_assert!(decode(&bytes).is_none_or(|value| value.is_object()));
        }
    }
}
