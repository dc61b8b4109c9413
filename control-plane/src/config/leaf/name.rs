//! Names: what they may be, that each is given once, and what one stands for.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use serde_json::{Value as Json, json};

use super::{
    super::{
        code,
        decode::{Field, Said},
        describe::About,
        places::Places,
        report::Report,
    },
    Leaf, Written,
};

/// The longest name. Names become parts of Envoy's statistics and log lines.
const LONGEST: usize = 128;

/// What a name is for, which decides what it may be.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What messages call it.
    pub noun: &'static str,
    /// The code for a name of this kind that the file does not have.
    pub unknown: &'static str,
    /// Whether any visible ASCII is allowed, such as an e-mail address.
    any_visible: bool,
    reserved: &'static [&'static str],
    /// Whether the filter has the rules for them. This room does not check them then.
    of_filter: bool,
}

impl Kind {
    /// Names of letters, digits, `.`, `_`, `-` and `/`.
    pub const fn plain(noun: &'static str, unknown: &'static str) -> Self {
        Self { noun, unknown, any_visible: false, reserved: &[], of_filter: false }
    }

    /// The same kind, where the filter has the rules.
    pub const fn of_filter(self) -> Self {
        Self { of_filter: true, ..self }
    }

    /// The same kind with names of any visible ASCII.
    pub const fn visible(self) -> Self {
        Self { any_visible: true, ..self }
    }

    /// The same kind without these names, which the gateway has itself.
    pub const fn without(self, reserved: &'static [&'static str]) -> Self {
        Self { reserved, ..self }
    }

    /// Whether the gateway has one of that name itself.
    pub fn is_reserved(&self, name: &str) -> bool {
        self.reserved.contains(&name)
    }

    fn schema(&self) -> Json {
        let pattern = if self.any_visible { "^[!-~]{1,128}$" } else { "^[A-Za-z0-9._/-]{1,128}$" };
        super::text::like(pattern)
    }

    fn meaning(&self) -> &'static str {
        if self.any_visible {
            "1 to 128 visible ASCII characters."
        } else {
            "1 to 128 letters, digits, `.`, `_`, `-` and `/`."
        }
    }
}

/// A mapping of the file that has a name.
pub trait Named: Sized + 'static {
    /// What its names are.
    const KIND: Kind;

    /// Its name.
    fn name(&self) -> &Field<Name<Self>>;
}

/// The name that a `T` is given.
pub struct Name<T> {
    /// The name.
    pub text: String,
    of: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Name<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<T> Clone for Name<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), of: PhantomData }
    }
}

impl<T: Named> Leaf for Name<T> {
    /// A name that is not allowed is reported and kept all the same, so that whatever refers to
    /// it finds it.
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let (kind, noun) = (T::KIND, T::KIND.noun);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if kind.of_filter {
            // Its compiler says what is wrong.
        } else if !(1..=LONGEST).contains(&written.text.len()) || !written.text.chars().all(allowed) {
            let message = format!(
                "{} is no name for a {noun}: 1 to {LONGEST} letters, digits, `.`, `_`, `-` and `/`",
                written.shown()
            );
            written.fault::<()>(code::INVALID_NAME, message, None, report);
        } else if kind.is_reserved(written.text) {
            let message = format!("a {noun} cannot be called {}: the gateway has one of its own", written.shown());
            written.fault::<()>(code::INVALID_NAME, message, None, report);
        }
        Some(Self { text: written.text.to_owned(), of: PhantomData })
    }

    fn about() -> About {
        let name = if T::KIND.any_visible { "free name" } else { "name" };
        About {
            name,
            meaning: T::KIND.meaning(),
            schema: T::KIND.schema(),
            example: json!(example(T::KIND)),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.text.as_str().into()
    }
}

/// The name of a `T` that the file has elsewhere.
pub struct Ref<T> {
    /// The name.
    pub text: String,
    to: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), to: PhantomData }
    }
}

impl<T: Named> Leaf for Ref<T> {
    fn read(written: &Written<'_>, _: &mut Report) -> Option<Self> {
        Some(Self { text: written.text.to_owned(), to: PhantomData })
    }

    fn about() -> About {
        let name = match T::KIND.noun {
            "cluster" => "name of a cluster",
            "consumer" => "name of a consumer",
            "plan" => "name of a plan",
            "listener" => "name of a listener",
            _ => "name of something else",
        };
        let meaning = "The name of something that stands elsewhere in the file.";
        About { name, meaning, schema: super::text::any(), example: json!(example(T::KIND)), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.text.as_str().into()
    }
}

fn example(kind: Kind) -> &'static str {
    match kind.noun {
        "listener" => "http",
        "route" => "api",
        "cluster" => "svc",
        "consumer" => "alice",
        "plan" => "pro",
        "key" => "laptop",
        _ => "per-minute",
    }
}

/// The things of one kind by their names.
#[derive(Debug)]
pub struct Names<'a, T> {
    by_name: BTreeMap<&'a str, &'a Said<T>>,
}

impl<'a, T: Named> Names<'a, T> {
    /// Takes up `things`. The first of a name keeps it, and further ones are reported.
    pub fn new(things: impl Iterator<Item = &'a Said<T>>, report: &mut Report) -> Self {
        let mut places = Places::default();
        let mut by_name = BTreeMap::new();
        for thing in things {
            let Some(name) = thing.name().get() else { continue };
            if let Some(first) = places.earlier(name.text.as_str(), name.span) {
                let first = report.origin(first);
                let message = format!("there is already a {} {} at {first}", T::KIND.noun, name.shown());
                report.mark_wrong(name.span);
                report.error(code::DUPLICATE_NAME, name.span, message);
                continue;
            }
            by_name.insert(name.value.text.as_str(), thing);
        }
        Self { by_name }
    }

    /// What the name stands for, if anything.
    pub fn get(&self, name: &str) -> Option<&'a Said<T>> {
        self.by_name.get(name).copied()
    }

    /// What the name stands for. `None`, which is reported, where the file has no such name.
    pub fn find(&self, name: &Said<Ref<T>>, report: &mut Report) -> Option<&'a Said<T>> {
        let found = self.get(&name.text);
        if found.is_none() {
            let help = help_with_name(T::KIND.noun, &name.text, self.by_name.keys().copied(), report);
            let message = format!("there is no {} {}", T::KIND.noun, name.shown());
            report.error_with_help(T::KIND.unknown, name.span, message, help);
        }
        found
    }
}

/// What to say of a name that the file does not have: the most similar one, or that there is none
/// at all.
pub fn help_with_name<'a>(
    noun: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    report: &mut Report,
) -> Option<String> {
    let mut known = known.peekable();
    if known.peek().is_none() {
        return Some(format!("the file has no {noun}s"));
    }
    report.did_you_mean(name, known)
}

/// The name as it goes into the model. One that is not written was reported.
pub fn of<T>(field: &Field<Name<T>>) -> Option<String> {
    field.get().map(|name| name.value.text.clone())
}
