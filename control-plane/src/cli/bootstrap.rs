//! `legation bootstrap`: how an Envoy joins.

use std::{net::SocketAddr, process::ExitCode};

use legation_protos::descriptors;

use super::failed;
use crate::envoy::{
    bootstrap::{ControlPlaneAddress, Join, JoinTls, bootstrap},
    overload::Limits,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's id, under which /status shows it; unique among the Envoys of a control plane
    #[arg(long, value_name = "ID")]
    node_id: String,
    /// The group that the node belongs to
    #[arg(long, value_name = "NAME", default_value = "legation")]
    cluster: String,
    /// Where the control plane serves xDS
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:18000", value_parser = host_port)]
    xds: (String, u16),
    /// Where the Envoy's admin interface listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9901")]
    envoy_admin: SocketAddr,
    /// The authorities that must have issued the control plane's certificate, a PEM file on Envoy's
    /// machine; turns TLS on
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<String>,
    /// The certificate that Envoy shows, a PEM file on Envoy's machine
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_key"])]
    tls_cert: Option<String>,
    /// The key of Envoy's certificate, a PEM file on its machine
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,
    /// Use state-of-the-world xDS instead of delta
    #[arg(long)]
    sotw: bool,
    #[command(flatten)]
    limits: Limits,
}

pub fn run(args: Args) -> ExitCode {
    let (host, port) = args.xds;
    let tls = args.tls_ca.map(|ca| JoinTls { ca, identity: args.tls_cert.zip(args.tls_key) });
    let join = Join {
        node_id: args.node_id,
        node_cluster: args.cluster,
        xds: ControlPlaneAddress::Port { host, port, tls },
        admin: args.envoy_admin,
        sotw: args.sotw,
        limits: args.limits,
    };
    match to_yaml(&join) {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(reason) => failed(reason),
    }
}

fn to_yaml(join: &Join) -> Result<String, Box<dyn std::error::Error>> {
    Ok(serde_yaml::to_string(&descriptors::message_to_value(&bootstrap(join))?)?)
}

/// Parses a host's name or address, and a port.
pub fn host_port(text: &str) -> Result<(String, u16), String> {
    let allowed = "HOST:PORT, such as control-plane:18000 or [::1]:18000";
    let (host, port) = text.rsplit_once(':').ok_or(allowed)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().map_err(|_| allowed)?;
    if host.is_empty() { Err(allowed.to_owned()) } else { Ok((host.to_owned(), port)) }
}
