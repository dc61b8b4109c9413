//! The rules for names of a document, and their uniqueness.

use crate::problem::{At, Problems, code, text, value};

/// The longest name, in bytes. Names become header values, and parts of Envoy's statistics and log
/// lines.
pub(crate) const LONGEST: usize = 128;

/// The kind of a name, which decides which names are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Its word in a sentence.
    noun: &'static str,
    /// Whether any visible ASCII is allowed, such as an e-mail address.
    any_visible: bool,
}

pub(crate) const CONSUMER: Kind = Kind { noun: "consumer", any_visible: true };
pub(crate) const KEY: Kind = Kind { noun: "key", any_visible: true };
pub(crate) const LIMIT: Kind = Kind { noun: "limit", any_visible: false };
pub(crate) const PLAN: Kind = Kind { noun: "plan", any_visible: false };
pub(crate) const POLICY: Kind = Kind { noun: "policy", any_visible: false };

/// Reports a name that is not allowed.
pub(crate) fn check(kind: Kind, at: &At<'_>, name: &str, problems: &mut Problems) {
    let allowed = |byte: u8| {
        if kind.any_visible { byte.is_ascii_graphic() } else { byte.is_ascii_alphanumeric() || b"._-/".contains(&byte) }
    };
    if (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed) {
        return;
    }
    let characters =
        if kind.any_visible { "visible ASCII characters" } else { "letters, digits, `.`, `_`, `-` and `/`" };
    let rule = format!(" is no name for a {}: 1 to {LONGEST} {characters}", kind.noun);
    problems.error(at, code::INVALID_NAME, [value(name), text(rule)]);
}

/// The names in a list of the document, for look-ups.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    /// Each with its place in the list, in alphabetical order.
    sorted: Vec<(&'a str, usize)>,
}

impl<'a> Names<'a> {
    /// Collects the names. `list` is the place of the list. Reports names that are not allowed and
    /// names that appear twice.
    pub(crate) fn new(
        kind: Kind,
        list: &At<'_>,
        names: impl Iterator<Item = &'a str> + Clone,
        problems: &mut Problems,
    ) -> Self {
        for (place, name) in names.clone().enumerate() {
            check(kind, &list.item(place).field("name"), name, problems);
        }
        let mut sorted: Vec<(&str, usize)> = names.zip(0..).collect();
        sorted.sort_unstable();
        // Items with the same name are neighbours, in the order of the document.
        let mut twice = Vec::new();
        for alike in sorted.chunk_by(|(one, _), (other, _)| one == other) {
            if let Some(((name, first), others)) = alike.split_first() {
                twice.extend(others.iter().map(|(_, place)| (*place, *name, *first)));
            }
        }
        twice.sort_unstable();
        for (place, name, first) in twice {
            let already = text(format!("there is already a {} ", kind.noun));
            let message = [already, value(name), text(" at "), list.item(first).field("name").part()];
            problems.error(&list.item(place).field("name"), code::DUPLICATE_NAME, message);
        }
        Self { sorted }
    }

    /// Returns the place in the list of the first item with this name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        let at = self.sorted.partition_point(|(other, _)| *other < name);
        self.sorted.get(at).filter(|(other, _)| *other == name).map(|(_, place)| *place)
    }
}
