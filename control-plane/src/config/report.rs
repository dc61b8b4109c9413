//! Where diagnostics are gathered while a file is read.

use std::{collections::BTreeSet, fmt::Display, sync::Arc};

use super::{code, node::Span};
use crate::{
    diagnostic::{Diagnostic, Severity},
    origin::Origin,
};

/// The most diagnostics that are listed. A file with more is broken in one way many times, and
/// neither memory nor a status page should grow with it.
const MAX_LISTED: usize = 1_000;
/// The most comparisons of names for "did you mean" in one file. Thousands of unknown names against
/// thousands of known ones would take minutes.
const MAX_COMPARISONS: usize = 200_000;

/// What was found so far.
#[derive(Debug)]
pub struct Report {
    file: Arc<str>,
    found: Vec<Diagnostic>,
    errors: usize,
    unlisted_errors: usize,
    unlisted_warnings: usize,
    comparisons_left: usize,
    wrong: BTreeSet<Span>,
    lacking: BTreeSet<Span>,
}

impl Report {
    /// Nothing found yet in `file`, the path as the person gave it.
    pub fn new(file: Arc<str>) -> Self {
        Self {
            file,
            found: Vec::new(),
            errors: 0,
            unlisted_errors: 0,
            unlisted_warnings: 0,
            comparisons_left: MAX_COMPARISONS,
            wrong: BTreeSet::new(),
            lacking: BTreeSet::new(),
        }
    }

    /// Reports an error: the file cannot be used.
    pub fn error(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.push(Severity::Error, code, at, message.into(), None);
    }

    /// Reports an error and, if known, how to mend it.
    pub fn error_with_help(&mut self, code: &'static str, at: Span, message: impl Into<String>, help: Option<String>) {
        self.push(Severity::Error, code, at, message.into(), help);
    }

    /// Reports a warning: the person probably meant something else.
    pub fn warning(&mut self, code: &'static str, at: Span, message: impl Into<String>, help: Option<String>) {
        self.push(Severity::Warning, code, at, message.into(), help);
    }

    /// Reports a field that must be in the mapping at `at` and is not.
    pub fn missing(&mut self, at: Span, message: String, help: Option<String>) {
        self.mark_lacking(at);
        self.push(Severity::Error, code::MISSING_FIELD, at, message, help);
    }

    /// Notes that the mapping at `at` lacks what was reported, or what a planned field may say.
    pub fn mark_lacking(&mut self, at: Span) {
        self.lacking.insert(at);
    }

    /// Notes that the value at `at` was reported as a whole.
    pub fn mark_wrong(&mut self, at: Span) {
        self.wrong.insert(at);
    }

    /// Whether the value at `at` was reported as a whole. Nothing more is said of it then.
    pub fn is_wrong(&self, at: Span) -> bool {
        self.wrong.contains(&at)
    }

    /// Whether the mapping at `at` was reported to lack a field.
    pub fn is_lacking(&self, at: Span) -> bool {
        self.lacking.contains(&at)
    }

    /// Whether an error was reported.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The place as it goes into the model.
    pub fn origin(&self, at: Span) -> Origin {
        Origin { file: Arc::clone(&self.file), line: at.line, column: at.column }
    }

    /// A sentence with the known name that is most like `wrong`, if one is.
    pub fn did_you_mean<'a>(&mut self, wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
        let mut best: Option<(f64, &str)> = None;
        for name in known {
            self.comparisons_left = self.comparisons_left.checked_sub(1)?;
            let likeness = strsim::jaro_winkler(wrong, name);
            if likeness > best.map_or(0.8, |(likeness, _)| likeness) {
                best = Some((likeness, name));
            }
        }
        best.map(|(_, name)| format!("did you mean `{name}`?"))
    }

    /// All that was found, in the file's order.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| (&a.at, a.severity).cmp(&(&b.at, b.severity)));
        let unlisted = self.unlisted_errors + self.unlisted_warnings;
        if let (1.., Some(last)) = (unlisted, self.found.last()) {
            let severity = if self.unlisted_errors > 0 { Severity::Error } else { Severity::Warning };
            let message = format!("and {} more of them that are not listed", unlisted);
            let at = last.at.clone();
            self.found.push(Diagnostic { severity, code: code::TOO_MANY, message, at, width: 1, help: None });
        }
        self.found
    }

    fn push(&mut self, severity: Severity, code: &'static str, at: Span, message: String, help: Option<String>) {
        let is_error = severity == Severity::Error;
        self.errors += usize::from(is_error);
        if self.found.len() < MAX_LISTED {
            let origin = self.origin(at);
            self.found.push(Diagnostic { severity, code, message, at: origin, width: at.width, help });
        } else if is_error {
            self.unlisted_errors += 1;
        } else {
            self.unlisted_warnings += 1;
        }
    }
}

/// `a`, `b` and `c`, each in backquotes.
pub fn listed(words: &[&str]) -> String {
    enumerate(words, "and")
}

/// `a`, `b` or `c`, each in backquotes.
pub fn one_of(words: &[&str]) -> String {
    enumerate(words, "or")
}

fn enumerate(words: &[&str], last: impl Display) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let separator = match index {
            0 => String::new(),
            _ if index + 1 == words.len() => format!(" {last} "),
            _ => ", ".to_owned(),
        };
        text.push_str(&format!("{separator}`{word}`"));
    }
    text
}

/// A person's text for a message: in backquotes, shortened, with control characters escaped.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    format!("`{shown}`")
}
