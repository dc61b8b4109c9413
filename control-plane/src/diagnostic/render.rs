//! Shows diagnostics on a terminal, with the lines that they are about, and to programs.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use super::{Diagnostic, Severity, Source, code};

/// How many characters of a line are shown. It is enough to see the place; lines can be megabytes
/// long.
const LONGEST_LINE: usize = 400;
/// So many hexadecimal digits in a row may be a digest. Only a few of them are shown.
const LONGEST_HEX: usize = 32;
const SHOWN_HEX: usize = 6;

/// All diagnostics for people: place, code, message, the line and how to mend it. What may be
/// secret is masked.
pub fn render(diagnostics: &[Diagnostic], source: &Source) -> String {
    render_with(&Renderer::plain(), diagnostics, source)
}

/// As [`render`], with the escape sequences that terminals turn into colours.
pub fn render_in_colours(diagnostics: &[Diagnostic], source: &Source) -> String {
    render_with(&Renderer::styled(), diagnostics, source)
}

fn render_with(renderer: &Renderer, diagnostics: &[Diagnostic], source: &Source) -> String {
    let text = String::from_utf8_lossy(source.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&source.bytes));
    let lines: Vec<&str> = text.lines().collect();
    let mut rendered = String::new();
    for diagnostic in diagnostics {
        let index = usize::try_from(diagnostic.at.line).unwrap_or(usize::MAX).saturating_sub(1);
        rendered.push_str(&one(diagnostic, lines.get(index).copied().unwrap_or_default(), renderer));
        rendered.push_str("\n\n");
    }
    rendered
}

fn one(diagnostic: &Diagnostic, line: &str, renderer: &Renderer) -> String {
    let shown = ShownLine::new(diagnostic, line);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let snippet = Snippet::source(&shown.text)
        .path(&*diagnostic.at.file)
        .line_start(usize::try_from(diagnostic.at.line).unwrap_or(usize::MAX))
        .fold(false)
        .annotation(AnnotationKind::Primary.span(shown.start..shown.end));
    let group = level.primary_title(&diagnostic.message).id(diagnostic.code).element(snippet);
    let group = match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    };
    renderer.render(&[group])
}

/// The line of a diagnostic, shortened where it is long, and without what may be secret.
struct ShownLine {
    text: String,
    /// In bytes of `text`.
    start: usize,
    end: usize,
}

impl ShownLine {
    fn new(diagnostic: &Diagnostic, line: &str) -> Self {
        let clamp = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let column = clamp(diagnostic.at.column).saturating_sub(1);
        let width = clamp(diagnostic.width).max(1);
        let characters: Vec<char> = line.chars().take(column.saturating_add(LONGEST_LINE)).collect();
        let mut characters = mask(characters);
        if diagnostic.code == code::BAD_DIGEST {
            characters.iter_mut().skip(column).take(width).for_each(|c| *c = '*');
        }
        // The column stays the same. An ellipsis instead of the beginning would move it.
        let text: String = characters.iter().collect();
        let byte = |index: usize| characters.iter().take(index).map(|c| c.len_utf8()).sum::<usize>();
        let start = byte(column);
        let end = byte(column.saturating_add(width)).max(start);
        Self { text, start, end }
    }
}

/// Leaves a few digits of what may be a digest. The length stays, since columns are counted in it.
fn mask(mut characters: Vec<char>) -> Vec<char> {
    for run in characters.chunk_by_mut(|a, b| a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
        if run.len() >= LONGEST_HEX {
            run.iter_mut().skip(SHOWN_HEX).for_each(|c| *c = '*');
        }
    }
    characters
}

/// A diagnostic for programs, in `validate -o json`.
#[derive(Clone, Debug, Serialize)]
pub struct Entry<'a> {
    /// The place as `file:line:column`.
    pub at: String,
    /// The file's path as the person gave it.
    pub file: &'a str,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The severity.
    pub severity: Severity,
    /// A stable word.
    pub code: &'a str,
    /// The problem, and what is allowed.
    pub message: &'a str,
    /// How to fix it. Null if that cannot be said.
    pub help: Option<&'a str>,
}

impl<'a> From<&'a Diagnostic> for Entry<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        Self {
            at: diagnostic.at.to_string(),
            file: &diagnostic.at.file,
            line: diagnostic.at.line,
            column: diagnostic.at.column,
            severity: diagnostic.severity,
            code: diagnostic.code,
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
        }
    }
}
