//! The sources that shape resources.
//!
//! Their code is a part of every resource's version. So if a new build writes a resource
//! differently, the resource gets another version. Comments, formatting and tests change no
//! resource, so they do not count.
//!
//! The build script and a test share this module.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, LexError, TokenStream, TokenTree};

/// Files and folders, relative to the package. A folder stands for everything below it.
pub const ROOTS: &[&str] = &[
    "src/translate",
    "src/model",
    "src/route_features.rs",
    "../protos/src",
    // Policies, and the headers that say who calls.
    "../filters/gateway/src/config",
    "../filters/gateway/src/identity.rs",
];

/// Returns every source below the roots of the package at `here`, in the same order on every
/// machine.
///
/// # Errors
/// A source cannot be read.
pub fn all(here: &Path) -> io::Result<Vec<PathBuf>> {
    let mut open: Vec<PathBuf> = ROOTS.iter().map(|root| here.join(root)).collect();
    let mut sources = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                open.push(entry?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}

/// Returns whether a source holds only tests.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
}

/// Returns the code of a source without comments and tests.
///
/// # Errors
/// The source is not Rust.
pub fn code(source: &str) -> Result<String, LexError> {
    Ok(without_noise(source.parse()?).to_string())
}

fn without_noise(tokens: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    let mut kept = Vec::new();
    while let Some((token, after)) = rest.split_first() {
        rest = match attribute(rest) {
            Some((attribute, after)) if attribute.starts_with("doc") => after,
            Some((attribute, after)) if attribute == "cfg (test)" => after_item(after),
            _ => {
                kept.push(inside(token));
                after
            }
        };
    }
    kept.into_iter().collect()
}

/// Returns the attribute at the beginning of the tokens, `#[…]` or `#![…]`, and the rest.
fn attribute(tokens: &[TokenTree]) -> Option<(String, &[TokenTree])> {
    let is = |token: &TokenTree, punctuation| matches!(token, TokenTree::Punct(it) if it.as_char() == punctuation);
    let (_, after) = tokens.split_first().filter(|(first, _)| is(first, '#'))?;
    let after = after.split_first().filter(|(second, _)| is(second, '!')).map_or(after, |(_, after)| after);
    match after.split_first()? {
        (TokenTree::Group(group), after) if group.delimiter() == Delimiter::Bracket => {
            Some((group.stream().to_string(), after))
        }
        _ => None,
    }
}

/// Returns the tokens after an item. An item ends with a semicolon or a block.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Punct(punctuation) => punctuation.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let end = tokens.iter().position(is_end).unwrap_or(tokens.len());
    tokens.get(end.saturating_add(1)..).unwrap_or_default()
}

fn inside(token: &TokenTree) -> TokenTree {
    match token {
        TokenTree::Group(group) => Group::new(group.delimiter(), without_noise(group.stream())).into(),
        other => other.clone(),
    }
}
