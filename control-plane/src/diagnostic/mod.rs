//! The problems of a file, worded so that a person can fix them.
//!
//! A diagnostic never quotes a secret: digests and keys stay out of messages.

pub mod code;
mod render;

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::origin::Origin;

pub use render::{Entry, render, render_in_colours};

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as the person gave it; only shown, never opened.
    pub file: Arc<str>,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but something in it is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its severity.
    pub severity: Severity,
    /// A stable word for programs, such as `unknown_cluster`.
    pub code: &'static str,
    /// One sentence for people: what is wrong and what is allowed.
    pub message: String,
    /// Its place.
    pub at: Origin,
    /// The number of characters that it spans, at least 1.
    pub width: u32,
    /// How to fix it, if that can be said.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}]: {}", self.at, self.severity, self.code, self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}
