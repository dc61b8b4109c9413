//! Problems of a configuration, with their places and how to fix them.
//!
//! The control plane shows these problems in the gateway file. So a path is a list of steps, for
//! which the control plane finds the line. A message keeps its quotes separate: a value from the
//! environment may be secret, and only the control plane knows which values are.

use std::borrow::Cow;
use std::fmt;

/// The most problems that are kept. A document may have more than fit into memory.
const MOST: usize = 1_000;
/// The longest text that a message quotes, in characters.
const LONGEST_QUOTE: usize = 60;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is accepted, but something in it is probably not what its writer meant.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its severity.
    pub severity: Severity,
    /// A stable word for programs, one of [`code`].
    pub code: &'static str,
    /// Its place.
    pub at: Path,
    /// The problem, and what is allowed.
    pub message: Message,
    /// How to fix it, if that can be said.
    pub help: Option<Message>,
}

/// The words by which programs know a problem. The control plane uses the same words for the same
/// things.
pub mod code {
    /// A document that is too large.
    pub const TOO_LARGE: &str = "too_large";
    /// A document with nothing in it.
    pub const EMPTY: &str = "empty";
    /// Not a document of this form.
    pub const SYNTAX: &str = "syntax";
    /// A version of the format other than 1.
    pub const UNSUPPORTED_VERSION: &str = "unsupported_version";
    /// A field that must be there.
    pub const MISSING_FIELD: &str = "missing_field";
    /// A value that its field does not allow.
    pub const INVALID_VALUE: &str = "invalid_value";
    /// A name with characters that names do not have.
    pub const INVALID_NAME: &str = "invalid_name";
    /// Not a duration.
    pub const BAD_DURATION: &str = "bad_duration";
    /// A number or duration below or above what is allowed.
    pub const OUT_OF_RANGE: &str = "out_of_range";
    /// Not a SHA-256.
    pub const BAD_DIGEST: &str = "bad_digest";
    /// No pepper of keys, or one that is too short.
    pub const BAD_PEPPER: &str = "bad_pepper";
    /// Two of one kind with one name.
    pub const DUPLICATE_NAME: &str = "duplicate_name";
    /// One thing said twice.
    pub const DUPLICATE_VALUE: &str = "duplicate_value";
    /// A plan that the document does not have.
    pub const UNKNOWN_PLAN: &str = "unknown_plan";
    /// A consumer that the document does not have.
    pub const UNKNOWN_CONSUMER: &str = "unknown_consumer";
    /// A policy that the document does not have.
    pub const UNKNOWN_POLICY: &str = "unknown_policy";
    /// Fields that exclude one another.
    pub const CONFLICT: &str = "conflict";
    /// Something by consumer where no key is asked for.
    pub const NEEDS_API_KEY: &str = "needs_api_key";
    /// Warning: a key is asked for that nobody has.
    pub const NOBODY_ADMITTED: &str = "nobody_admitted";
    /// Warning: a limit by plan, and a caller without a plan or with a plan without limits.
    pub const WITHOUT_PLAN: &str = "without_plan";
}

/// The way from the whole document to a value, written `policies[2].rate_limit[0].window`. It may
/// lead to a field that is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// A step from a value to one inside of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the value of a field.
    Field(String),
    /// To an item of a list.
    Item(usize),
    /// To the key itself, where a person chooses the keys: a name in `metadata`, a plan in
    /// `override`.
    Key(String),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Field(name) | Step::Key(name) => {
                    f.write_str(if place > 0 { "." } else { "" })?;
                    f.write_str(name)?;
                }
            }
        }
        Ok(())
    }
}

/// A sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(pub Vec<Part>);

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Words that may be shown.
    Text(Cow<'static, str>),
    /// The value at the problem's place. The code that shows the message decides whether to show
    /// the value.
    Value(String),
    /// Another place in the document.
    Place(Path),
}

impl Message {
    /// Returns the sentence. The caller chooses the form of values and places.
    pub fn render(&self, value: impl Fn(&str) -> String, place: impl Fn(&Path) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.to_string(),
            Part::Value(written) => value(written),
            Part::Place(path) => place(path),
        };
        self.0.iter().map(part).collect()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(shown, Path::to_string))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.0.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "{}", self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl<const N: usize> From<[Part; N]> for Message {
    fn from(parts: [Part; N]) -> Self {
        Self(parts.into())
    }
}

/// Words of a message.
#[cold]
#[inline(never)]
pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Part {
    Part::Text(text.into())
}

