//! Builds the gateway file of a test from parts.

use std::fmt;

use super::{ALICE_SHA256, BOB_SHA256, CAROL_SHA256, Gateway, Options};

/// A gateway file. Its parts are in the file's own words: lines of a list, with any indentation.
///
/// `$NAME` stands for a value of [`File::set`]. Every file has some values: `$ALICE`, `$BOB` and
/// `$CAROL` are the digests of their keys, and `$PORT` is the port of the gateway's first listener.
///
/// By default the file has one listener, `http` at `$PORT`.
#[derive(Clone, Debug, Default)]
pub struct File {
    listeners: String,
    /// Further fields of the listener `http`.
    listener: String,
    more_listeners: String,
    routes: String,
    clusters: String,
    consumers: String,
    plans: String,
    top: String,
    values: Vec<(&'static str, String)>,
}

impl File {
    /// A file with these routes.
    pub fn routes(lines: impl fmt::Display) -> Self {
        Self::default().and_routes(lines)
    }

    /// A file whose only route answers every request with this body.
    pub fn answering(body: impl fmt::Display) -> Self {
        Self::routes("- {name: a, match: {prefix: /}, respond: {status: 200, body: $BODY}}").set("BODY", body)
    }

    /// Further routes.
    pub fn and_routes(mut self, lines: impl fmt::Display) -> Self {
        self.routes += &unindented(&lines.to_string());
        self
    }

    /// A further route for a prefix, with these fields beside.
    pub fn and_route(self, name: impl fmt::Display, prefix: impl fmt::Display, fields: impl fmt::Display) -> Self {
        self.and_routes(format!("- {{name: {name}, match: {{prefix: {prefix}}}, {fields}}}"))
    }

    /// A cluster with one endpoint.
    pub fn cluster(self, name: &str, endpoint: impl fmt::Display) -> Self {
        self.clusters(format!("- {{name: {name}, endpoints: [\"{endpoint}\"]}}"))
    }

    /// A cluster with one endpoint and further fields.
    pub fn cluster_with(self, name: &str, endpoint: impl fmt::Display, fields: &str) -> Self {
        self.clusters(format!("- {{name: {name}, endpoints: [\"{endpoint}\"], {fields}}}"))
    }

    /// Further clusters.
    pub fn clusters(mut self, lines: impl fmt::Display) -> Self {
        self.clusters += &unindented(&lines.to_string());
        self
    }

    /// Gives the listener `http` further fields.
    pub fn listener_with(mut self, fields: impl fmt::Display) -> Self {
        self.listener = format!(", {fields}");
        self
    }

    /// Listeners beside `http`.
    pub fn and_listeners(mut self, lines: impl fmt::Display) -> Self {
        self.more_listeners += &unindented(&lines.to_string());
        self
    }

    /// A listener beside `http`, at this port.
    pub fn and_listener(self, name: &str, port: u16) -> Self {
        self.and_listener_with(name, port, "")
    }

    /// The same with further fields.
    pub fn and_listener_with(self, name: &str, port: u16, fields: impl fmt::Display) -> Self {
        self.and_listeners(format!("- {{name: {name}, port: {port}, {fields}}}"))
    }

    /// Puts the listener `http` at this port, where no gateway chooses one.
    pub fn port(self, port: u16) -> Self {
        self.listeners(format!("- {{name: http, port: {port}}}"))
    }

    /// Listeners in place of `http`.
    pub fn listeners(mut self, lines: impl fmt::Display) -> Self {
        self.listeners = unindented(&lines.to_string());
        self
    }

    /// Alice, by her key.
    pub fn alice(self) -> Self {
        self.consumer("alice", "$ALICE")
    }

    /// Bob, by his key.
    pub fn bob(self) -> Self {
        self.consumer("bob", "$BOB")
    }

    /// A consumer whose key has this digest.
    pub fn consumer(self, name: impl fmt::Display, sha256: impl fmt::Display) -> Self {
        self.consumers(format!("- {{name: {name}, api_keys: [{{sha256: {sha256}}}]}}"))
    }

    /// Further consumers.
    pub fn consumers(mut self, lines: impl fmt::Display) -> Self {
        self.consumers += &unindented(&lines.to_string());
        self
    }

    /// Further plans.
    pub fn plans(mut self, lines: impl fmt::Display) -> Self {
        self.plans += &unindented(&lines.to_string());
        self
    }

    /// Further lines at the top level of the file, at its end.
    pub fn top(mut self, lines: impl fmt::Display) -> Self {
        self.top += &unindented(&lines.to_string());
        self
    }

    /// Sets the value of `$NAME`. A later value replaces an earlier one.
    pub fn set(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.retain(|(named, _)| *named != name);
        self.values.push((name, value.to_string()));
        self
    }

    /// Runs a gateway on it, and waits until Envoy has confirmed it.
    pub async fn start(self) -> Gateway {
        Gateway::run(Options::default(), self).await
    }

    /// Works as [`Self::start`], with options or further arguments of `legation run`.
    pub async fn start_with(self, options: impl Into<Options>) -> Gateway {
        Gateway::run(options, self).await
    }

    /// Works as [`Self::start`], but waits only until the control plane serves.
    pub async fn begin_with(self, options: impl Into<Options>) -> Gateway {
        Gateway::begin(options, self).await
    }

    /// Returns the file for a gateway whose first listener has this port.
    pub fn at(&self, port: u16) -> String {
        complete(&self.to_string(), port)
    }
}

impl fmt::Display for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let http = format!("- {{name: http, port: $PORT{}}}\n", self.listener);
        let listeners = if self.listeners.is_empty() { &http } else { &self.listeners };
        let mut text = format!("version: 1\nlisteners:\n{listeners}{}", self.more_listeners);
        let parts = [
            ("routes", &self.routes),
            ("clusters", &self.clusters),
            ("consumers", &self.consumers),
            ("plans", &self.plans),
        ];
        for (name, lines) in parts {
            if !lines.is_empty() {
                text += &format!("{name}:\n{lines}");
            }
        }
        text += &self.top;
        formatter.write_str(&replace(&text, self.values.iter().map(|(name, value)| (*name, value.as_str()))))
    }
}

/// Returns a text with all values filled in. No name may be left.
pub(super) fn complete(text: &str, port: u16) -> String {
    let port = port.to_string();
    let known = [("PORT", port.as_str()), ("ALICE", ALICE_SHA256), ("BOB", BOB_SHA256), ("CAROL", CAROL_SHA256)];
    let text = replace(text, known.into_iter());
    let left = text.split('$').skip(1).find(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()));
    assert_eq!(left, None, "nobody says what it stands for");
    text
}

/// Replaces each name by its value. Values may contain other names, so the order matters.
fn replace<'a>(text: &str, values: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    values.fold(text.to_owned(), |text, (name, value)| {
        let name = format!("${name}");
        let mut parts = text.split(&name);
        let mut replaced = parts.next().unwrap_or_default().to_owned();
        for rest in parts {
            // `$PORTS` is not `$PORT`.
            let is_longer = rest.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_');
            replaced += if is_longer { &name } else { value };
            replaced += rest;
        }
        replaced
    })
}

/// Returns the lines of a text without their common indentation, and without empty lines around
/// them.
fn unindented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let indented = |line: &str| line.len() - line.trim_start().len();
    let common = lines.clone().map(indented).min().unwrap_or_default();
    lines.map(|line| format!("{}\n", &line[common..])).collect()
}
