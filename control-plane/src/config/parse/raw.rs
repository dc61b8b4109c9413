//! What `serde-saphyr` hands over, one YAML node at a time.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

/// A node and its place. It is much smaller than [`Spanned`], and a large file has hundreds of
/// thousands of nodes.
#[derive(Debug)]
pub struct Placed {
    /// What it holds.
    pub raw: Raw,
    /// Where it is written; for an alias, where the alias is.
    pub place: Place,
}

/// A place in the text.
#[derive(Clone, Debug)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The bytes.
    pub bytes: Range<u32>,
}

impl From<&Location> for Place {
    fn from(location: &Location) -> Self {
        // A text is far shorter than 4 GiB. An unknown place becomes the beginning.
        let clamp = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let start = clamp(location.span().byte_offset().unwrap_or_default());
        let length = clamp(location.span().byte_len().unwrap_or_default());
        Self {
            line: clamp(location.line()).max(1),
            column: clamp(location.column()).max(1),
            bytes: start..start.saturating_add(length),
        }
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Between two calls lie at most two levels of YAML.
        let spanned: Spanned<Raw> =
            stacker::maybe_grow(256 * 1024, 1024 * 1024, || Spanned::deserialize(deserializer))?;
        let raw = match spanned.value {
            Raw::Plain(_) => Raw::Plain(Place::from(&spanned.defined).bytes),
            other => other,
        };
        Ok(Self { raw, place: Place::from(&spanned.referenced) })
    }
}

/// What a node holds.
#[derive(Debug)]
pub enum Raw {
    Null,
    /// An unquoted scalar that YAML takes for a number or a truth value: where its text is, which
    /// [`Placed`] fills in.
    Plain(Range<u32>),
    Text(String),
    List(Vec<Placed>),
    Mapping(Vec<(Placed, Placed)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(0..0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(0..0))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(0..0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(0..0))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain(0..0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(0..0))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Mapping(entries))
    }
}
