//! Parts of a request's head: methods, and names and values of headers.

use std::borrow::Cow;

use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written, text,
};

/// The longest name of a header.
const LONGEST_NAME: usize = 128;

/// What the schema can say of a header's name.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}$";

/// The name of a header that routes may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName {
    written: String,
    /// The name in lower case.
    pub lower: String,
}

impl Leaf for HeaderName {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let lower = named_header(written, report)?;
        Some(Self { written: written.text.to_owned(), lower })
    }

    fn about() -> About {
        let meaning = "The name of a header, in any case.";
        About {
            name: "header name",
            meaning,
            schema: text::like(NAME_PATTERN),
            example: json!("x-team"),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.written.as_str().into()
    }
}

/// The header of this name, in lower case. A name that no header can have here is reported.
pub fn named_header(written: &Written<'_>, report: &mut Report) -> Option<String> {
    const PUNCTUATION: &str = "!#$%&'*+-.^`|~";
    let lower = written.text.to_ascii_lowercase();
    let (problem, help) = if lower.starts_with(':') || lower == "host" {
        let help = match lower.as_str() {
            ":method" => Some("name methods in `methods`"),
            ":path" => Some("name paths in `prefix` or `path`"),
            "host" | ":authority" => Some("that is what `hosts` is for"),
            _ => None,
        };
        ("is not a header of its own in Envoy".to_owned(), help.map(str::to_owned))
    } else if lower.contains('_') {
        let help = format!("write `{}`", lower.replace('_', "-"));
        ("can not be a header here: the gateway drops headers whose name has a `_`".to_owned(), Some(help))
    } else if !(1..=LONGEST_NAME).contains(&lower.len())
        || !lower.chars().all(|c| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c))
    {
        (format!("is not a header's name: letters, digits and {PUNCTUATION}"), None)
    } else {
        return Some(lower);
    };
    let help = help.filter(|_| written.is_shown());
    written.fault(code::INVALID_VALUE, format!("{} {problem}", written.shown()), help, report)
}

/// A text that a header's value can be: HTTP strips spaces around it, and has no control
/// characters in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValue(pub String);

impl Leaf for HeaderValue {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let fault = if written.text.chars().any(char::is_control) {
            "has a control character: no header's value has one"
        } else if written.text.trim() != written.text {
            "begins or ends with a space: no header's value does"
        } else {
            return Some(Self(written.text.to_owned()));
        };
        written.fault(code::INVALID_VALUE, format!("{} {fault}", written.shown()), None, report)
    }

    fn about() -> About {
        let meaning = "A header's value: a text with no space at its ends and no control character.";
        About { name: "header value", meaning, schema: text::any(), example: json!("blue"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

/// What a header's value begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPrefix(pub String);

impl Leaf for HeaderPrefix {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        if written.text.is_empty() {
            let help = "write `present: true` for any value".to_owned();
            return written.fault(code::INVALID_VALUE, "the prefix is empty".to_owned(), Some(help), report);
        }
        HeaderValue::read(written, report).map(|value| Self(value.0))
    }

    fn about() -> About {
        let meaning = "What a header's value begins with; not empty.";
        let schema = json!({"type": ["string", "number", "boolean"], "minLength": 1});
        About { name: "header prefix", meaning, schema, example: json!("blue-"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

/// A method of HTTP, in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(pub String);

impl Leaf for Method {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let method = written.text.to_ascii_uppercase();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let fault = if method.is_empty() || !method.bytes().all(allowed) {
            "is not a method: letters, digits, `-` and `_`"
        } else if method == "CONNECT" {
            "cannot be routed by its path: a CONNECT request has none"
        } else {
            return Some(Self(method));
        };
        written.fault(code::INVALID_VALUE, format!("the method {} {fault}", written.shown()), None, report)
    }

    fn about() -> About {
        let meaning = "A method of HTTP in any case, but not CONNECT.";
        About {
            name: "method",
            meaning,
            schema: text::like("^[A-Za-z0-9_-]+$"),
            example: json!("GET"),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}
