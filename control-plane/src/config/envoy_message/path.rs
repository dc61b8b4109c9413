//! Where in a message a value stands.

use std::fmt;

/// A path such as `load_assignment.endpoints[0].priority`. It borrows its steps and becomes a text
/// only in a diagnostic.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    /// The message itself.
    Root,
    Field(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    /// The message itself.
    pub const ROOT: Self = Self { parent: None, step: Step::Root };

    /// A field of what is here.
    pub fn field<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// An item of the list that is here.
    pub fn item<'b>(&'b self, index: usize) -> Path<'b> {
        Path { parent: Some(self), step: Step::Item(index) }
    }

    /// `, at path`; nothing for the message itself.
    pub fn location(&self) -> String {
        match self.step {
            Step::Root => String::new(),
            _ => format!(", at `{self}`"),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) => {
                let is_first = self.parent.is_none_or(|parent| matches!(parent.step, Step::Root));
                let separator = if is_first { "" } else { "." };
                write!(f, "{separator}{}", name.chars().take(60).flat_map(char::escape_debug).collect::<String>())
            }
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}
