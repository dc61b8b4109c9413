//! The `legation` command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    legation::cli::main()
}
