//! `listeners`: where connections come in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use legation_filter::units::parse_size;
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
    model::{Listener, ListenerLimits},
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
        let limits = listener.limits.resolve_or(ListenerLimits::default(), |written| limits(written, report));
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
        let (Some(name), Some(tls), Some(limits)) = (names::of(&listener.name), tls, limits) else { continue };
        resolved.push(Listener { name, address, port, tls, limits, origin: report.origin(listener.span) });
    }
    resolved
}

/// Envoy's own bounds: RFC 9113 §5.1.1 and 8 MiB of headers.
fn limits(written: &schema::ListenerLimits, report: &mut Report) -> Option<ListenerLimits> {
    let connections =
        written.connections.resolve(|number| value::within(*number, 1..=u64::from(u32::MAX), "`connections`", report));
    let streams = written
        .streams_per_connection
        .resolve(|number| value::within(*number, 1..=MOST_STREAMS, "`streams_per_connection`", report));
    let header_count =
        written.header_count.resolve(|number| value::within(*number, 1..=MOST_HEADERS, "`header_count`", report));
    let header_kib = written.header_bytes.resolve(|text| header_kib(text, report));
    let request_body = written.request_body.resolve(|text| value::size(text, "`request_body`", report));
    Some(ListenerLimits {
        connections: connections?,
        streams_per_connection: streams?,
        header_kib: header_kib?,
        header_count: header_count?,
        request_body: request_body?,
    })
}

const MOST_STREAMS: u32 = (1 << 31) - 1;
const MOST_HEADERS: u32 = 10_000;
const MOST_HEADER_KIB: u32 = 8_192;

/// Envoy counts in KiB.
fn header_kib(text: &Text, report: &mut Report) -> Option<u32> {
    let kib = parse_size(&text.value).ok().and_then(|bytes| u32::try_from(bytes / 1024).ok());
    let kib = kib.filter(|kib| (1..=MOST_HEADER_KIB).contains(kib));
    if kib.is_none() {
        let message =
            format!("`header_bytes` must be a size such as `60KiB`, from `1KiB` to `8MiB`, not {}", text.shown());
        report.error(code::OUT_OF_RANGE, text.span, message);
    }
    kib
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
