//! The written forms of values other than numbers, texts and lists.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{By, Cost};

impl Default for Cost {
    fn default() -> Self {
        Self::Fixed(1)
    }
}

const BY_HEADER: &str = "header:";
const BY_CLAIM: &str = "jwt:";

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(cost) => serializer.serialize_u64(*cost),
            Self::Header(name) => serializer.collect_str(&format_args!("{BY_HEADER}{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfCost;
        impl Visitor<'_> for OfCost {
            type Value = Cost;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or `header:NAME`")
            }

            fn visit_u64<E: de::Error>(self, cost: u64) -> Result<Cost, E> {
                Ok(Cost::Fixed(cost))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cost, E> {
                let name =
                    text.strip_prefix(BY_HEADER).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Cost::Header(name.to_owned()))
            }
        }
        deserializer.deserialize_any(OfCost)
    }
}

impl By {
    /// The allowed values, for messages.
    pub const ALLOWED: &str = "route, consumer, plan, ip, header:NAME or jwt:CLAIM";
}

impl From<By> for String {
    fn from(by: By) -> Self {
        match by {
            By::Route => "route".to_owned(),
            By::Consumer => "consumer".to_owned(),
            By::Plan => "plan".to_owned(),
            By::Ip => "ip".to_owned(),
            By::Header(name) => format!("{BY_HEADER}{name}"),
            By::Jwt(claim) => format!("{BY_CLAIM}{claim}"),
        }
    }
}

impl TryFrom<String> for By {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let of = |prefix| text.strip_prefix(prefix).filter(|name: &&str| !name.is_empty()).map(str::to_owned);
        match text.as_str() {
            "route" => Ok(Self::Route),
            "consumer" => Ok(Self::Consumer),
            "plan" => Ok(Self::Plan),
            "ip" => Ok(Self::Ip),
            _ => of(BY_HEADER)
                .map(Self::Header)
                .or_else(|| of(BY_CLAIM).map(Self::Jwt))
                .ok_or_else(|| format!("unknown `by` `{text}`, expected {}", Self::ALLOWED)),
        }
    }
}

/// Reads a list that mostly has one item. A `Vec` first takes memory for four items, which would be
/// most of the memory of 100,000 consumers.
pub(super) fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::with_capacity(1);
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}
