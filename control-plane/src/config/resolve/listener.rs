//! `listeners`: where connections come in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use legation_protos::ResourceType;

use super::Known;
use crate::{
    config::{
        code,
        decode::Text,
        names,
        node::Span,
        report::Report,
        schema::{self, File},
        value,
    },
    model::Listener,
};

/// All that are whole, each with a name and an address and port of its own.
pub fn resolve(file: &File, known: &Known<'_>, report: &mut Report) -> Vec<Listener> {
    let has_raw = known.raw.iter().any(|found| found.resource.kind == ResourceType::Listener);
    if file.listeners.is_empty() && !has_raw {
        let at = file.listeners.key().unwrap_or(Span::START);
        let help = "such as `- {name: http, port: 8000}`".to_owned();
        report.warning(code::NO_LISTENERS, at, "there are no `listeners`: the gateway accepts nothing", Some(help));
    }
    let mut by_port: BTreeMap<u16, Vec<(IpAddr, Span)>> = BTreeMap::new();
    let mut resolved = Vec::new();
    for listener in file.listeners.items() {
        let address = address(listener, report);
        let tls = listener.tls.resolve(|tls| super::tls::listener(tls, report));
        let Some(port) = listener.port.get() else { continue };
        let place = port.span;
        let Some(port) = value::within(*port, 1..=u16::MAX, "a port", report) else { continue };
        let Some(address) = address else { continue };
        let neighbours = by_port.entry(port).or_default();
        if let Some((_, first)) = neighbours.iter().find(|(other, _)| overlap(*other, address)) {
            let message = format!("port {port} of this address is already taken at {}", report.origin(*first));
            report.error(code::DUPLICATE_VALUE, place, message);
        }
        neighbours.push((address, place));
        let (Some(name), Some(tls)) = (names::of(&listener.name), tls) else { continue };
        resolved.push(Listener { name, address, port, tls, origin: report.origin(listener.span) });
    }
    resolved
}

fn address(listener: &schema::Listener, report: &mut Report) -> Option<IpAddr> {
    if !listener.address.is_written() {
        return Some(Ipv4Addr::UNSPECIFIED.into());
    }
    let text = listener.address.get()?;
    let address = text.value.parse().ok();
    if address.is_none() {
        report.error_with_help(
            code::INVALID_VALUE,
            text.span,
            format!("`address` must be an IP address such as `0.0.0.0` or `::1`, not {}", text.shown()),
            help(text),
        );
    }
    address
}

fn help(text: &Text) -> Option<String> {
    let unbracketed = text.value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match text.value.as_str() {
        "localhost" => Some("write `127.0.0.1` or `::1`".to_owned()),
        _ if unbracketed.is_some() => Some("write it without brackets".to_owned()),
        other if other.rsplit_once(':').is_some_and(|(host, _)| host.parse::<Ipv4Addr>().is_ok()) => {
            Some("the port has a field of its own: `port`".to_owned())
        }
        _ => None,
    }
}

/// Whether both cannot be bound on one port. Envoy binds IPv6 addresses for IPv6 alone.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
}
