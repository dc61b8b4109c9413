//! The demo upstream as a command.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Answers every path with a JSON echo of the request. Paths with these ends get other answers:
/// `/sse` (events, `?count=N`), `/bytes/N`, `/status/N`, `/ws` (WebSocket echo).
#[derive(Parser)]
#[command(name = "upstream", version)]
struct Args {
    /// The name in its answers.
    #[arg(long)]
    name: String,
    /// The port to listen on; 0 takes a free one.
    #[arg(long)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upstream {}: {}:{}: {error}", args.name, args.address, args.port);
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT.
async fn run(args: &Args) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(SocketAddr::new(args.address, args.port)).await?;
    println!("upstream {} listens on {}", args.name, listener.local_addr()?);
    tokio::select! {
        served = upstream::serve(listener, args.name.as_str().into()) => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
