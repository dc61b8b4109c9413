//! Values that the filter reads: keys, limits and what is known of consumers.

use std::borrow::Cow;

use legation_filter::{
    compile::{MAX_LIMIT, key_cookie, key_header, key_parameter, metadata_name},
    config,
    identity::is_identity,
    units,
};
use serde_json::{Value as Json, json};

use super::{
    super::{
        code,
        describe::About,
        report::{Report, one_of, quoted},
    },
    Leaf, Written, header, named_header, text,
};

const BY_HEADER: &str = "header:";

/// How long a limit's window is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// As it is written, and as the filter reads it.
    pub text: String,
    /// What that is.
    pub duration: std::time::Duration,
}

impl Leaf for Window {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let duration = std::time::Duration::read(written, report)?;
        Some(Self { text: written.text.to_owned(), duration })
    }

    fn about() -> About {
        About { example: json!("1m"), ..std::time::Duration::about() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.text.as_str().into()
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
                header_of_limit(&written.part(&name), written, report).map(config::By::Header).map(Self)
            }
            Ok(config::By::Jwt(_)) => {
                let message = format!("{} {} is not supported yet", written.what, written.shown());
                written.fault(code::NOT_SUPPORTED_YET, message, None, report)
            }
            Ok(by) => Some(Self(by)),
            Err(_) => {
                let help = report.did_you_mean(written.text, Self::ALLOWED.iter().copied());
                let message = format!("{} must be {}, not {}", written.what, one_of(Self::ALLOWED), written.shown());
                written.fault(code::INVALID_VALUE, message, help, report)
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
            return header_of_limit(&written.part(name), written, report).map(config::Cost::Header).map(Self);
        }
        let cost = written.text.parse().ok().filter(|cost| (1..=MAX_LIMIT).contains(cost));
        cost.map(config::Cost::Fixed).map(Self).or_else(|| {
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

/// The header that `whole` names after its `header:`, in lower case.
fn header_of_limit(name: &Written<'_>, whole: &Written<'_>, report: &mut Report) -> Option<String> {
    let lower = named_header(name, report)?;
    if is_identity(lower.as_bytes()) {
        let message = format!("no limit can look at {}: the gateway takes it away before", quoted(name.text));
        return whole.fault(code::CONFLICT, message, None, report);
    }
    Some(lower)
}

macro_rules! texts {
    ($( $(#[doc = $doc:literal])* $name:ident, $called:literal, $meaning:literal, $schema:expr, $example:literal, $read:expr; )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name(pub String);

            impl Leaf for $name {
                fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
                    let read: fn(&Written<'_>, &mut Report) -> Option<String> = $read;
                    read(written, report).map(Self)
                }

                fn about() -> About {
                    About { name: $called, meaning: $meaning, schema: $schema, example: json!($example), words: Vec::new() }
                }

                fn text(&self) -> Cow<'_, str> {
                    self.0.as_str().into()
                }
            }
        )*
    };
}

texts! {
    /// The header that carries a key, in lower case.
    KeyHeader, "key header", "The name of a request header, in any case.", text::like(header::NAME_PATTERN),
        "x-api-key", |written, report| {
            named_header(written, report)?;
            checked(written, key_header, report)
        };
    /// The cookie that carries a key.
    CookieName, "cookie name", "The name of a cookie.", text::like("^[^=; ,]+$"),
        "api_key", |written, report| checked(written, key_cookie, report);
    /// The parameter of the query that carries a key.
    ParameterName, "parameter name", "The name of a parameter of the query.", text::like("^[^=&# ]+$"),
        "api_key", |written, report| checked(written, key_parameter, report);
    /// SHA-256 of a key in lower case. It is never shown, and neither is what may stand there by mistake.
    Digest, "digest", "A SHA-256 as 64 hexadecimal digits. `legation key new` and `legation key hash` print it.",
        text::like("^[0-9A-Fa-f]{64}$"),
        "4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd", digest;
    /// A point in time as it is written.
    Time, "time", "A date such as `2027-01-31`, which is its first second in UTC, or RFC 3339 such as `2027-01-31T12:00:00Z`.",
        json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$"}),
        "2027-01-31", time;
    /// A name of metadata.
    MetadataName, "metadata name", "Small letters, digits and `-`.", text::like("^[a-z0-9-]+$"),
        "tier", |written, report| match metadata_name(written.text) {
            Ok(()) => Some(written.text.to_owned()),
            Err(problem) => {
                written.fault(code::INVALID_VALUE, format!("{} {problem}", written.shown()), None, report)
            }
        };
    /// A value of metadata.
    MetadataValue, "metadata value", "Printable ASCII with no space at its ends.", text::like("^([!-~]([ -~]*[!-~])?)?$"),
        "gold", |written, report| {
            let printable = written.text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
            if printable && written.text.trim() == written.text {
                return Some(written.text.to_owned());
            }
            let message = "a value of metadata is printable ASCII with no space at its ends: clusters see it in a header";
            written.fault(code::INVALID_VALUE, message.to_owned(), None, report)
        };
}

fn digest(written: &Written<'_>, report: &mut Report) -> Option<String> {
    if written.text.len() == 64 && written.text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(written.text.to_ascii_lowercase());
    }
    let message = format!("{} must be the 64 hexadecimal digits of a SHA-256, not the key itself", written.what);
    let help = "`legation key hash` makes it from a key".to_owned();
    written.fault(code::BAD_DIGEST, message, Some(help), report)
}

fn time(written: &Written<'_>, report: &mut Report) -> Option<String> {
    if units::parse_time(written.text).is_ok() {
        return Some(written.text.to_owned());
    }
    let message = format!(
        "{} must be a date such as `2027-01-31` or RFC 3339 such as `2027-01-31T12:00:00Z`, not {}",
        written.what,
        written.shown()
    );
    written.fault(code::INVALID_VALUE, message, None, report)
}

/// What the filter makes of a name.
fn checked(
    written: &Written<'_>,
    check: fn(&str) -> Result<String, &'static str>,
    report: &mut Report,
) -> Option<String> {
    check(written.text).map_or_else(
        |problem| written.fault(code::INVALID_VALUE, format!("{} {problem}", written.shown()), None, report),
        Some,
    )
}
