//! Addresses and host names.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};
use crate::model::HostPort;

impl Leaf for IpAddr {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        written.text.parse().ok().or_else(|| {
            let (what, shown) = (written.what, written.shown());
            let message = format!("{what} must be an IP address such as `0.0.0.0` or `::1`, not {shown}");
            written.fault(code::INVALID_VALUE, message, help_with_address(written.text), report)
        })
    }

    fn about() -> About {
        let meaning = "An IPv4 or IPv6 address, without brackets and without a port.";
        let schema = json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]});
        About { name: "IP address", meaning, schema, example: json!("127.0.0.1"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

fn help_with_address(text: &str) -> Option<String> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match text {
        "localhost" => Some("write `127.0.0.1` or `::1`".to_owned()),
        _ if unbracketed.is_some() => Some("write it without brackets".to_owned()),
        other if other.rsplit_once(':').is_some_and(|(host, _)| host.parse::<Ipv4Addr>().is_ok()) => {
            Some("the port has a field of its own: `port`".to_owned())
        }
        _ => None,
    }
}

/// `host:port`, where the host is a name or an IP address. Host names come out in lower case and
/// addresses in their shortest form, so that equal ones are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub HostPort);

impl Leaf for Endpoint {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        match host_and_port(written.text) {
            Ok(host) => Some(Self(host)),
            Err(problem) => {
                let message = format!("an endpoint must be `host:port`, not {}: {problem}", written.shown());
                written.fault(code::INVALID_VALUE, message, help_with_endpoint(written), report)
            }
        }
    }

    fn about() -> About {
        let meaning =
            "`host:port`, where the host is a name or an IP address. IPv6 addresses need brackets: `[::1]:8080`.";
        let schema = json!({"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[^:/\[\]]+):[0-9]{1,5}$"});
        About { name: "endpoint", meaning, schema, example: json!("users.internal:8080"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        let HostPort { host, port } = &self.0;
        if host.contains(':') { format!("[{host}]:{port}").into() } else { format!("{host}:{port}").into() }
    }
}

fn host_and_port(text: &str) -> Result<HostPort, &'static str> {
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

fn help_with_endpoint(written: &Written<'_>) -> Option<String> {
    let (_, rest) = written.text.split_once("://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let complete = host_and_port(host).is_ok() && written.is_shown();
    Some(if complete { format!("write `{host}`") } else { "write no scheme and no path".to_owned() })
}

/// A host name in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(pub String);

impl Leaf for HostName {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        host_name(written.text).ok().map(Self).or_else(|| {
            let (what, shown) = (written.what, written.shown());
            let message = format!("{what} must be a host name such as `api.example.com`, not {shown}");
            written.fault(code::INVALID_VALUE, message, None, report)
        })
    }

    fn about() -> About {
        let schema = json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,254}$"});
        About {
            name: "host name",
            meaning: "A host name.",
            schema,
            example: json!("api.example.com"),
            words: Vec::new(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

/// A host name in lower case, with the dot at its end if it has one.
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
    // RFC 3696 §2: a top-level domain is not all digits. So these are addresses with a slip in
    // them.
    if absolute.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("not an IP address");
    }
    Ok(host.to_ascii_lowercase())
}
