//! A cluster's `endpoints`.

use std::net::{IpAddr, SocketAddr};

use crate::{
    config::{
        code,
        decode::{Decode, Said, What},
        describe::Shape,
        leaf::Endpoint,
        node::{Node, Value},
        places::Places,
        report::Report,
    },
    model::{Endpoints, HostPort},
};

/// One of a cluster's `endpoints`: `host:port`.
#[derive(Debug)]
pub struct EndpointItem(pub Endpoint);

impl Decode for EndpointItem {
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        if let Value::Mapping(_) = node.value {
            let help = "write `host:port`".to_owned();
            let message = "an endpoint with fields of its own is not supported yet";
            report.error_with_help(code::NOT_SUPPORTED_YET, node.span, message, Some(help));
            return None;
        }
        Endpoint::decode(node, what, report).map(Self)
    }

    fn shape() -> Shape {
        Endpoint::shape()
    }
}

/// The valid endpoints: as addresses if all of them are addresses, since Envoy need not resolve
/// anything then.
pub fn resolve<'a>(written: impl Iterator<Item = &'a Said<EndpointItem>>, report: &mut Report) -> Endpoints {
    let mut places = Places::default();
    let mut hosts = Vec::new();
    for endpoint in written {
        let EndpointItem(Endpoint(host)) = &endpoint.value;
        if let Some(first) = places.earlier((&host.host, host.port), endpoint.span) {
            let message = format!("this endpoint is already given at {}", report.origin(first));
            report.error(code::DUPLICATE_VALUE, endpoint.span, message);
            continue;
        }
        hosts.push(host.clone());
    }
    let addresses: Option<Vec<SocketAddr>> = hosts.iter().map(address).collect();
    addresses.map_or(Endpoints::Names(hosts), Endpoints::Addresses)
}

fn address(host: &HostPort) -> Option<SocketAddr> {
    host.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, host.port))
}
