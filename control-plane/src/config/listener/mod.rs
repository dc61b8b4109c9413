//! `listeners`: where connections come in.

mod limits;
mod tls;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use legation_protos::ResourceType;

use self::{limits::Limits, tls::Tls};
use super::{
    code,
    decode::{Field, mapping},
    file::{File, Known},
    leaf::{
        Name, Named, Port,
        name::{self, Kind},
    },
    node::Span,
    report::Report,
};
use crate::model;

mapping! {
    /// A listener binds a port and takes HTTP/1.1 and HTTP/2 there, in clear text or over TLS.
    Listener, "a listener", "{name: http, port: 8000}" {
        /// The listener's name. It is also its name in LDS and in Envoy's statistics.
        required name: Name<Listener>,
        /// The address to bind.
        optional address: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        /// The port to bind.
        required port: Port,
        /// TLS for all connections. Without it, the listener speaks clear text.
        optional tls: Tls,
        /// What clients may take of the gateway.
        optional limits: Limits,
    }
    planned: http3 redirect redirect_to trusted_proxies trusted_hops proxy_protocol paths http1_0;
}

impl Named for Listener {
    // `listener.admin` is what Envoy's statistics call its own admin interface.
    const KIND: Kind = Kind::plain("listener", code::UNKNOWN_LISTENER).without(&["admin"]);

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

/// The valid listeners, each with a name and an address and port of its own.
pub fn resolve(file: &File, known: &Known<'_>, report: &mut Report) -> Vec<model::Listener> {
    let has_raw = known.raw.iter().any(|found| found.resource.kind == ResourceType::Listener);
    if file.listeners.is_empty() && !has_raw {
        let at = file.listeners.key().unwrap_or(Span::START);
        let help = "such as `- {name: http, port: 8000}`".to_owned();
        report.warning(code::NO_LISTENERS, at, "there are no `listeners`: the gateway accepts nothing", Some(help));
    }
    let mut by_port: BTreeMap<u16, Vec<(IpAddr, Span)>> = BTreeMap::new();
    let mut resolved = Vec::new();
    for listener in file.listeners.items() {
        let tls = listener.tls.resolve(|tls| tls::resolve(tls, report));
        let limits = listener.limits.resolve_or_unsaid(limits::resolve);
        let (Some(port), Some(address)) = (listener.port.get(), listener.address.get()) else { continue };
        let (place, Port(port), address) = (port.span, port.value, address.value);
        let neighbours = by_port.entry(port).or_default();
        if let Some((_, first)) = neighbours.iter().find(|(other, _)| overlap(*other, address)) {
            let message = format!("port {port} of this address is already taken at {}", report.origin(*first));
            report.error(code::DUPLICATE_VALUE, place, message);
        }
        neighbours.push((address, place));
        let (Some(name), Some(tls), Some(limits)) = (name::of(&listener.name), tls, limits) else { continue };
        resolved.push(model::Listener { name, address, port, tls, limits, origin: report.origin(listener.span) });
    }
    resolved
}

/// Whether both cannot be bound on one port. Envoy binds IPv6 addresses for IPv6 alone.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
}
