//! Six ways to the same upstream, side by side: none in between, plain Envoy, what
//! `legation dump --static` makes of a gateway file, nginx, HAProxy and Caddy, each with one
//! worker, over HTTP/1.1 in the clear. Measured are the lag of server-sent events and the time to
//! the first byte, downloads, the memory of idle streams, and small requests with an equal check of
//! the key and limit.
//!
//! `cargo bench -p legation --bench streams -- lag download idle requests` names the parts to run, and
//! `rounds=5`, `mebibytes=1024` and `streams=2000` beside them how much of them. Without arguments all
//! parts run so. `make peers` gets the three proxies that nobody here wrote; `NGINX`, `HAPROXY` and
//! `CADDY` name others.

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
    // The client and the upstream have one thread each, too.
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

/// Every stream is a file or two, here and in all processes that this one starts.
fn open_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}
