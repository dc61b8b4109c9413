//! Names: what they may be, that each is given once, and finding what one stands for.

use std::collections::BTreeMap;

use super::{
    code,
    decode::{Field, Text},
    places::Places,
    report::Report,
};

/// The longest name. Names become parts of Envoy's statistics and log lines.
const LONGEST: usize = 128;

/// What a name is for, which decides what it may be.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What to call it in a sentence.
    pub noun: &'static str,
    /// The code for a name of this kind that the file does not have.
    pub unknown: &'static str,
    /// Whether any visible ASCII is allowed, such as an e-mail address.
    any_visible: bool,
    reserved: &'static [&'static str],
}

/// Listeners. Nothing in the file refers to one yet. Envoy's statistics of its own admin interface have the name of one.
pub const LISTENER: Kind =
    Kind { noun: "listener", unknown: code::INVALID_VALUE, any_visible: false, reserved: &["admin"] };
/// Routes. Nothing in the file refers to one.
pub const ROUTE: Kind = Kind { noun: "route", unknown: code::INVALID_VALUE, any_visible: false, reserved: &[] };
/// Clusters. The bootstrap's own, which leads to the control plane, is not theirs to take.
pub const CLUSTER: Kind =
    Kind { noun: "cluster", unknown: code::UNKNOWN_CLUSTER, any_visible: false, reserved: &["legation-xds"] };
/// Consumers, whose names become header values.
pub const CONSUMER: Kind = Kind { noun: "consumer", unknown: code::UNKNOWN_CONSUMER, any_visible: true, reserved: &[] };
/// Plans, whose names become header values and structured-field strings.
pub const PLAN: Kind = Kind { noun: "plan", unknown: code::UNKNOWN_PLAN, any_visible: false, reserved: &[] };
/// The names that clients read of a limit: structured-field strings.
pub const LIMIT: Kind = Kind { noun: "limit", unknown: code::INVALID_VALUE, any_visible: false, reserved: &[] };
/// The names of a consumer's keys.
pub const KEY: Kind = Kind { noun: "key", unknown: code::INVALID_VALUE, any_visible: true, reserved: &[] };

/// The things of one kind by their names.
#[derive(Debug)]
pub struct Names<'a, T> {
    kind: Kind,
    by_name: BTreeMap<&'a str, &'a T>,
}

impl Kind {
    /// Whether the gateway has one of that name itself.
    pub fn is_reserved(&self, name: &str) -> bool {
        self.reserved.contains(&name)
    }
}

impl<'a, T> Names<'a, T> {
    /// Takes up `things`, and reports names that are not allowed or are given twice. The first of a name keeps it.
    pub fn new(kind: Kind, things: &'a [T], name: fn(&T) -> &Field<Text>, report: &mut Report) -> Self {
        let mut places = Places::default();
        let mut by_name = BTreeMap::new();
        for thing in things {
            let Some(name) = name(thing).get() else { continue };
            check(kind, name, report);
            if let Some(first) = places.earlier(name.value.as_str(), name.span) {
                let first = report.origin(first);
                let message = format!("there is already a {} {} at {first}", kind.noun, name.shown());
                report.error(code::DUPLICATE_NAME, name.span, message);
                continue;
            }
            by_name.insert(name.value.as_str(), thing);
        }
        Self { kind, by_name }
    }

    /// What the name stands for, if anything.
    pub fn get(&self, name: &str) -> Option<&'a T> {
        self.by_name.get(name).copied()
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a T)> {
        self.by_name.iter().map(|(name, value)| (*name, *value))
    }

    /// What the name stands for; none, which is reported, where the file has no such name.
    pub fn find(&self, name: &Text, report: &mut Report) -> Option<&'a T> {
        let found = self.get(&name.value);
        if found.is_none() {
            let help = report.did_you_mean(&name.value, self.by_name.keys().copied());
            let help = help.or_else(|| self.by_name.is_empty().then(|| format!("the file has no {}s", self.kind.noun)));
            let message = format!("there is no {} {}", self.kind.noun, name.shown());
            report.error_with_help(self.kind.unknown, name.span, message, help);
        }
        found
    }
}

/// Reports a name that is not allowed.
pub fn check(kind: Kind, name: &Text, report: &mut Report) {
    let noun = kind.noun;
    let allowed = |c: char| {
        if kind.any_visible { c.is_ascii_graphic() } else { c.is_ascii_alphanumeric() || "._-/".contains(c) }
    };
    if !(1..=LONGEST).contains(&name.value.len()) || !name.value.chars().all(allowed) {
        let characters =
            if kind.any_visible { "visible ASCII characters" } else { "letters, digits, `.`, `_`, `-` and `/`" };
        let message = format!("{} is no name for a {noun}: 1 to {LONGEST} {characters}", name.shown());
        report.error(code::INVALID_NAME, name.span, message);
    } else if kind.is_reserved(&name.value) {
        let message = format!("a {noun} cannot be called {}: the gateway has one of its own", name.shown());
        report.error(code::INVALID_NAME, name.span, message);
    }
}

/// The name as it goes into the model. One that is not written was reported.
pub fn of(field: &Field<Text>) -> Option<String> {
    field.get().map(|name| name.value.clone())
}
