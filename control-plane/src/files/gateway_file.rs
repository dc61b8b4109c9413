//! Reads the person's file: bounded, and with one clear error when it can't be read.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use crate::{
    config::{MAX_BYTES, Source},
    diagnostic::{Diagnostic, Severity},
    origin::Origin,
};

/// Reads a file. Of a file that is too large it reads only as much as it takes to know that.
///
/// # Errors
/// A diagnostic with code `unreadable` at the file's first character, when there is no such file,
/// it is a directory, or the system refuses.
pub fn read(path: &Path) -> Result<Source, Box<Diagnostic>> {
    let file: Arc<str> = path.display().to_string().into();
    match read_bounded(path) {
        Ok(bytes) => Ok(Source { file, bytes }),
        Err(error) => Err(Box::new(Diagnostic {
            severity: Severity::Error,
            code: "unreadable",
            message: format!("cannot read the file: {}", reason(&error)),
            at: Origin { file, line: 1, column: 1 },
            width: 1,
            help: help(&error),
        })),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // Checks this before opening: opening a pipe that nobody writes to would wait for ever.
    let kind = path.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    // One byte more than allowed is enough for the parser to see that the file is too large.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn help(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::IsADirectory => Some("name one YAML file; reading a directory is not supported yet".to_owned()),
        _ => None,
    }
}
