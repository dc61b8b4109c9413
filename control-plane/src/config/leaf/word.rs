//! Words from a fixed list.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::{
    super::{
        code,
        describe::About,
        report::{Report, one_of},
    },
    Leaf, Written,
};

/// A type whose values are words in the file.
pub trait Words: Copy + PartialEq + 'static {
    /// What the reference calls such a word.
    const NAME: &'static str;
    /// What such a word says.
    const MEANING: &'static str;
    /// The words.
    const WORDS: &'static [OneWord<Self>];
    /// Words that the reader refuses as not supported yet.
    const PLANNED: &'static [&'static str];
}

/// A word, what it stands for, and what that means to the person who writes it.
#[derive(Debug)]
pub struct OneWord<T> {
    /// As it is written.
    pub word: &'static str,
    /// What it stands for.
    pub value: T,
    /// What it means.
    pub meaning: &'static str,
}

/// One of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<T>(pub T);

impl<T: Words> Leaf for Word<T> {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        if let Some(found) = T::WORDS.iter().find(|word| word.word == written.text) {
            return Some(Self(found.value));
        }
        let (what, shown) = (written.what, written.shown());
        if T::PLANNED.contains(&written.text) {
            return written.fault(
                code::NOT_SUPPORTED_YET,
                format!("{what} {shown} is not supported yet"),
                None,
                report,
            );
        }
        let known: Vec<&str> = T::WORDS.iter().map(|word| word.word).collect();
        let help = if written.is_shown() { report.did_you_mean(written.text, known.iter().copied()) } else { None };
        let message = format!("{what} must be {}, not {shown}", one_of(&known));
        written.fault(code::INVALID_VALUE, message, help, report)
    }

    fn about() -> About {
        // YAML reads some words as numbers, such as the versions of TLS.
        let word = |word: &OneWord<T>| {
            let number = word.word.parse::<f64>().ok().map(Json::from);
            [Some(json!(word.word)), number].into_iter().flatten()
        };
        let schema = json!({"enum": T::WORDS.iter().flat_map(word).collect::<Vec<_>>()});
        let words = T::WORDS.iter().map(|word| (word.word, word.meaning)).collect();
        let example = T::WORDS.first().map_or(Json::Null, |word| word.word.into());
        About { name: T::NAME, meaning: T::MEANING, schema, example, words }
    }

    fn text(&self) -> Cow<'_, str> {
        self.word().into()
    }
}

impl<T: Words> Word<T> {
    /// The word as it is written.
    pub fn word(&self) -> &'static str {
        T::WORDS.iter().find(|word| word.value == self.0).map_or("", |word| word.word)
    }
}

/// Declares the words of a type, each with what it means.
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        $type:ty, $name:literal { $( $(#[doc = $word_doc:literal])* $word:literal => $value:expr, )* }
        $(planned: $($planned:literal)*;)?
    ) => {
        impl $crate::config::leaf::Words for $type {
            const NAME: &'static str = $name;
            const MEANING: &'static str = concat!($($doc, "\n"),*);
            const WORDS: &'static [$crate::config::leaf::OneWord<Self>] = &[
                $( $crate::config::leaf::OneWord {
                    word: $word,
                    value: $value,
                    meaning: concat!($($word_doc, "\n"),*),
                }, )*
            ];
            const PLANNED: &'static [&'static str] = &[$($($planned),*)?];
        }
    };
}
pub(crate) use words;
