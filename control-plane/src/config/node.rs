//! The file as a tree of YAML nodes, each with its place. What a node means depends on its field.

/// A place in the file: where a node begins and how much of that line it takes. Lines and columns
/// count from 1, columns and width in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters, at least 1.
    pub width: u32,
}

impl Span {
    /// The very beginning of the file.
    pub const START: Self = Self { line: 1, column: 1, width: 1 };
}

/// One YAML node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it is written; for an alias, where the alias is.
    pub span: Span,
    /// What is written there.
    pub value: Value,
}

/// What a node holds. Scalars keep their text as it was written, so that `1.10` stays `1.10` where
/// a field wants a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A text, a number or a truth value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the file's order. Keys are unique.
    Mapping(Vec<Entry>),
    /// Something that was reported as an error. Nothing more is said of it.
    Reported,
}

impl Value {
    /// What to call it in a sentence.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Null | Self::Reported => "nothing",
            Self::Scalar(scalar) => scalar.noun(),
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// A text, a number or a truth value, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, without quotes and with escapes resolved.
    pub text: String,
    /// Whether it may be read as a number or a truth value: it was not quoted, or all of it came
    /// from the environment.
    pub plain: bool,
    /// Whether some of it came from the environment: then it may be secret and is never quoted in
    /// a message.
    pub from_environment: bool,
}

impl Scalar {
    fn noun(&self) -> &'static str {
        match self.text.as_str() {
            "true" | "false" if self.plain => "a truth value",
            text if self.plain && text.parse::<f64>().is_ok() => "a number",
            _ => "a text",
        }
    }
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key is written.
    pub key_span: Span,
    /// Its value.
    pub node: Node,
}
