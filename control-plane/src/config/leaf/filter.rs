//! Values that the filter reads. Its own compiler has the rules for them, see
//! [`rules_of_filter`](super::super::rules_of_filter). This room has only what the compiler cannot
//! see: the forms of the file, and the headers that the gateway drops before the filter.

use std::borrow::Cow;

use legation_filter::{compile::MAX_LIMIT, config};
use serde_json::{Value as Json, json};

use super::{
    super::{
        code,
        describe::About,
        report::{Report, one_of},
    },
    Leaf, Written, header, named_header, number, text, time,
};

const BY_HEADER: &str = "header:";

/// A count of requests. The filter says how large it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);

impl Leaf for Count {
    const WANTED: &'static str = number::WANTED;

    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        number::within(written, written.what, (0, u64::MAX), (1, MAX_LIMIT), report).map(Self)
    }

    fn about() -> About {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT});
        let meaning = "A whole number without quotes, within the bounds that its field has.";
        About { name: "integer", meaning, schema, example: json!(100), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.to_string().into()
    }
}

/// Whose requests a limit counts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By(pub config::By);

impl By {
    const ALLOWED: &[&str] = &["consumer", "plan", "ip", "route", "header:NAME"];
}

impl Leaf for By {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        match config::By::try_from(written.text.to_owned()) {
            Ok(config::By::Header(name)) => {
                named_header(&written.part(&name), report).map(config::By::Header).map(Self)
            }
            Ok(config::By::Jwt(_)) => {
                let message = format!("{} {} is not supported yet", written.what, written.shown());
                written.fault(code::NOT_SUPPORTED_YET, message, None, report)
            }
            Ok(by) => Some(Self(by)),
            Err(_) => {
                let help = report.did_you_mean(written.text, Self::ALLOWED.iter().copied());
                let message = format!("{} must be {}, not {}", written.what, one_of(Self::ALLOWED), written.shown());
                written.fault(code::INVALID_VALUE, message, help.filter(|_| written.is_shown()), report)
            }
        }
    }

    fn about() -> About {
        let meaning = "`route` (all requests of the route together), `consumer`, `plan` (all consumers of a plan together), \
                       `ip` (the client's address) or `header:NAME` (the value of that request header).";
        let schema = json!({"type": "string", "anyOf": [
            {"enum": ["route", "consumer", "plan", "ip"]},
            {"pattern": "^header:[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}$"},
        ]});
        About { name: "by", meaning, schema, example: json!("consumer"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        String::from(self.0.clone()).into()
    }
}

/// How much of a limit a request uses up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost(pub config::Cost);

impl Leaf for Cost {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        if let Some(name) = written.text.strip_prefix(BY_HEADER) {
            return named_header(&written.part(name), report).map(config::Cost::Header).map(Self);
        }
        written.text.parse().ok().map(config::Cost::Fixed).map(Self).or_else(|| {
            let message = format!(
                "{} must be a whole number from 1 to {MAX_LIMIT}, or `header:NAME`, not {}",
                written.what,
                written.shown()
            );
            written.fault(code::INVALID_VALUE, message, None, report)
        })
    }

    fn about() -> About {
        let meaning = "A whole number, or `header:NAME` for the number in that request header.";
        let schema = json!({"anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            {"type": "string", "pattern": "^([0-9]+|header:[A-Za-z0-9!#$%&'*+.^`|~-]{1,128})$"},
        ]});
        About { name: "cost", meaning, schema, example: json!(5), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            config::Cost::Fixed(cost) => cost.to_string().into(),
            config::Cost::Header(name) => format!("{BY_HEADER}{name}").into(),
        }
    }

    fn json(&self) -> Json {
        match &self.0 {
            config::Cost::Fixed(cost) => (*cost).into(),
            config::Cost::Header(_) => self.text().into(),
        }
    }
}

/// The header that carries a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHeader(pub String);

impl Leaf for KeyHeader {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        named_header(written, report).map(Self)
    }

    fn about() -> About {
        let meaning = "The name of a request header, in any case.";
        let schema = text::like(header::NAME_PATTERN);
        About { name: "key header", meaning, schema, example: json!("x-api-key"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

macro_rules! texts {
    ($( $(#[doc = $doc:literal])* $name:ident, $called:literal, $meaning:literal, $schema:expr, $example:literal; )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name(pub String);

            impl Leaf for $name {
                fn read(written: &Written<'_>, _: &mut Report) -> Option<Self> {
                    Some(Self(written.text.to_owned()))
                }

                fn about() -> About {
                    let (name, meaning, example) = ($called, $meaning, json!($example));
                    About { name, meaning, schema: $schema, example, words: Vec::new() }
                }

                fn text(&self) -> Cow<'_, str> {
                    self.0.as_str().into()
                }
            }
        )*
    };
}

texts! {
    /// How long a limit's window is.
    Window, "window", "A whole number and one of the units `ms`, `s`, `m`, `h`, `d`: `1m`. More than zero, at most `366d`.",
        json!({"type": "string", "pattern": time::POSITIVE}), "1m";
    /// The cookie that carries a key.
    CookieName, "cookie name", "The name of a cookie.", text::like("^[^=; ,]+$"), "api_key";
    /// The parameter of the query that carries a key.
    ParameterName, "parameter name", "The name of a parameter of the query.", text::like("^[^=&# ]+$"), "api_key";
    /// SHA-256 of a key. It is never shown, and neither is what may stand there by mistake.
    Digest, "digest", "A SHA-256 as 64 hexadecimal digits. `legation key new` and `legation key hash` print it.",
        text::like("^[0-9A-Fa-f]{64}$"), "4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd";
    /// A point in time.
    Time, "time", "A date such as `2027-01-31`, which is its first second in UTC, or RFC 3339 such as `2027-01-31T12:00:00Z`.",
        json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$"}), "2027-01-31";
    /// A name of metadata.
    MetadataName, "metadata name", "Small letters, digits and `-`.", text::like("^[a-z0-9-]+$"), "tier";
    /// A value of metadata.
    MetadataValue, "metadata value", "Printable ASCII with no space at its ends.",
        text::like("^([!-~]([ -~]*[!-~])?)?$"), "gold";
}
