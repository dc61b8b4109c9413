//! Chooses the policy of a request, by the name of Envoy's route or by host and path.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Policy;
use crate::headers::{Pair, values};

/// The rules that choose the policy of a request.
#[derive(Debug, Default)]
pub struct Rules {
    /// Rules with a route, by the route's name. Each list is in the order of the configuration.
    pub(crate) by_route: BTreeMap<Box<[u8]>, Vec<Rule>>,
    /// Rules without a route.
    pub(crate) any_route: Vec<Rule>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    /// Its place in the configuration. The first rule that matches decides.
    pub(crate) place: usize,
    /// `None` means all hosts.
    pub(crate) hosts: Vec<HostPattern>,
    /// Without a slash at its end, so `/` is the empty prefix.
    pub(crate) prefix: Option<String>,
    pub(crate) policy: Arc<Policy>,
}

/// In lower case.
#[derive(Debug)]
pub(crate) enum HostPattern {
    Exact(String),
    /// The part after the `*`, with its dot.
    Under(String),
}

/// The inputs of rules besides the route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// The value of `:authority`.
    pub authority: &'a [u8],
    /// The value of `:path`, with its query.
    pub path: &'a [u8],
}

impl<'a> Target<'a> {
    /// Reads them from a request.
    #[must_use]
    pub fn of(headers: &[Pair<'a>]) -> Self {
        let first = |name| values(headers, name).next().unwrap_or_default();
        Self { authority: first(":authority"), path: first(":path") }
    }
}

impl Rules {
    /// Returns whether any rule needs the route's name.
    #[must_use]
    pub fn asks_for_route(&self) -> bool {
        !self.by_route.is_empty()
    }

    /// Returns the policy of the first rule that matches.
    #[must_use]
    pub fn policy(&self, route: Option<&[u8]>, target: Target<'_>) -> Option<Arc<Policy>> {
        // Copies the host only for rules that look at it, which few do.
        let host = LazyCell::new(|| host_of(target.authority));
        let path = path_of(target.path);
        let matches = |rule: &Rule| rule.is_for_path(path) && (rule.hosts.is_empty() || rule.is_for_host(&host));
        let first = |rules: &'_ [Rule]| rules.iter().position(matches);
        let of_route = route.and_then(|route| self.by_route.get(route));
        let by_route = of_route.and_then(|rules| rules.get(first(rules)?));
        let any_route = first(&self.any_route).and_then(|place| self.any_route.get(place));
        let rule = match (by_route, any_route) {
            (Some(one), Some(other)) => Some(if one.place < other.place { one } else { other }),
            (one, other) => one.or(other),
        };
        rule.map(|rule| Arc::clone(&rule.policy))
    }
}

impl Rule {
    fn is_for_host(&self, host: &[u8]) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    fn is_for_path(&self, path: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| is_under(path, prefix.as_bytes()))
    }
}

impl HostPattern {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host == name.as_bytes(),
            Self::Under(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
        }
    }
}

/// Returns the host in lower case, without its port and without a dot at its end. These are the
/// same host for Envoy and for DNS, so they must be the same for a rule.
fn host_of(authority: &[u8]) -> Vec<u8> {
    let after_address = authority.iter().rposition(|&byte| byte == b']').map_or(0, |place| place.saturating_add(1));
    let port = authority.iter().skip(after_address).position(|&byte| byte == b':');
    let host = port.and_then(|port| authority.get(..after_address.saturating_add(port))).unwrap_or(authority);
    host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase()
}

/// Returns the path without query and fragment.
fn path_of(path: &[u8]) -> &[u8] {
    path.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default()
}

/// Returns whether the path is the prefix or is below it, in whole segments.
fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_port_no_case_and_no_dot_at_its_end() {
        for (authority, host) in [
            ("API.Example.com:8080", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:80", "api.example.com"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host.as_bytes(), "{authority}");
        }
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        for (path, prefix, under) in [
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/apix", "/api", false),
            ("/ap", "/api", false),
            ("/anything", "", true),
            ("*", "", false),
            ("", "", true),
        ] {
            assert_eq!(is_under(path.as_bytes(), prefix.as_bytes()), under, "{path} under {prefix}");
        }
        assert_eq!(path_of(b"/api?x=/y"), b"/api");
        assert_eq!(path_of(b"/api#x"), b"/api");
    }

    #[test]
    fn a_wildcard_is_any_host_under_it_but_not_the_host_itself() {
        let pattern = HostPattern::Under(".example.com".to_owned());
        assert!(pattern.matches(b"a.example.com"));
        assert!(pattern.matches(b"a.b.example.com"));
        assert!(!pattern.matches(b"example.com"));
        assert!(!pattern.matches(b"badexample.com"));
        assert!(!pattern.matches(b".example.com"));
    }
}
