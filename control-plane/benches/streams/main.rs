//! Six ways to the same upstream, side by side: nothing in between, plain Envoy, the output of
//! `legation dump --static`, nginx, HAProxy and Caddy. Each proxy has one worker and speaks
//! HTTP/1.1 in the clear.
//!
//! The bench measures the lag of server-sent events, the time to the first byte, downloads, the
//! memory of idle streams, and small requests with an equal check of the key and limit.
//!
//! These are the defaults of the parts and their sizes:
//!
//! ```text
//! cargo bench -p legation --bench streams -- \
//!     lag download idle requests rounds=5 mebibytes=1024 streams=2000
//! ```
//!
//! `make peers` fetches nginx, HAProxy and Caddy; `NGINX`, `HAPROXY` and `CADDY` name other
//! binaries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod answer;
mod crowd;
mod download;
mod idle;
mod lag;
mod requests;
mod rounds;
mod stamp;
mod subjects;
mod table;
mod upstream;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn main() {
    // The client has one thread, as the proxies do.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    open_files();
    if let Some(port) = upstream::is_wanted() {
        return runtime.block_on(upstream::run(port));
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (amounts, parts): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.contains('='));
    let is_asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| *asked == part);
    let amount = |name: &str, unless_said: usize| {
        let said = amounts.iter().find_map(|amount| amount.strip_prefix(name)?.strip_prefix('='));
        said.map_or(unless_said, |amount| amount.parse().unwrap())
    };
    let rounds = amount("rounds", 5);
    println!("{}", subjects::versions());
    if is_asked("lag") {
        runtime.block_on(lag::measure(rounds));
    }
    if is_asked("download") {
        runtime.block_on(download::measure(rounds, amount("mebibytes", 1024)));
    }
    if is_asked("idle") {
        runtime.block_on(idle::measure(amount("streams", 2000)));
    }
    if is_asked("requests") {
        runtime.block_on(requests::measure(rounds));
    }
}

/// Raises the limit of open files. Every stream takes one or two, here and in the child processes.
fn open_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}
