//! The `legation` command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    legation::cli::main()
}
