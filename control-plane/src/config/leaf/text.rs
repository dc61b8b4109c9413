//! Texts. YAML's numbers and truth values count as texts where one is wanted: `1.10` stays `1.10`.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};

/// The schema of any text.
pub(super) fn any() -> Json {
    json!({"type": ["string", "number", "boolean"]})
}

/// The schema of texts with a pattern.
pub(super) fn like(pattern: &str) -> Json {
    json!({"type": ["string", "number", "boolean"], "pattern": pattern})
}

/// The body of an answer that the gateway gives by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(pub String);

impl Body {
    /// Envoy's `max_direct_response_body_size_bytes`.
    const LONGEST: usize = 4096;
}

impl Leaf for Body {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let length = written.text.len();
        if length > Self::LONGEST {
            let message = format!("{} has {length} bytes; at most {} are allowed", written.what, Self::LONGEST);
            return written.fault(code::OUT_OF_RANGE, message, None, report);
        }
        Some(Self(written.text.to_owned()))
    }

    fn about() -> About {
        let schema = json!({"type": ["string", "number", "boolean"], "maxLength": Self::LONGEST});
        About {
            name: "body",
            meaning: "A text of at most 4096 bytes.",
            schema,
            example: json!("ok"),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}
