//! [`Node`] → the types of [`schema`](super::schema): what has the right shape, and a diagnostic for all that has not.
//!
//! Decoding never stops at the first fault: what is wrong is reported and left out, and the rest is still read. Whoever
//! reads a [`Field`] thus meets three cases: not written; written and good; written and already reported.

use super::{
    code,
    node::{Entry, Node, Scalar, Span, Value},
    report::{Report, one_of, quoted},
};

/// What can be read from a node. `what` names it in messages, such as `` `port` ``.
pub trait Decode: Sized {
    /// The value, or none where the node is something else, which is then reported.
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self>;
}

/// A field of a mapping.
#[derive(Debug)]
pub struct Field<T> {
    key: Option<Span>,
    value: Option<T>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { key: None, value: None }
    }
}

impl<T> Field<T> {
    /// Its value, where it is written and has the right shape.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Where its name is written, if it is.
    pub fn key(&self) -> Option<Span> {
        self.key
    }

    /// What `resolve` makes of it: `Some(None)` where it is not written, none where it is written and wrong.
    pub fn resolve<R>(&self, resolve: impl FnOnce(&T) -> Option<R>) -> Option<Option<R>> {
        match (&self.value, self.key) {
            (Some(value), _) => resolve(value).map(Some),
            (None, Some(_)) => None,
            (None, None) => Some(None),
        }
    }

    /// What `resolve` makes of it, or the default where it is not written; none where it is written and wrong.
    pub fn resolve_or<R>(&self, default: R, resolve: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        self.resolve(resolve).map(|resolved| resolved.unwrap_or(default))
    }

    /// Whether it is written, well or not.
    pub fn is_written(&self) -> bool {
        self.key.is_some()
    }
}

impl<T> Field<List<T>> {
    /// Its items that have the right shape; none where it is not written.
    pub fn items(&self) -> &[T] {
        self.get().map(|list| list.items.as_slice()).unwrap_or_default()
    }

    /// Whether there is nothing in it, or it is not written. A list of nothing but wrong items is not empty.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Some(list) => list.is_whole && list.items.is_empty(),
            None => !self.is_written(),
        }
    }
}

impl<T: Decode> Field<T> {
    /// Reads an entry of a mapping.
    pub fn decode(entry: &Entry, report: &mut Report) -> Self {
        let value = T::decode(&entry.node, &format!("`{}`", entry.key), report);
        Self { key: Some(entry.key_span), value }
    }
}

/// A text and its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// The text.
    pub value: String,
    /// Where it is written.
    pub span: Span,
    from_environment: bool,
}

impl Text {
    /// The text for a message, unless it came from the environment and may be secret.
    pub fn shown(&self) -> String {
        if self.from_environment { "what the environment says".to_owned() } else { quoted(&self.value) }
    }

    /// A part of it, at its place.
    pub fn part(&self, value: &str) -> Self {
        Self { value: value.to_owned(), ..self.clone() }
    }

    /// Whether it may be shown.
    pub fn is_shown(&self) -> bool {
        !self.from_environment
    }
}

impl Decode for Text {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Scalar(Scalar { text, from_environment, .. }) => {
                Some(Self { value: text.clone(), span: node.span, from_environment: *from_environment })
            }
            _ => wrong_type(node, what, "a text", None, report),
        }
    }
}

/// A whole number and its place. Beyond what an `i128` holds it is the nearest that it does.
#[derive(Clone, Copy, Debug)]
pub struct Integer {
    /// The number.
    pub value: i128,
    /// Where it is written.
    pub span: Span,
}

impl Decode for Integer {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        match plain(node).map(integer) {
            Ok(Some(value)) => Some(Self { value, span: node.span }),
            Ok(None) => wrong_type(node, what, "a whole number", None, report),
            Err(help) => wrong_type(node, what, "a whole number", help, report),
        }
    }
}

fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let limit = if digits.len() < text.len() { i128::MIN } else { i128::MAX };
    all_digits.then(|| text.parse().unwrap_or(limit))
}

/// `true` or `false` and its place.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Which of them.
    pub value: bool,
    /// Where it is written.
    pub span: Span,
}

impl Decode for Flag {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        match plain(node).map(str::parse) {
            Ok(Ok(value)) => Some(Self { value, span: node.span }),
            Ok(Err(_)) => wrong_type(node, what, "`true` or `false`", None, report),
            Err(help) => wrong_type(node, what, "`true` or `false`", help, report),
        }
    }
}

/// A list.
#[derive(Debug)]
pub struct List<T> {
    items: Vec<T>,
    /// Whether no item was left out because it was wrong.
    is_whole: bool,
}

impl<T: Decode> Decode for List<T> {
    /// Nothing at all is an empty list, so that a list may be commented out item by item.
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self { items: Vec::new(), is_whole: true }),
            Value::List(nodes) => {
                let what = format!("each item of {what}");
                let items: Vec<T> = nodes.iter().filter_map(|node| T::decode(node, &what, report)).collect();
                Some(Self { is_whole: items.len() == nodes.len(), items })
            }
            _ => wrong_type(node, what, "a list", None, report),
        }
    }
}

/// One of a kind, or a list of them.
#[derive(Debug)]
pub struct OneOrMany<T>(Vec<T>);

impl<T> OneOrMany<T> {
    /// All of them that have the right shape.
    pub fn items(&self) -> &[T] {
        &self.0
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::List(_) => List::decode(node, what, report).map(|list| Self(list.items)),
            _ => T::decode(node, what, report).map(|one| Self(vec![one])),
        }
    }
}

impl<T> Field<OneOrMany<T>> {
    /// All of them that have the right shape; none where it is not written.
    pub fn items(&self) -> &[T] {
        self.get().map(|many| many.0.as_slice()).unwrap_or_default()
    }
}

/// A mapping whose keys are the person's own, in the file's order.
#[derive(Debug)]
pub struct Pairs<T>(Vec<(Text, T)>);

impl<T> Field<Pairs<T>> {
    /// All of them that have the right shape; none where it is not written.
    pub fn items(&self) -> &[(Text, T)] {
        self.get().map(|pairs| pairs.0.as_slice()).unwrap_or_default()
    }
}

impl<T: Decode> Decode for Pairs<T> {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        let pair = |entry: &Entry, report: &mut Report| {
            let key = Text { value: entry.key.clone(), span: entry.key_span, from_environment: false };
            Some((key, T::decode(&entry.node, &quoted(&entry.key), report)?))
        };
        Some(Self(entries(node, what, report)?.iter().filter_map(|entry| pair(entry, report)).collect()))
    }
}

/// The entries of a mapping. Nothing at all is an empty one: `api_key:` is `api_key: {}`.
pub fn entries<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Null => Some(&[]),
        Value::Mapping(entries) => Some(entries),
        _ => wrong_type(node, what, "a mapping", None, report),
    }
}

/// Reports a field that the mapping does not have, and returns whether it is at least planned.
pub fn unknown_field(entry: &Entry, what: &str, fields: &[&str], planned: &[&str], report: &mut Report) -> bool {
    let shown = quoted(&entry.key);
    if planned.contains(&entry.key.as_str()) {
        report.error(code::NOT_SUPPORTED_YET, entry.key_span, format!("{shown} is not supported yet"));
        return true;
    }
    let help = report
        .did_you_mean(&entry.key, fields.iter().copied())
        .or_else(|| Some(report.did_you_mean(&entry.key, planned.iter().copied())? + " It is not supported yet"))
        .unwrap_or_else(|| format!("it may be {}", one_of(fields)));
    report.error_with_help(code::UNKNOWN_FIELD, entry.key_span, format!("{what} has no field {shown}"), Some(help));
    false
}

