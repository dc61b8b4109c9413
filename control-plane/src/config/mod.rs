//! The person's file → [`Model`], or everything that is wrong with it.
//!
//! ```text
//! bytes ─source─> text ─parse─> Node ─interpolate─> Node ─decode─> schema::File ─resolve─> Model
//!                      \____________________ diagnostics, each with its place ____________________/
//! ```
//! A file that is a whole Envoy bootstrap takes `bootstrap` instead of the last two. From `Node` on, nothing stops at the first fault. Pure: no files, no environment, no clock; variables come in as a
//! function.

use std::sync::Arc;

use crate::{diagnostic::Diagnostic, model::Model};

mod bootstrap;
mod decode;
mod interpolate;
mod message;
mod names;
mod node;
mod parse;
mod places;
mod report;
mod resolve;
mod schema;
mod source;
mod value;

pub use crate::diagnostic::{Source, code};
pub use source::MAX_BYTES;

/// What came of a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its meaning; none exactly where an error is among the diagnostics.
    pub model: Option<Model>,
    /// All errors and warnings, in the file's order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a file. `variable` says what a variable of the environment holds, for `${env:NAME}`.
pub fn load(source: &Source, variable: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut report = report::Report::new(Arc::clone(&source.file));
    let model = model(&source.bytes, variable, &mut report);
    let model = model.filter(|_| !report.has_errors());
    Loaded { model, diagnostics: report.finish() }
}

fn model(bytes: &[u8], variable: &dyn Fn(&str) -> Option<String>, report: &mut report::Report) -> Option<Model> {
    let text = source::text(bytes, report)?;
    let mut node = parse::parse(text, report)?;
    interpolate::interpolate(&mut node, variable, report);
    if bootstrap::is_one(&node) {
        return bootstrap::resolve(&node, report);
    }
    let file = decode::Decode::decode(&node, "the file", report)?;
    resolve::resolve(&file, report)
}
