//! Text → [`Node`]s: the YAML and nothing else.
//!
//! `serde-saphyr` reads it, under a budget that is generous to honest files and small against
//! hostile ones. Every scalar is read as text. So it never matters which type YAML would guess for
//! an unquoted word: a name `no`, a version `1.10` and a digest of digits all stay what they are.

mod raw;

use std::ops::Range;

use serde_saphyr::{
    Error, Location, MessageFormatter, Options, UserMessageFormatter,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use self::raw::{Place, Placed, Raw};
use super::{
    code,
    node::{Entry, Node, Scalar, Span, Value},
    places::Places,
    report::{Report, quoted},
};

/// The most nodes in a file. 10,000 routes with everything on them take about 300,000. 100,000
/// consumers take 1,800,000 if each has a plan, metadata and a key with an id and an expiry.
const MAX_NODES: usize = 2_500_000;
/// The most levels of nesting. Our fields end at level six. Envoy's resources reach some forty.
/// A level takes up to 40 KiB of stack in an unoptimised build, so the stack grows where it must.
const MAX_DEPTH: usize = 64;
/// Anchors, and uses of them.
const MAX_ALIASES: usize = 50_000;
/// The most YAML events that all aliases together may expand to. This bounds the memory that an
/// alias bomb can take.
const MAX_ALIAS_EVENTS: usize = 500_000;

/// Reads one YAML document. Reports duplicate keys and keeps the first, so that the rest is still
/// checked. Any other fault in the YAML is reported once and ends the reading.
pub fn parse(text: &str, report: &mut Report) -> Option<Node> {
    match serde_saphyr::from_str_with_options::<Option<Placed>>(text, options()) {
        Ok(Some(placed)) => Some(Builder { text, report }.node(placed)),
        Ok(None) => {
            report.error(code::EMPTY, Span::START, "there is nothing in the file; it must begin with `version: 1`");
            None
        }
        Err(error) => {
            report_error(&error, text, report);
            None
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 * MAX_NODES,
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_merge_keys: MAX_ALIASES,
            // One anchor that a thousand routes use is no bomb; what aliases expand to is bounded
            // below.
            enforce_alias_anchor_ratio: false,
            max_recorded_anchor_events: MAX_ALIAS_EVENTS,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_EVENTS, },
        // Passed through to `Builder`, which can name both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

struct Builder<'a> {
    text: &'a str,
    report: &'a mut Report,
}

impl Builder<'_> {
    fn node(&mut self, Placed { raw, place }: Placed) -> Node {
        let value = match raw {
            Raw::Null => Value::Null,
            Raw::Plain(bytes) => Value::Scalar(scalar(slice(self.text, bytes).to_owned(), true)),
            Raw::Text(text) => Value::Scalar(scalar(text, false)),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Mapping(entries) => Value::Mapping(self.mapping(entries)),
        };
        Node { span: span(self.text, place), value }
    }

    fn mapping(&mut self, raw: Vec<(Placed, Placed)>) -> Vec<Entry> {
        let mut places = Places::default();
        let mut entries = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let key = self.node(key);
            let Value::Scalar(Scalar { text: name, .. }) = key.value else {
                let message = format!("a key must be a text, not {}", key.value.noun());
                let help = "text that begins with `{` or `[` needs quotes".to_owned();
                self.report.error_with_help(code::WRONG_TYPE, key.span, message, Some(help));
                continue;
            };
            if let Some(first) = places.earlier(name.clone(), key.span) {
                let message = format!("{} is already given at {}", quoted(&name), self.report.origin(first));
                self.report.error(code::DUPLICATE_KEY, key.span, message);
                continue;
            }
            entries.push(Entry { key: name, key_span: key.span, node: self.node(value) });
        }
        entries
    }
}

fn scalar(text: String, plain: bool) -> Scalar {
    Scalar { text, plain, from_environment: false }
}

fn slice(text: &str, bytes: Range<u32>) -> &str {
    let start = usize::try_from(bytes.start).unwrap_or(usize::MAX);
    let end = usize::try_from(bytes.end).unwrap_or(usize::MAX);
    text.get(start..end).unwrap_or_default()
}

/// The part of the place that is on its first line.
fn span(text: &str, place: Place) -> Span {
    let first_line = slice(text, place.bytes).lines().next().unwrap_or_default();
    let width = u32::try_from(first_line.chars().count()).unwrap_or(u32::MAX);
    Span { line: place.line, column: place.column, width: width.max(1) }
}

fn report_error(error: &Error, text: &str, report: &mut Report) {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let at = span(text, Place::from(&location));
    match innermost(error) {
        Error::MultipleDocuments { .. } => {
            let message = "a second YAML document begins here; the file must be one document";
            report.error(code::SYNTAX, at, message);
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            report.error(code::SYNTAX, at, "this alias is inside of what it stands for");
        }
        error if is_too_complex(error) => {
            let message = format!(
                "the file is nested too deep or says too much: at most {MAX_DEPTH} levels, {MAX_NODES} values, \
                 {MAX_ALIASES} aliases and {MAX_ALIAS_EVENTS} values behind them are read"
            );
            report.error(code::TOO_COMPLEX, at, message);
        }
        error => {
            let message = format!("not YAML: {}", UserMessageFormatter.format_message(error));
            report.error_with_help(code::SYNTAX, at, message, help(text, at));
        }
    }
}

fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}

fn is_too_complex(error: &Error) -> bool {
    match error {
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => true,
        // The parser's own bound on nesting in flow style has no variant; a test would notice
        // another wording.
        other => UserMessageFormatter.format_message(other).contains("recursion limit"),
    }
}

/// Hints for the commonest accidents, from the line that the error is on.
fn help(text: &str, at: Span) -> Option<String> {
    let line = text.lines().nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    let indentation: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    if indentation.contains('\t') {
        Some("indent with spaces; YAML allows no tabs there".to_owned())
    } else if line.contains("${env:") {
        Some("inside `{…}` and `[…]` a value with `${env:…}` needs quotes: \"${env:NAME}\"".to_owned())
    } else {
        None
    }
}