/// The quote of a message from the problem's place.
#[cold]
#[inline(never)]
pub(crate) fn value(value: impl fmt::Display) -> Part {
    Part::Value(value.to_string())
}

/// Returns a value of the document for a message. A number needs no quotes.
fn shown(value: &str) -> String {
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() { value.to_owned() } else { quoted(value) }
}

/// Returns a text of the document for a message: in backquotes, shortened, with control characters
/// escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST_QUOTE).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST_QUOTE).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A place in the document, as a chain of steps back to the whole. Only problems make a [`Path`] of
/// it: there may be hundreds of thousands of places, and most have no problem.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    /// The document.
    Whole,
    /// Returns the place of a field of this value.
    Field(&'a At<'a>, &'a str),
    /// Returns the place of an item of this value.
    Item(&'a At<'a>, usize),
    /// Returns the place of a key of this value.
    Key(&'a At<'a>, &'a str),
}

impl At<'_> {
    pub(crate) fn field<'a>(&'a self, name: &'a str) -> At<'a> {
        At::Field(self, name)
    }

    pub(crate) fn item(&self, place: usize) -> At<'_> {
        At::Item(self, place)
    }

    pub(crate) fn key<'a>(&'a self, name: &'a str) -> At<'a> {
        At::Key(self, name)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            let (before, step) = match at {
                At::Whole => break,
                At::Field(before, name) => (before, Step::Field((*name).to_owned())),
                At::Item(before, place) => (before, Step::Item(*place)),
                At::Key(before, name) => (before, Step::Key((*name).to_owned())),
            };
            steps.push(step);
            at = before;
        }
        steps.reverse();
        Path(steps)
    }

    /// Returns the place for a message about another place.
    pub(crate) fn part(&self) -> Part {
        Part::Place(self.path())
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    has_errors: bool,
}

impl Problems {
    #[cold]
    #[inline(never)]
    pub(crate) fn error(&mut self, at: &At<'_>, code: &'static str, message: impl Into<Message>) {
        self.push(Severity::Error, at, code, message.into(), None);
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn error_with_help(
        &mut self,
        at: &At<'_>,
        code: &'static str,
        message: impl Into<Message>,
        help: impl Into<Message>,
    ) {
        self.push(Severity::Error, at, code, message.into(), Some(help.into()));
    }

    pub(crate) fn warning(
        &mut self,
        at: &At<'_>,
        code: &'static str,
        message: impl Into<Message>,
        help: Option<&'static str>,
    ) {
        self.push(Severity::Warning, at, code, message.into(), help.map(Message::from));
    }

    /// Returns the value, unless there is an error.
    pub(crate) fn unless_any<T>(self, made: T) -> Result<T, Vec<Problem>> {
        if self.has_errors { Err(self.found) } else { Ok(made) }
    }

    pub(crate) fn all(self) -> Vec<Problem> {
        self.found
    }

    #[cold]
    #[inline(never)]
    fn push(&mut self, severity: Severity, at: &At<'_>, code: &'static str, message: Message, help: Option<Message>) {
        self.has_errors |= severity == Severity::Error;
        if self.found.len() < MOST {
            self.found.push(Problem { severity, code, at: at.path(), message, help });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_it_is_walked() {
        let at = At::Whole;
        let at = at.field("policies");
        let at = at.item(2);
        let at = at.field("override");
        let at = at.key("pro");
        assert_eq!(at.path().to_string(), "policies[2].override.pro");
        assert_eq!(At::Whole.path().to_string(), "");
    }

    #[test]
    fn whoever_shows_a_message_decides_how_values_and_places_look() {
        let at = At::Whole;
        let message = Message::from([text("not "), value("a\nb"), text(", see "), at.field("plans").part()]);
        assert_eq!(message.to_string(), "not `a\\nb`, see plans");
        assert_eq!(message.render(|_| "***".to_owned(), |_| "x.yaml:1:2".to_owned()), "not ***, see x.yaml:1:2");
        let long = Message::from([value("x".repeat(100))]).to_string();
        assert_eq!(long, format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn a_warning_refuses_nothing_and_problems_are_bounded() {
        let mut problems = Problems::default();
        problems.warning(&At::Whole, code::WITHOUT_PLAN, "it may be meant", None);
        assert_eq!(problems.unless_any(1), Ok(1));
        let mut problems = Problems::default();
        for _ in 0..2 * MOST {
            problems.error(&At::Whole, code::CONFLICT, "one of two");
        }
        assert_eq!(problems.unless_any(1).unwrap_err().len(), MOST);
    }
}
