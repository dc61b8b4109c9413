//! The ways to the upstream. Each proxy has one worker, speaks HTTP/1.1 in the clear, and has its
//! defaults except for what streams and downloads need.

mod caddy;
mod envoy;
mod haproxy;
mod legation;
mod nginx;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use legation_testing::{eventually, free_port, measure::variant::Variant, root};
use tempfile::TempDir;

/// The most connections of each proxy. A stream takes two.
pub const CONNECTIONS: usize = 5_000;

/// What a proxy checks before it forwards a request.
#[derive(Clone, Copy)]
pub enum Check {
    /// Nothing.
    None,
    /// Requests without alice's key get 401, and requests beyond this many a second get 429. The
    /// upstream sees alice's name and not her key.
    KeyAndLimit(usize),
}

/// A check whose limit no load here reaches.
pub const UNREACHED: Check = Check::KeyAndLimit(1_000_000);

/// The places of the first two in the list of [`start_for_streams`].
pub const DIRECT: usize = 0;
pub const PLAIN: usize = 1;

/// A proxy.
pub struct Subject {
    pub name: &'static str,
    /// Whether it can limit rates.
    pub limits: bool,
    /// What it checks of a stream's request.
    streams: Check,
    /// Writes its configuration, for its own port and the upstream's, into a folder. Returns the
    /// command that runs it.
    command: fn(&Path, u16, u16, Check) -> Command,
}

/// All proxies. The others are compared with the first one.
pub const PROXIES: [Subject; 5] = [
    Subject { name: "plain Envoy", limits: true, streams: Check::None, command: envoy::command },
    Subject { name: "Legation", limits: true, streams: UNREACHED, command: legation::command },
    Subject { name: "nginx", limits: true, streams: Check::None, command: nginx::command },
    Subject { name: "HAProxy", limits: true, streams: Check::None, command: haproxy::command },
    Subject { name: "Caddy", limits: false, streams: Check::None, command: caddy::command },
];

impl Subject {
    /// Starts it, and waits until it answers.
    pub async fn start(&self, upstream: u16, check: Check) -> Variant {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let mut command = (self.command)(folder.path(), port, upstream, check);
        let variant = Variant::start(self.name, port, folder, &mut command);
        eventually(&format!("{} answers", self.name), async || variant.answers().await).await;
        variant
    }

    /// Starts it with its check for streams.
    pub async fn start_for_streams(&self, upstream: u16) -> Variant {
        self.start(upstream, self.streams).await
    }
}

/// Starts all proxies with their checks for streams. The list begins with the upstream.
pub async fn start_for_streams(upstream: Variant) -> Vec<Variant> {
    let port = upstream.port;
    let mut variants = vec![upstream];
    for subject in &PROXIES {
        variants.push(subject.start_for_streams(port).await);
    }
    variants
}

/// Returns the versions of all proxies, in their own words. Fails if one is missing.
pub fn versions() -> String {
    let programs = [
        (legation_testing::envoy(), "--version"),
        (program("nginx"), "-v"),
        (program("haproxy"), "-v"),
        (program("caddy"), "version"),
    ];
    let first_line = |(program, argument): (PathBuf, &str)| {
        let output = Command::new(&program).arg(argument).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{name}: {}\n", said.trim().lines().next().unwrap_or_default())
    };
    programs.map(first_line).concat()
}

/// Returns the program of a peer: the one that the variable names, or the one of `make peers`.
fn program(name: &str) -> PathBuf {
    let variable = name.to_uppercase();
    let fetched = root().join("target/peers/bin").join(name);
    let path = env::var_os(&variable).map_or(fetched, PathBuf::from);
    assert!(
        path.is_file(),
        "this benchmark needs {name} and {} is none: run `make peers`, or set {variable}",
        path.display()
    );
    path
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}
