//! `legation schema`: the JSON Schema of the file, for editors.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::failed;
use crate::config::describe;

#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the schema.
pub fn run(Args {}: Args) -> ExitCode {
    match serde_json::to_string_pretty(&describe::json_schema()) {
        Ok(schema) => match io::stdout().lock().write_all(format!("{schema}\n").as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(error),
        },
        Err(error) => failed(error),
    }
}
