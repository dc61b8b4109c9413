//! The ways to the upstream that are compared. Each proxy has one worker, speaks HTTP/1.1 in the
//! clear, and is as it comes but for what streams and downloads need.

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

/// The connections that each has room for. A stream takes two.
pub const CONNECTIONS: usize = 5_000;

/// What a proxy checks before it passes a request on.
#[derive(Clone, Copy)]
pub enum Check {
    /// Nothing.
    None,
    /// Who has not alice's key is answered with 401, who asks more than so often a second with 429.
    /// The upstream hears of alice, and not of her key.
    KeyAndLimit(usize),
}

/// A limit that is never reached.
pub const UNREACHED: Check = Check::KeyAndLimit(1_000_000);

/// Where the first two are among those that [`start_for_streams`] starts.
pub const DIRECT: usize = 0;
pub const PLAIN: usize = 1;

/// A proxy.
pub struct Subject {
    pub name: &'static str,
    /// Whether it can limit rates.
    pub limits: bool,
    /// What it checks of the request of a stream.
    streams: Check,
    /// Writes into a folder how it listens at a port and goes to the upstream's; gives what runs it
    /// so.
    command: fn(&Path, u16, u16, Check) -> Command,
}

/// All of them. Those after it are compared with the first.
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

    /// The same as it is for streams.
    pub async fn start_for_streams(&self, upstream: u16) -> Variant {
        self.start(upstream, self.streams).await
    }
}

/// The upstream itself and all proxies, as they are for streams.
pub async fn start_for_streams(upstream: Variant) -> Vec<Variant> {
    let port = upstream.port;
    let mut variants = vec![upstream];
    for subject in &PROXIES {
        variants.push(subject.start_for_streams(port).await);
    }
    variants
}

/// Returns the versions of what is compared, in its own words. Fails where one is missing.
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

/// The program of a peer: the one that the variable names, or what `make peers` leaves.
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
