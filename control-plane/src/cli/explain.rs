//! `legation explain`: what a field of the file is for, what it may be, and what it is unless
//! written.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::failed;
use crate::config::describe;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The names of fields with dots between them, such as `routes.rate_limit.by`; without it, the
    /// top of the file
    path: Option<String>,
}

/// Exits with 2 where the file has no such field.
pub fn run(args: Args) -> ExitCode {
    let explained = match &args.path {
        Some(path) => describe::explain(path),
        None => Ok(describe::explain_all()),
    };
    match explained {
        Ok(text) => match io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(error),
        },
        Err(problem) => {
            failed(problem);
            ExitCode::from(2)
        }
    }
}
