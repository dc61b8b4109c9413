//! Checks, purely, what the file that `key_pepper_file` names holds, before it is served. No
//! message shows it.

use legation_filter::consumer::pepper::Pepper;

use super::certificates::Contents;
use crate::{
    config::code,
    diagnostic::{Diagnostic, Severity},
    model::{Hidden, Model, NamedFile, Secret, SecretContent},
};

/// The path of the file, if one is named.
pub fn path(model: &Model) -> Option<String> {
    model.key_pepper.as_ref().map(|file| file.path.clone())
}

/// The pepper, if a file is named, or what is wrong with it.
pub fn check(model: &Model, contents: &Contents) -> Result<Option<Secret>, Box<Diagnostic>> {
    let Some(file) = &model.key_pepper else { return Ok(None) };
    let content = SecretContent::KeyPepper(Hidden(read(file, contents).map_err(|(code, message)| {
        let (at, width) = (file.origin.clone(), file.width);
        Box::new(Diagnostic { severity: Severity::Error, code, message, at, width, help: None })
    })?));
    Ok(Some(Secret { name: file.field().to_owned(), content, origin: file.origin.clone() }))
}

/// The text without the newlines at its end, which editors and shells add.
fn read(file: &NamedFile, contents: &Contents) -> Result<String, (&'static str, String)> {
    let field = file.field();
    let bytes = match contents.get(&file.path) {
        Some(Ok(bytes)) => bytes,
        Some(Err(reason)) => return Err((code::UNREADABLE, format!("cannot read `{field}`: {reason}"))),
        None => return Err((code::UNREADABLE, format!("`{field}` was not read"))),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| (code::BAD_PEPPER, format!("`{field}` holds no text")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    Pepper::new(text.as_bytes()).map_err(|problem| (code::BAD_PEPPER, format!("`{field}`: {problem}")))?;
    Ok(text.to_owned())
}
