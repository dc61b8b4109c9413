//! A gateway under attack, the others that it serves meanwhile, and what attackers are made of.

use std::{fs, future::Future, net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time,
};

use crate::support::{ALICE_KEY, ALICE_SHA256, Events, Gateway, Hammer, Options, PATIENCE, http2::field, upstream};

/// Turns the filter on, and lets alice pass.
pub const POLICY: &str = "api_key: {}, rate_limit: {limit: 1000000, window: 1h, by: consumer}";

pub const MIB: usize = 1 << 20;

/// Further parts of a file, each as lines of a list.
#[derive(Default)]
pub struct Parts {
    pub listeners: String,
    routes: String,
    clusters: String,
}

impl Parts {
    /// Adds a route and a cluster of this name, whose prefix and whose only endpoint these are, with further fields of either.
    pub fn add(&mut self, name: &str, endpoint: SocketAddr, route: &str, cluster: &str) {
        self.routes += &format!("- {{name: {name}, match: {{prefix: /{name}}}, cluster: {name}, {POLICY}, {route}}}\n");
        self.clusters += &format!("- {{name: {name}, endpoints: [\"{endpoint}\"], {cluster}}}\n");
    }
}

/// A gateway that others use.
pub struct Scene {
    pub gateway: Gateway,
    others: Hammer,
    events: Events,
    begun: Instant,
    /// Of Envoy, in KiB, before the attack.
    memory: usize,
}

impl Scene {
    /// Runs a gateway on a file with these parts. What is there already: the cluster `fine`, whose upstream answers, its route
    /// `/fine`, which the others use, and `/`, which the gateway answers by itself. All routes have the filter on them.
    pub async fn open(parts: &Parts) -> Self {
        let fine = upstream("fine").await;
        // At the end there are streams that never end.
        let options = Options { drain: "0s", ..Options::default() };
        let gateway = Gateway::start_with(options, |port| file(port, fine, parts)).await;
        let others = Hammer::start(gateway.url("/fine"));
        let events = Events::open(gateway.url("/fine/events/sse")).await;
        let pid = gateway.envoy_pid();
        // Its peak is counted anew from here.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("it is our child");
        let memory = memory(&gateway, "VmRSS");
        Self { gateway, others, events, begun: Instant::now(), memory }
    }

    /// Makes sure that the others were served and are, and that Envoy never took more than this further memory, in MiB.
    pub async fn ends_unharmed(mut self, most: usize) {
        self.events.go_on().await;
        let (took, answered) = (self.begun.elapsed(), self.others.stop().await);
        println!("{answered} requests of others in {took:?}");
        assert!(answered as u128 > took.as_millis() / 250, "others wait: {answered} in {took:?}");
        let grown = memory(&self.gateway, "VmHWM").saturating_sub(self.memory) / 1024;
        println!("Envoy's memory grew by {grown} MiB");
        assert!(grown <= most, "Envoy's memory grew by {grown} MiB");
    }
}

fn file(port: u16, fine: SocketAddr, Parts { listeners, routes, clusters }: &Parts) -> String {
    format!(
        r#"
version: 1
listeners:
- {{name: http, port: {port}}}
{listeners}
routes:
- {{name: own, match: {{prefix: /}}, respond: {{status: 200}}, {POLICY}}}
- {{name: fine, match: {{prefix: /fine}}, cluster: fine, {POLICY}}}
- {{name: events, match: {{prefix: /fine/events}}, cluster: fine, stream: sse, {POLICY}}}
{routes}
clusters:
- {{name: fine, endpoints: ["{fine}"]}}
{clusters}
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
    )
}

/// What the system says of Envoy's memory, in KiB.
fn memory(gateway: &Gateway, what: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.envoy_pid())).expect("it runs");
    let value = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')?.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).expect("the system says it")
}

/// An upstream that does this with each of its connections.
pub async fn upstream_that<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    address
}

pub async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("Envoy accepts connections");
    stream.set_nodelay(true).expect("a TCP option");
    stream
}

/// The head of a request of alice's over HTTP/1.1: its first line without the version, and its headers.
pub fn head(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\n{headers}\r\n")
}

/// The same for HTTP/2, as a block of headers.
pub fn block(method: &str, path: &str) -> Vec<u8> {
    let fields =
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a"), ("x-api-key", ALICE_KEY)];
    fields.iter().flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes())).collect()
}

/// Sends this and gives all that comes until the connection ends.
pub async fn exchange(port: u16, bytes: &[u8]) -> String {
    let (mut reader, mut writer) = connect(port).await.into_split();
    let mut answer = Vec::new();
    // The end may be a reset, and come before all is written.
    let both = async { tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut answer)) };
    let ended = time::timeout(PATIENCE, both).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_ok(), "no end of {:?}: {answer}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
    answer
}

/// The statuses of answers over HTTP/1.1, one after the other.
pub fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()).collect()
}
