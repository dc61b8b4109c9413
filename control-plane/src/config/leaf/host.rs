//! Hosts of requests.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
};

use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written, address,
};
use crate::model::{self, Domain};

/// A host of requests, or all hosts below a domain. It comes out in lower case and without the dot
/// that makes a name absolute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(pub model::Host);

impl Leaf for Host {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        match host(written.text) {
            Ok(host) => Some(Self(host)),
            Err(problem) => {
                let message = format!("{} is not a host of requests: {problem}", written.shown());
                let help = help(written.text).filter(|_| written.is_shown());
                written.fault(code::INVALID_VALUE, message, help, report)
            }
        }
    }

    fn about() -> About {
        let meaning = "A host name, compared without case. `*.example.com` is every host below `example.com`, at any depth, and not \
            `example.com` itself; `*` is every host.";
        let schema = json!({"type": "string", "pattern": r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?)$"});
        About { name: "host", meaning, schema, example: json!("api.example.com"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            model::Host::Any => "*".into(),
            model::Host::Exact(name) => name.as_str().into(),
            model::Host::Below(Domain(name)) => format!("*.{name}").into(),
        }
    }
}

fn host(text: &str) -> Result<model::Host, &'static str> {
    if text == "*" {
        return Ok(model::Host::Any);
    }
    let (is_wildcard, name) = match text.strip_prefix("*.") {
        Some(domain) => (true, domain),
        None => (false, text),
    };
    if !text.is_ascii() {
        return Err("names that are not ASCII travel in their encoded form");
    }
    if name.contains('*') {
        return Err("a `*` stands for whole labels at the beginning, as in `*.example.com`");
    }
    if is_address(name) {
        return Err("it is an address, not a name");
    }
    if name.contains(':') {
        return Err("it must have no scheme and no port: a request's port does not count");
    }
    let name =
        address::host_name(name).map_err(|_| "a name has labels of letters, digits, `-` and `_`, with dots between")?;
    let name = name.strip_suffix('.').map_or(name.clone(), str::to_owned);
    Ok(if is_wildcard { model::Host::Below(Domain(name)) } else { model::Host::Exact(name) })
}

/// Whether it is an IP address, with brackets or a port or without.
fn is_address(text: &str) -> bool {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inner, _)| inner);
    let without_port = text.split_once(':').map_or(text, |(host, _)| host);
    without_port.parse::<IpAddr>().is_ok() || unbracketed.parse::<Ipv6Addr>().is_ok()
}

/// What to write instead, where that can be said.
fn help(text: &str) -> Option<String> {
    if is_address(text) {
        return Some("requests to an address are those of a route without `hosts`".to_owned());
    }
    if !text.is_ascii() {
        let encoded = idna::domain_to_ascii(text.strip_prefix("*.").unwrap_or(text)).ok()?;
        let encoded = if text.starts_with("*.") { format!("*.{encoded}") } else { encoded };
        return host(&encoded).is_ok().then(|| format!("write `{encoded}`"));
    }
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let name = rest.split(['/', ':']).next().unwrap_or_default();
    let instead = match name.strip_prefix('*').filter(|rest| !rest.starts_with('.')) {
        Some(rest) => format!("*.{rest}"),
        None => name.to_owned(),
    };
    (instead != text && host(&instead).is_ok()).then(|| format!("write `{instead}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_in_one_form() {
        let exact = |name: &str| Ok(model::Host::Exact(name.to_owned()));
        for text in ["api.example.com", "API.Example.com", "api.example.com."] {
            assert_eq!(host(text), exact("api.example.com"), "{text}");
        }
        assert_eq!(host("my_service"), exact("my_service"));
        assert_eq!(host("xn--bcher-kva.example"), exact("xn--bcher-kva.example"));
        assert_eq!(host("*"), Ok(model::Host::Any));
        assert_eq!(host("*.Example.com"), Ok(model::Host::Below(Domain("example.com".to_owned()))));
    }

    #[test]
    fn what_is_no_host_is_refused_with_what_to_write_instead() {
        for (text, instead) in [
            ("*example.com", Some("write `*.example.com`")),
            ("a.*.com", None),
            ("*.*.com", None),
            ("*.", None),
            ("**", None),
            ("", None),
            ("a..b", None),
            ("-a.b", None),
            ("example.com:8080", Some("write `example.com`")),
            ("*.example.com:80", Some("write `*.example.com`")),
            ("https://example.com/x", Some("write `example.com`")),
            ("10.0.0.1", Some("requests to an address are those of a route without `hosts`")),
            ("10.0.0.1:80", Some("requests to an address are those of a route without `hosts`")),
            ("::1", Some("requests to an address are those of a route without `hosts`")),
            ("[::1]", Some("requests to an address are those of a route without `hosts`")),
            ("[::1]:80", Some("requests to an address are those of a route without `hosts`")),
            ("bücher.example", Some("write `xn--bcher-kva.example`")),
            ("*.bücher.example", Some("write `*.xn--bcher-kva.example`")),
            ("a b.example", None),
            ("1.2.3", None),
        ] {
            assert!(host(text).is_err(), "{text}");
            assert_eq!(help(text).as_deref(), instead, "{text}");
        }
        assert!(host(&format!("{}.example", "a".repeat(64))).is_err());
        assert!(host(&"a.".repeat(130)).is_err());
    }
}
