//! The demo upstream: a small HTTP server whose answers show what a gateway did on the way.
//!
//! It speaks HTTP/1.1 and HTTP/2 without TLS (h2c) on one port. [`answer`] decides by the path what a request gets.

mod answer;
mod stream;
mod websocket;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::serve::ListenerExt as _;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Answers every path with a JSON echo of the request. The ends of a path with other answers: `/sse` (events,
/// `?count=N`), `/bytes/N`, `/status/N`, `/ws` (WebSocket echo).
#[derive(Parser)]
#[command(name = "upstream", version)]
struct Args {
    /// The name that its answers carry.
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

/// Serves until SIGTERM or SIGINT. Open streams are cut and not waited for: an event stream has no end to wait for.
async fn run(args: &Args) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(SocketAddr::new(args.address, args.port)).await?;
    println!("upstream {} listens on {}", args.name, listener.local_addr()?);

    // Events and WebSocket frames are small: Nagle's algorithm would hold each one back for the ACK of the one before.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let name: Arc<str> = args.name.as_str().into();
    let app = Router::new().fallback(answer::answer).with_state(name);
    tokio::select! {
        served = axum::serve(listener, app) => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
