//! [`Node`] → the types that declare the file's shape: whatever has the right shape, and a
//! diagnostic for the rest.
//!
//! Decoding never stops at the first fault. It reports the fault, leaves the value out and reads
//! on. A [`Field`] thus has three states: not written, written and good, written and already
//! reported.

mod collection;
mod mapping;

pub use collection::{List, OneOrMany, Pairs};
pub(crate) use mapping::mapping;
pub use mapping::{Part, Unsaid, entries, missing_field, one_of_many, unknown_field, word};

use std::{
    fmt::{self, Display},
    ops::Deref,
};

use super::{
    code,
    describe::Shape,
    leaf::Leaf,
    node::{Entry, Node, Scalar, Span, Value},
    report::{Report, quoted},
};

/// What can be read from a node.
pub trait Decode: Sized {
    /// The value. `None` where the node is something else, which is then reported.
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self>;

    /// What may stand here, for the schema and the reference.
    fn shape() -> Shape;
}

/// What messages call a value.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// The whole file.
    File,
    /// The value of the field with this name.
    Field(&'a str),
    /// The value beside a key that the person chose.
    Key(&'a str),
    /// An item of a list.
    ItemOf(&'a What<'a>),
}

impl Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Field(name) => write!(f, "`{name}`"),
            Self::Key(key) => f.write_str(&quoted(key)),
            Self::ItemOf(list) => write!(f, "each item of {list}"),
        }
    }
}

/// A value that the file says, with its place.
#[derive(Clone, Debug)]
pub struct Said<T> {
    /// The value.
    pub value: T,
    /// Where it is written. A default has the place of the mapping that does not say it.
    pub span: Span,
    from_environment: bool,
}

impl<T> Deref for Said<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Decode> Said<T> {
    /// Reads a node.
    pub fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        let from_environment = matches!(&node.value, Value::Scalar(Scalar { from_environment: true, .. }));
        Some(Self { value: T::decode(node, what, report)?, span: node.span, from_environment })
    }
}

impl<T: Leaf> Said<T> {
    /// The value for a message, unless it came from the environment and may be secret.
    pub fn shown(&self) -> String {
        if self.from_environment { FROM_ENVIRONMENT.to_owned() } else { quoted(&self.value.text()) }
    }
}

/// What a message says in place of a value that the environment holds.
pub const FROM_ENVIRONMENT: &str = "what the environment says";

/// A field of a mapping.
#[derive(Debug)]
pub struct Field<T> {
    key: Option<Span>,
    value: Option<Said<T>>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { key: None, value: None }
    }
}

impl<T> Field<T> {
    /// A field that is not written and has a default. Its mapping stands at `span`.
    pub fn with_default(value: T, span: Span) -> Self {
        Self { key: None, value: Some(Said { value, span, from_environment: false }) }
    }

    /// Its value where that is written and has the right shape, or else the default that the
    /// field was declared with.
    pub fn get(&self) -> Option<&Said<T>> {
        self.value.as_ref()
    }

    /// Its value where that is written and has the right shape.
    pub fn written(&self) -> Option<&Said<T>> {
        self.value.as_ref().filter(|_| self.is_written())
    }

    /// Where its name is written, if it is.
    pub fn key(&self) -> Option<Span> {
        self.key
    }

    /// What `resolve` makes of it: `Some(None)` where it has no value, `None` where it is written
    /// and wrong.
    pub fn resolve<R>(&self, resolve: impl FnOnce(&Said<T>) -> Option<R>) -> Option<Option<R>> {
        match (&self.value, self.key) {
            (Some(value), _) => resolve(value).map(Some),
            (None, Some(_)) => None,
            (None, None) => Some(None),
        }
    }

    /// Whether it is written, well or not.
    pub fn is_written(&self) -> bool {
        self.key.is_some()
    }
}

impl<T: Clone> Field<T> {
    /// Its value: `Some(None)` where it has none, `None` where it is written and wrong.
    pub fn value(&self) -> Option<Option<T>> {
        self.resolve(|said| Some(said.value.clone()))
    }
}

impl<T: Unsaid> Field<T> {
    /// What `resolve` makes of the mapping, or of one that says nothing. `None` where it is
    /// written and wrong.
    pub fn resolve_or_unsaid<R>(&self, resolve: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        match &self.value {
            Some(said) => resolve(said),
            None if self.is_written() => None,
            None => resolve(&T::unsaid(Span::START)),
        }
    }
}

impl<T: Decode> Field<T> {
    /// Reads an entry of a mapping.
    pub fn decode(entry: &Entry, report: &mut Report) -> Self {
        Self { key: Some(entry.key_span), value: Said::decode(&entry.node, What::Field(&entry.key), report) }
    }
}

/// Reports that a node is not what it must be.
pub fn wrong_type<T>(
    node: &Node,
    what: impl Display,
    wanted: &str,
    help: Option<&str>,
    report: &mut Report,
) -> Option<T> {
    report.mark_wrong(node.span);
    let found = match &node.value {
        Value::Reported => return None,
        Value::Scalar(scalar) if scalar.from_environment => FROM_ENVIRONMENT.to_owned(),
        Value::Scalar(scalar) => quoted(&scalar.text),
        other => other.noun().to_owned(),
    };
    let message = format!("{what} must be {wanted}, not {found}");
    report.error_with_help(code::WRONG_TYPE, node.span, message, help.map(str::to_owned));
    None
}
