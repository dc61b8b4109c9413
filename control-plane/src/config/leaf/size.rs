//! Sizes in bytes.

use std::borrow::Cow;

use legation_filter::units::parse_size;
use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};

const PATTERN: &str = "^0*[1-9][0-9]*(KiB|MiB|GiB)$";

/// A size in bytes, more than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Leaf for Size {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        parse_size(written.text).ok().map(Self).or_else(|| {
            let message = format!(
                "{} must be a size, a whole number above 0 and one of the units KiB, MiB, GiB, such as `10MiB`; not {}",
                written.what,
                written.shown()
            );
            written.fault(code::INVALID_VALUE, message, None, report)
        })
    }

    fn about() -> About {
        let meaning = "A whole number above 0 and one of the units `KiB`, `MiB`, `GiB`: `10MiB`.";
        let schema = json!({"type": "string", "pattern": PATTERN});
        About { name: "size", meaning, schema, example: json!("10MiB"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        written(self.0).into()
    }
}

/// The size of a request's headers, in KiB, which is how Envoy counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderSize {
    /// How many KiB.
    pub kib: u32,
}

/// Envoy's own bound.
const MOST_HEADER_KIB: u32 = 8_192;

impl Leaf for HeaderSize {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let kib = parse_size(written.text).ok().and_then(|bytes| u32::try_from(bytes / 1024).ok());
        let kib = kib.filter(|kib| (1..=MOST_HEADER_KIB).contains(kib));
        kib.map(|kib| Self { kib }).or_else(|| {
            let (what, shown) = (written.what, written.shown());
            let message = format!("{what} must be a size such as `60KiB`, from `1KiB` to `8MiB`, not {shown}");
            written.fault(code::OUT_OF_RANGE, message, None, report)
        })
    }

    fn about() -> About {
        let schema = json!({"type": "string", "pattern": PATTERN});
        About {
            name: "header size",
            meaning: "A size from `1KiB` to `8MiB`.",
            schema,
            example: json!("60KiB"),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        written(u64::from(self.kib) << 10).into()
    }
}

/// In the largest unit that gives a whole number.
fn written(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, shift)| bytes.trailing_zeros() >= *shift);
    unit.map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}
