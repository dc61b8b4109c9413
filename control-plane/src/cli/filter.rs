//! `legation filter`: the module that this binary carries.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use super::failed;
use crate::filter_module::MODULE;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write; the default is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: Args) -> ExitCode {
    let written = match &args.output {
        Some(path) => {
            fs::write(path, MODULE.bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
        }
        None if io::stdout().is_terminal() => Err("the module is binary: name a file with --output".to_owned()),
        None => io::stdout().lock().write_all(MODULE.bytes).map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => failed(reason),
    }
}