/// Reports a field that must be there and is not.
pub fn missing_field(at: Span, what: &str, field: &str, report: &mut Report) {
    report.error(code::MISSING_FIELD, at, format!("{what} needs a field `{field}`"));
}

/// Reports that a node is not what it must be.
pub fn wrong_type<T>(node: &Node, what: &str, wanted: &str, help: Option<&str>, report: &mut Report) -> Option<T> {
    let found = match &node.value {
        Value::Reported => return None,
        Value::Scalar(scalar) if scalar.from_environment => "what the environment says".to_owned(),
        Value::Scalar(scalar) => quoted(&scalar.text),
        other => other.noun().to_owned(),
    };
    let message = format!("{what} must be {wanted}, not {found}");
    report.error_with_help(code::WRONG_TYPE, node.span, message, help.map(str::to_owned));
    None
}

/// The text of a scalar that may be read as a number or a truth value, or what to do about it.
fn plain(node: &Node) -> Result<&str, Option<&'static str>> {
    match &node.value {
        Value::Scalar(scalar) if scalar.plain => Ok(&scalar.text),
        Value::Scalar(Scalar { text, .. }) if integer(text).is_some() || text.parse::<bool>().is_ok() => {
            Err(Some("write it without quotes"))
        }
        _ => Err(None),
    }
}

/// Declares a mapping of the file: a struct with a [`Field`] for each field, the mapping's place, and how to read it.
///
/// `planned` fields are refused by name. Where one of them is written, a field marked `unless_planned` is not called
/// missing: the planned one may say the same.
macro_rules! mapping {
    (
        $(#[$doc:meta])*
        $name:ident, $what:literal {
            $( $(#[$field_doc:meta])* $presence:ident $field:ident: $type:ty, )*
        }
        $(planned: $($planned:ident)*)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $crate::config::decode::Field<$type>, )*
            /// Where the mapping is written.
            #[allow(dead_code, reason = "not every mapping's rules need its place")]
            pub span: $crate::config::node::Span,
            /// Whether a planned field is among those written, so that what is missing may be what it says.
            pub has_planned: bool,
        }

        impl $crate::config::decode::Decode for $name {
            fn decode(
                node: &$crate::config::node::Node,
                what: &str,
                report: &mut $crate::config::report::Report,
            ) -> Option<Self> {
                const PLANNED: &[&str] = &[$($(stringify!($planned)),*)?];
                const FIELDS: &[&str] = &[$($crate::config::decode::word(stringify!($field))),*];
                let mut read = Self { $($field: Default::default(),)* span: node.span, has_planned: false };
                for entry in $crate::config::decode::entries(node, what, report)? {
                    match entry.key.as_str() {
                        $( key if key == const { $crate::config::decode::word(stringify!($field)) } => {
                            read.$field = $crate::config::decode::Field::decode(entry, report);
                        } )*
                        _ => {
                            read.has_planned |=
                                $crate::config::decode::unknown_field(entry, $what, FIELDS, PLANNED, report);
                        }
                    }
                }
                $( $crate::config::decode::mapping!(@check $presence $field read report $what); )*
                Some(read)
            }
        }
    };
    (@check unless_planned $field:ident $read:ident $report:ident $what:literal) => {
        if !$read.has_planned {
            $crate::config::decode::mapping!(@check required $field $read $report $what);
        }
    };
    (@check required $field:ident $read:ident $report:ident $what:literal) => {
        if !$read.$field.is_written() {
            let field = $crate::config::decode::word(stringify!($field));
            $crate::config::decode::missing_field($read.span, $what, field, $report);
        }
    };
    (@check optional $field:ident $read:ident $report:ident $what:literal) => {};
}
pub(crate) use mapping;

/// A field's word in the file: Rust's without the `r#` that keywords take.
pub const fn word(rust: &'static str) -> &'static str {
    match rust.as_bytes() {
        [b'r', b'#', ..] => rust.split_at(2).1,
        _ => rust,
    }
}
