//! Scenarios: a configuration of the filter, requests in their order, and what becomes of each. The
//! same are run against the core, natively, and against the module in a real Envoy.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// A configuration and what it does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// The filter's configuration.
    pub config: Value,
    pub steps: Vec<Step>,
}

/// A request and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    #[serde(default)]
    pub send: Send,
    #[serde(default)]
    pub get: Get,
    /// How often in a row; once unless said.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Send {
    pub method: String,
    pub host: String,
    pub path: String,
    /// The client's address.
    pub from: String,
    pub headers: BTreeMap<String, OneOrMany>,
    /// Headers of the upstream's response.
    pub respond: BTreeMap<String, OneOrMany>,
}

impl Default for Send {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            host: "api.test".into(),
            path: "/".into(),
            from: "192.0.2.1".into(),
            headers: BTreeMap::new(),
            respond: BTreeMap::new(),
        }
    }
}

/// A value of a header, or all of several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Names and values one by one.
pub fn flat(headers: &BTreeMap<String, OneOrMany>) -> Vec<(String, String)> {
    let values = |value: &OneOrMany| match value {
        OneOrMany::One(value) => vec![value.clone()],
        OneOrMany::Many(values) => values.clone(),
    };
    headers.iter().flat_map(|(name, value)| values(value).into_iter().map(|value| (name.clone(), value))).collect()
}

/// What must be seen. What is not said may be anything; a status is 200, unless said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Get {
    pub status: u16,
    /// The code in the problem document.
    pub code: Option<String>,
    /// The path that the upstream sees.
    pub path: Option<String>,
    /// Headers that the upstream sees: all values of the name joined by a comma, or null for none.
    /// A `*` at its end stands for anything.
    pub upstream: BTreeMap<String, Option<String>>,
    /// The same of the response.
    pub response: BTreeMap<String, Option<String>>,
}

impl Default for Get {
    fn default() -> Self {
        Self { status: 200, code: None, path: None, upstream: BTreeMap::new(), response: BTreeMap::new() }
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub status: u16,
    pub code: Option<String>,
    /// The path and the headers that the upstream saw; none where it saw no request, or told
    /// nothing of it.
    pub upstream: Option<(String, Vec<(String, String)>)>,
    pub response: Vec<(String, String)>,
}

impl Get {
    /// Panics where something else was seen.
    pub fn check(&self, seen: &Seen, place: &str) {
        assert_eq!((seen.status, &seen.code), (self.status, &self.code), "{place}: {seen:#?}");
        check_all(&self.response, &seen.response, &format!("{place}, response"));
        if let Some((path, headers)) = &seen.upstream {
            assert!(self.path.as_ref().is_none_or(|expected| expected == path), "{place}: the upstream saw {path}");
            check_all(&self.upstream, headers, &format!("{place}, upstream"));
        } else {
            assert!(self.path.is_none() && self.upstream.is_empty(), "{place}: no upstream saw it: {seen:#?}");
        }
    }
}

fn check_all(expected: &BTreeMap<String, Option<String>>, seen: &[(String, String)], place: &str) {
    for (name, expected) in expected {
        let values: Vec<&str> =
            seen.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        let joined = (!values.is_empty()).then(|| values.join(","));
        let is_met = match (expected, &joined) {
            (Some(pattern), Some(value)) => match pattern.strip_suffix('*') {
                Some(start) => value.starts_with(start),
                None => value == pattern,
            },
            (expected, joined) => expected == joined,
        };
        assert!(is_met, "{place}: {name} is {joined:?}, not {expected:?}");
    }
}

/// All scenarios, in the folder of this file.
pub fn all() -> Vec<Scenario> {
    let scenarios = |root: &Path| root.join("filters/gateway/tests/scenarios");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|root| scenarios(root).is_dir());
    let folder = scenarios(root.expect("the workspace has them"));
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| -> Vec<Scenario> {
        let text = fs::read_to_string(path).unwrap();
        let mut value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        value.apply_merge().unwrap();
        serde_yaml::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().flat_map(read).collect()
}
