//! The person's file → [`Model`], or everything that is wrong with it.
//!
//! ```text
//! bytes ─source─> text ─parse─> Node ─interpolate─> Node ─decode─> File ─resolve─> Model
//!                      \_______________ diagnostics, each with its place _______________/
//! ```
//! Each word of the file has a room with its shape and its rules: `route/rate_limit.rs`,
//! `cluster/tls.rs`, `plan.rs`. A shape is declared once (`mapping!`); the reader, `legation
//! schema`, `legation explain` and `docs/reference.md` all come from that declaration.
//!
//! `bootstrap` takes the place of the last two steps for a file that is a whole Envoy bootstrap.
//! From `Node` on, nothing stops at the first fault. All of it is pure: no files, no environment,
//! no clock; variables come in as a function.

use std::sync::Arc;

use crate::{diagnostic::Diagnostic, model::Model};

mod bootstrap;
mod clashes;
mod cluster;
mod consumer;
mod decode;
mod defaults;
pub mod describe;
mod envoy;
mod envoy_message;
mod file;
mod interpolate;
mod leaf;
mod listener;
mod named_file;
mod node;
mod parse;
mod places;
mod plan;
mod report;
mod route;
mod rules_of_filter;
mod source;

pub use crate::diagnostic::{Source, code};
use named_file::named_file;
pub use source::MAX_BYTES;

/// The result of reading a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file's meaning. `None` exactly if an error is among the diagnostics.
    pub model: Option<Model>,
    /// All errors and warnings, in the file's order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a file. `variable` returns the value of a variable of the environment, for `${env:NAME}`.
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
    let file: file::File = decode::Decode::decode(&node, decode::What::File, report)?;
    file::resolve(&file, &node, report)
}
