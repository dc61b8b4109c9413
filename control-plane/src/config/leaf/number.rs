//! Whole numbers within bounds.

use std::{borrow::Cow, fmt::Display};

use serde_json::{Value as Json, json};

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};

pub(super) const WANTED: &str = "a whole number";

/// A whole number of type `T` from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<T, const LEAST: u64, const MOST: u64>(pub T);

impl<T: TryFrom<i128> + Display, const LEAST: u64, const MOST: u64> Leaf for Whole<T, LEAST, MOST> {
    const WANTED: &'static str = WANTED;

    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        within(written, written.what, (LEAST, MOST), (LEAST, MOST), report).map(Self)
    }

    fn about() -> About {
        let schema = json!({"type": "integer", "minimum": LEAST, "maximum": MOST});
        let meaning = "A whole number without quotes, within the bounds that its field has.";
        About { name: "integer", meaning, schema, example: json!(LEAST.max(1)), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.to_string().into()
    }

    fn json(&self) -> Json {
        self.0.to_string().parse::<u64>().map_or(Json::Null, Json::from)
    }
}

/// A TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Leaf for Port {
    const WANTED: &'static str = WANTED;

    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let bounds = (1, u16::MAX.into());
        within(written, "a port", bounds, bounds, report).map(Self)
    }

    fn about() -> About {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": u16::MAX});
        About {
            name: "port",
            meaning: "A TCP port: 1 to 65535, without quotes.",
            schema,
            example: json!(8000),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.to_string().into()
    }

    fn json(&self) -> Json {
        self.0.into()
    }
}

/// The version of the file's format, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub i128);

impl Version {
    /// The one that this reader knows.
    pub const KNOWN: i128 = 1;
}

impl Leaf for Version {
    const WANTED: &'static str = WANTED;

    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        whole(written, report).map(Self)
    }

    fn about() -> About {
        let schema = json!({"type": "integer", "const": 1});
        About {
            name: "version",
            meaning: "The version of the file's format: `1`.",
            schema,
            example: json!(1),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.to_string().into()
    }
}

/// A number within bounds. Messages say the bounds of `said`.
pub(super) fn within<T: TryFrom<i128>>(
    written: &Written<'_>,
    what: impl Display,
    (least, most): (u64, u64),
    said: (u64, u64),
    report: &mut Report,
) -> Option<T> {
    let number = whole(written, report)?;
    let found = (i128::from(least)..=i128::from(most)).contains(&number).then(|| T::try_from(number).ok()).flatten();
    found.or_else(|| {
        let found = if written.is_shown() { number.to_string() } else { written.shown() };
        let message = format!("{what} must be {} to {}, not {found}", said.0, said.1);
        written.fault(code::OUT_OF_RANGE, message, None, report)
    })
}

fn whole(written: &Written<'_>, report: &mut Report) -> Option<i128> {
    let text = written.plain(WANTED, report)?;
    integer(text).or_else(|| written.wrong_type(WANTED, None, report))
}

/// A whole number. Beyond what an `i128` holds, it is the nearest that it does.
pub(super) fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let limit = if digits.len() < text.len() { i128::MIN } else { i128::MAX };
    all_digits.then(|| text.parse().unwrap_or(limit))
}
