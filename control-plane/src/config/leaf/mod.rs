//! Values that are written as one scalar: each kind with its own rules, messages and description.

mod address;
mod file;
mod filter;
mod header;
mod host;
pub mod name;
mod number;
mod path;
mod share;
mod size;
mod text;
mod time;
mod word;

pub use address::{Endpoint, HostName};
pub use file::FilePath;
pub use filter::{
    By, CookieName, Cost, Count, Digest, KeyHeader, MetadataName, MetadataValue, ParameterName, Time, Window,
};
pub use header::{HeaderName, HeaderPrefix, HeaderValue, Method, named_header};
pub use host::Host;
pub use name::{Name, Named, Names, Ref};
pub use number::{Port, Version, Whole};
pub use path::{ExactPath, PathPrefix, path_prefix};
pub use size::{HeaderSize, Size};
pub use text::Body;
pub use time::TimeLimit;
pub(crate) use word::words;
pub use word::{OneWord, Word, Words};

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::{
    code,
    decode::{Decode, FROM_ENVIRONMENT, What, wrong_type},
    describe::{About, Shape},
    node::{Node, Scalar, Span, Value},
    report::{Report, quoted},
};

/// A value that is written as one scalar.
pub trait Leaf: Sized {
    /// What it must be, for a message about a list or a mapping in its place.
    const WANTED: &'static str = "a text";

    /// The value. `None` where it is not one, which is then reported.
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self>;

    /// What the schema and the reference say of it.
    fn about() -> About;

    /// The value as it is written in the file.
    fn text(&self) -> Cow<'_, str>;

    /// The value as JSON.
    fn json(&self) -> Json {
        self.text().into()
    }
}

impl<T: Leaf> Decode for T {
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        let Value::Scalar(Scalar { text, plain, from_environment }) = &node.value else {
            return wrong_type(node, what, T::WANTED, None, report);
        };
        let written = Written { text, plain: *plain, from_environment: *from_environment, span: node.span, what };
        T::read(&written, report)
    }

    fn shape() -> Shape {
        Shape::Leaf(Box::new(T::about()))
    }
}

/// A scalar as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where it is written.
    pub span: Span,
    /// What messages call it.
    pub what: What<'a>,
    plain: bool,
    from_environment: bool,
}

impl<'a> Written<'a> {
    /// A mapping's key, which is always a text.
    pub fn of_key(key: &'a str, span: Span) -> Self {
        Self { text: key, span, what: What::Key(key), plain: false, from_environment: false }
    }

    /// A part of it, at its place.
    pub fn part<'b>(&self, text: &'b str) -> Written<'b>
    where
        'a: 'b,
    {
        Written { text, ..*self }
    }

    /// The text for a message, unless it came from the environment and may be secret.
    pub fn shown(&self) -> String {
        if self.from_environment { FROM_ENVIRONMENT.to_owned() } else { quoted(self.text) }
    }

    /// Whether messages may show it.
    pub fn is_shown(&self) -> bool {
        !self.from_environment
    }

    /// Reports that the value is not allowed.
    pub fn fault<T>(
        &self,
        code: &'static str,
        message: String,
        help: Option<String>,
        report: &mut Report,
    ) -> Option<T> {
        report.mark_wrong(self.span);
        report.error_with_help(code, self.span, message, help);
        None
    }

    /// Reports that the value has not the right type.
    pub fn wrong_type<T>(&self, wanted: &str, help: Option<&str>, report: &mut Report) -> Option<T> {
        let message = format!("{} must be {wanted}, not {}", self.what, self.shown());
        self.fault(code::WRONG_TYPE, message, help.map(str::to_owned), report)
    }

    /// The text of a scalar that may be read as a number or a truth value. One that may not be is
    /// reported.
    fn plain(&self, wanted: &str, report: &mut Report) -> Option<&'a str> {
        if self.plain {
            return Some(self.text);
        }
        let quoted = number::integer(self.text).is_some() || self.text.parse::<bool>().is_ok();
        self.wrong_type(wanted, quoted.then_some("write it without quotes"), report)
    }
}

impl Leaf for bool {
    const WANTED: &'static str = "`true` or `false`";

    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let text = written.plain(Self::WANTED, report)?;
        text.parse().ok().or_else(|| written.wrong_type(Self::WANTED, None, report))
    }

    fn about() -> About {
        About {
            name: "flag",
            meaning: "`true` or `false`.",
            schema: json!({"type": "boolean"}),
            example: json!(true),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        if *self { "true".into() } else { "false".into() }
    }

    fn json(&self) -> Json {
        (*self).into()
    }
}
