//! `endpoints`: `host:port`, where the host is a name or an IP address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::{
    config::{code, decode::Text, places::Places, report::Report, schema},
    model::{Endpoints, HostPort},
};

/// All that are whole: addresses if they are nothing else, since only names need Envoy to resolve anything.
pub fn resolve(endpoints: &[schema::Endpoint], report: &mut Report) -> Endpoints {
    let mut places = Places::default();
    let mut hosts = Vec::new();
    for schema::Endpoint(text) in endpoints {
        let host = match parse(&text.value) {
            Ok(host) => host,
            Err(problem) => {
                let message = format!("an endpoint must be `host:port`, not {}: {problem}", text.shown());
                report.error_with_help(code::INVALID_VALUE, text.span, message, help(text));
                continue;
            }
        };
        if let Some(first) = places.earlier((host.host.clone(), host.port), text.span) {
            let message = format!("this endpoint is already given at {}", report.origin(first));
            report.error(code::DUPLICATE_VALUE, text.span, message);
            continue;
        }
        hosts.push(host);
    }
    let addresses: Option<Vec<SocketAddr>> = hosts.iter().map(address).collect();
    addresses.map_or(Endpoints::Names(hosts), Endpoints::Addresses)
}

fn address(host: &HostPort) -> Option<SocketAddr> {
    host.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, host.port))
}

/// Host names come out in lower case and addresses in their shortest form, so that equal ones are found.
fn parse(text: &str) -> Result<HostPort, &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    let all_digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: Option<u16> = if all_digits { port.parse().ok() } else { None };
    let port = port.filter(|port| *port > 0).ok_or("the port must be 1 to 65535")?;
    let host = if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("the bracket is not closed")?;
        inner.parse::<Ipv6Addr>().map_err(|_| "not an IPv6 address in brackets")?.to_string()
    } else if host.contains(':') {
        return Err("an IPv6 address needs brackets, as in `[::1]:8080`");
    } else if let Ok(ip) = host.parse::<IpAddr>() {
        ip.to_string()
    } else {
        host_name(host)?
    };
    Ok(HostPort { host, port })
}

pub(super) fn host_name(host: &str) -> Result<String, &'static str> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let absolute = host.strip_suffix('.').unwrap_or(host);
    if absolute.len() > 253 || !absolute.split('.').all(label) {
        return Err("not a host name");
    }
    // RFC 3696 §2: a top-level domain is not all digits. So these are addresses with a slip in them.
    if absolute.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("not an IP address");
    }
    Ok(host.to_ascii_lowercase())
}

fn help(text: &Text) -> Option<String> {
    let (_, rest) = text.value.split_once("://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let complete = parse(host).is_ok() && text.is_shown();
    Some(if complete { format!("write `{host}`") } else { "write no scheme and no path".to_owned() })
}
