//! The command, with a file for each subcommand. Exit status 0 is good, 1 is invalid or failed, 2
//! is a usage error or something that differs.

mod bootstrap;
mod dump;
mod explain;
mod filter;
mod key;
mod proxies;
mod run;
mod schema;
mod serve;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An API gateway of stock Envoy, an xDS control plane and a proxy-wasm filter, from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "legation", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the file to Envoys that join
    Serve(serve::Args),
    /// Serve the file and run one local Envoy: a whole gateway
    Run(run::Args),
    /// Report everything that is wrong with a file
    Validate(validate::Args),
    /// Print the xDS resources of a file as Envoy YAML
    Dump(dump::Args),
    /// Print the bootstrap with which an Envoy joins
    Bootstrap(bootstrap::Args),
    /// Show the nodes of a running control plane, and what they accepted and rejected
    Proxies(proxies::Args),
    /// Say what a field of the file is for, such as `routes.rate_limit.by`
    Explain(explain::Args),
    /// Print the JSON Schema of the file, for editors
    Schema(schema::Args),
    /// Make API keys and hash them
    Key(key::Args),
    /// Write the filter's module (.wasm), for use without this control plane
    Filter(filter::Args),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Run(args) => run::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Dump(args) => dump::run(args),
        Command::Bootstrap(args) => bootstrap::run(args),
        Command::Proxies(args) => proxies::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Key(args) => key::run(args),
        Command::Filter(args) => filter::run(args),
    }
}

/// Says why a command failed, on standard error.
fn failed(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("legation: {reason}");
    ExitCode::FAILURE
}
