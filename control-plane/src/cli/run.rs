//! `legation run`: the control plane and one local Envoy, a whole gateway in one command.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use prost::Message;

use super::serve;
use crate::{
    control_plane::end_signal,
    envoy::{
        bootstrap::{ControlPlaneAddress, Join, bootstrap},
        drains::{self, Followed},
        find::find,
        overload::Limits,
        supervise::{Lock, Plan, Supervisor, admin_address},
    },
};

/// The node id of the Envoy that this command runs.
const NODE: &str = "local";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    serving: serve::Serving,
    /// Where to serve xDS, to the local Envoy and to others that join; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:18000")]
    xds: SocketAddr,
    /// The Envoy binary; the default is $ENVOY, `envoy` in $PATH or target/envoy/envoy
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Where Envoy's admin interface listens; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9901")]
    envoy_admin: SocketAddr,
    /// Envoy's worker threads; the default is one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,
    /// Use state-of-the-world xDS instead of delta
    #[arg(long)]
    sotw: bool,
    #[command(flatten)]
    limits: Limits,
    /// How long requests that are under way may go on when the gateway ends
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = duration)]
    drain: Duration,
    /// Arguments for Envoy
    #[arg(last = true, value_name = "ENVOY ARGUMENT")]
    envoy_arguments: Vec<String>,
}

pub fn run(args: Args) -> ExitCode {
    serve::block_on(async {
        // Comes first, since without Envoy there is no gateway.
        let program = find(args.envoy.as_deref())?;
        let end = end_signal()?;
        let state = args.serving.state();
        let lock = Lock::take(&state)?;
        // With TLS on the port, Envoy joins by a socket file. Then it needs no certificate of its
        // own, and no other user of this machine can take its place.
        let socket = args.serving.has_tls().then(|| state.path("xds.sock")).transpose()?;
        let control_plane = serve::start(args.serving, args.xds, socket.clone()).await?;
        let xds = match socket {
            Some(path) => ControlPlaneAddress::Socket(path),
            // The server may listen on all addresses. Envoy reaches it by the loopback address of
            // the same family.
            None => ControlPlaneAddress::Port {
                host: reachable(control_plane.xds).ip().to_string(),
                port: control_plane.xds.port(),
                tls: None,
            },
        };
        let join = Join {
            node_id: NODE.to_owned(),
            node_cluster: "legation".to_owned(),
            xds,
            admin: args.envoy_admin,
            sotw: args.sotw,
            limits: args.limits,
        };
        // Written in binary form: writing YAML takes the descriptors of all messages, some 50 MB
        // for as long as this process runs.
        state.write("envoy.pb", &bootstrap(&join).encode_to_vec())?;
        let plan = Plan {
            program,
            bootstrap: state.path("envoy.pb")?,
            concurrency: args.concurrency,
            arguments: args.envoy_arguments,
            grace: args.drain,
        };
        let drains = tokio::spawn(drains::follow(Followed {
            node: NODE,
            plans: control_plane.plans.clone(),
            admin_address: admin_address(&state)?,
            drain_time: plan.drain_time(),
            status: control_plane.status.clone(),
        }));
        let ended = Supervisor::new(plan, state, lock)?.run(end).await;
        drains.abort();
        control_plane.end().await;
        Ok(ended?)
    })
}

fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        named => named,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    legation_filter::units::parse_duration(text).map_err(|error| error.to_string())
}
