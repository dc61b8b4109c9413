//! `legation validate`: reports everything that is wrong with a file.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use super::failed;
use crate::{
    config::{Loaded, Source},
    diagnostic::{self, Diagnostic, Severity},
    files::{gateway_file, named},
    model::{Model, Secret},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The gateway file
    #[arg(default_value = "gateway.yaml")]
    file: PathBuf,
    /// The format of the report: for people (text) or for programs (json)
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Exits with 0 when the file is good, and with 1 when it is not or cannot be read.
pub fn run(args: Args) -> ExitCode {
    let (source, loaded, _) = load(&args.file);
    let good = loaded.model.is_some() && (!args.strict || loaded.diagnostics.is_empty());
    let written = match args.output {
        Output::Text => {
            let details = render(&source, &loaded, &io::stdout());
            let refused = if good || loaded.model.is_none() { "" } else { ": refused, since --strict is asked for" };
            io::stdout().lock().write_all(format!("{details}{}{refused}\n", summary(&source, &loaded)).as_bytes())
        }
        Output::Json => json(&loaded.diagnostics),
    };
    if let Err(reason) = written {
        return failed(reason);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The file's model and the contents of its named files, for commands that do something else with
/// them. What is wrong goes to standard error, warnings too. With an error comes the exit status to
/// end with.
pub fn load_or_explain(file: &Path) -> Result<(Model, Vec<Secret>), ExitCode> {
    let (source, loaded, secrets) = load(file);
    let mut details = render(&source, &loaded, &io::stderr());
    if loaded.model.is_none() {
        details.push_str(&format!("{}\n", summary(&source, &loaded)));
    }
    // Where standard error is closed, nobody reads it. The exit status still says it.
    let _ = io::stderr().lock().write_all(details.as_bytes());
    loaded.model.map(|model| (model, secrets)).ok_or(ExitCode::FAILURE)
}

/// A file that cannot be read is an empty one with a diagnostic that says why.
fn load(file: &Path) -> (Source, Loaded, Vec<Secret>) {
    match gateway_file::read(file) {
        Ok(source) => {
            let whole = named::load(&source, &named::folder_of(file));
            (source, whole.loaded, whole.secrets)
        }
        Err(diagnostic) => {
            let source = Source { file: Arc::clone(&diagnostic.at.file), bytes: Vec::new() };
            (source, Loaded { model: None, diagnostics: vec![*diagnostic] }, Vec::new())
        }
    }
}

/// Uses colours on a terminal, unless the person has refused them (<https://no-color.org>).
fn render(source: &Source, loaded: &Loaded, to: &impl IsTerminal) -> String {
    if to.is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        diagnostic::render_in_colours(&loaded.diagnostics, source)
    } else {
        diagnostic::render(&loaded.diagnostics, source)
    }
}

fn json(diagnostics: &[Diagnostic]) -> io::Result<()> {
    let entries: Vec<diagnostic::Entry<'_>> = diagnostics.iter().map(Into::into).collect();
    let mut stdout = io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, &entries)?;
    stdout.write_all(b"\n")
}

/// One line that says how much is wrong or, if nothing is, how much there is.
fn summary(source: &Source, loaded: &Loaded) -> String {
    let count = |severity| loaded.diagnostics.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let warnings = if warnings > 0 { format!(", {}", counted(warnings, "warning")) } else { String::new() };
    match &loaded.model {
        None => format!("{}: {}{warnings}", source.file, counted(errors, "error")),
        Some(model) => {
            let parts = [
                counted(model.listeners.len(), "listener"),
                counted(model.routes.len(), "route"),
                counted(model.clusters.len(), "cluster"),
                counted(model.consumers.len(), "consumer"),
                counted(model.plans.len(), "plan"),
            ];
            let raw = match model.raw.len() {
                0 => String::new(),
                some => format!(", {}", counted(some, "raw resource")),
            };
            format!("{} is valid: {}{raw}{warnings}", source.file, parts.join(", "))
        }
    }
}

/// `1 route`, `2 routes`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
