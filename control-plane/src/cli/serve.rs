//! `legation serve`: the control plane alone.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use tracing_subscriber::EnvFilter;

use super::failed;
use crate::{
    control_plane::{ControlPlane, Options, StartError, end_signal},
    diagnostic,
    files::gateway_file,
    rollout::state::State,
    xds::server::{raise_open_files, tls},
};

/// What `serve` and `run` share.
#[derive(Debug, clap::Args)]
pub struct Serving {
    /// The gateway file
    #[arg(default_value = "gateway.yaml")]
    file: PathBuf,
    /// Where to serve status and metrics; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:18001")]
    admin: SocketAddr,
    /// How many nodes get a new configuration before the others do; 0 is all at once. Outranks
    /// `defaults: {rollout: {canary}}`
    #[arg(long, value_name = "N")]
    canary: Option<usize>,
    /// Where to keep the last confirmed configuration and what was rejected since; the default is
    /// `.legation` beside the file
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The certificate that the xDS port shows (PEM, with the certificates between it and its
    /// authority); turns TLS on
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The authorities (PEM) that must have issued the certificate of every client of the xDS port
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// Let a client be only a node whose id is a DNS name of its certificate
    #[arg(long, requires = "client_ca")]
    pin_node_ids: bool,
}

impl Serving {
    /// What outlives the process.
    pub fn state(&self) -> State {
        State::new(self.state.clone(), &self.file)
    }

    /// Whether the xDS port has TLS.
    pub fn has_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    fn tls(&self) -> Option<tls::Files> {
        let (cert, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(tls::Files { cert, key, client_ca: self.client_ca.clone() })
    }
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    serving: Serving,
    /// Where to serve xDS; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:18000")]
    xds: SocketAddr,
}

pub fn run(args: Args) -> ExitCode {
    block_on(async {
        let end = end_signal()?;
        let control_plane = start(args.serving, args.xds, None).await?;
        end.await;
        control_plane.end().await;
        Ok(())
    })
}

/// Starts the control plane, and reports in full what is wrong with the file. Clients of this
/// machine may also use the socket file, if there is one.
pub async fn start(serving: Serving, xds: SocketAddr, local: Option<PathBuf>) -> Result<ControlPlane, StartError> {
    let options = Options {
        file: serving.file.clone(),
        xds,
        admin: serving.admin,
        canary: serving.canary,
        state: serving.state(),
        tls: serving.tls(),
        pin_node_ids: serving.pin_node_ids,
        local,
    };
    raise_open_files();
    let started = ControlPlane::start(options).await;
    if let (Err(StartError::File(diagnostics)), Ok(source)) = (&started, gateway_file::read(&serving.file)) {
        eprint!("{}", diagnostic::render(diagnostics, &source));
    }
    started
}

/// Runs a server to its end, with logs on standard error.
pub fn block_on(server: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> ExitCode {
    let filter = EnvFilter::try_from_env("LEGATION_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("cannot start: {error}")),
    };
    let served = runtime.block_on(server);
    // A read that hangs, for example of a file on a dead network mount, must not keep the process.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}
