//! A running stream keeps the route that it began with: whatever the file says of that route
//! meanwhile counts for later requests only.

use std::{net::SocketAddr, time::Duration};

use futures::future::join_all;

use legation_testing::{ALICE_KEY, Answerer, Client, Direction, File, Flow, Gateway, Http, eventually, upstream};

/// Long enough for a stream to begin on a busy machine.
const LIMIT: Duration = Duration::from_secs(3);

/// Returns the file after this many edits, with these fields of the route that the streams began
/// with. Without fields, the route and its cluster are gone.
fn file([one, two]: [SocketAddr; 2], edits: usize, fields: &str) -> File {
    let file = File::routes("- {name: edits, match: {prefix: /edits}, respond: {status: 200, body: \"$EDITS\"}}")
        .cluster("two", two)
        .alice()
        .bob()
        .set("EDITS", edits)
        .set("POLICY", "api_key: {}, rate_limit: {limit: 1000, window: 1h}")
        .set("LIMIT", format!("{}s", LIMIT.as_secs()));
    match fields {
        "" => file,
        fields => file.and_route("kept", "/kept", fields).cluster("one", one),
    }
}

/// A gateway with running streams of both clients in both directions.
struct Running {
    gateway: Gateway,
    upstream: Answerer,
    addresses: [SocketAddr; 2],
    clients: [Client; 2],
    moving: Vec<Flow>,
    silent: Vec<Flow>,
    edits: usize,
}

impl Running {
    async fn start() -> Self {
        let answerer = Answerer::start(Http::One).await;
        let addresses = [answerer.address, upstream("two").await];
        let first = "cluster: one, stream: download, $POLICY";
        // With one worker, an edit takes effect for all requests at once.
        let gateway = file(addresses, 0, first).start_with(["--concurrency", "1"]).await;
        let (clients, url) = (Http::BOTH.map(Client::over), gateway.url("/kept"));
        let (mut moving, mut silent) = (Vec::new(), Vec::new());
        for client in &clients {
            for direction in [Direction::Down, Direction::Up] {
                moving.push(Flow::begin(client, &answerer, &url, direction).await);
                silent.push(Flow::begin(client, &answerer, &url, direction).await);
            }
        }
        Self { gateway, upstream: answerer, addresses, clients, moving, silent, edits: 0 }
    }

    /// Gives the route these fields.
    async fn edit(&mut self, fields: &str) {
        self.edits += 1;
        self.gateway.edit(file(self.addresses, self.edits, fields)).await;
        let number = self.edits.to_string();
        eventually("the edit takes effect", || async { self.gateway.get("/edits", &[]).await.body == number }).await;
    }

    /// Makes sure that the moving streams still move.
    async fn go_on(&mut self) {
        join_all(self.moving.iter_mut().map(Flow::moves)).await;
    }

    /// Begins another stream.
    async fn newcomer(&self) -> Flow {
        Flow::begin(&self.clients[1], &self.upstream, &self.gateway.url("/kept"), Direction::Down).await
    }

    /// Waits until a new request gets this status.
    async fn answers(&self, status: u16) {
        let (client, url, key) = (&self.gateway.client, self.gateway.url("/kept"), [("x-api-key", ALICE_KEY)]);
        eventually("a request is answered anew", || client.gets(status, &url, &key)).await;
    }
}

/// What becomes of a stream that begins after an edit.
enum Newcomer {
    /// A stream that is cut after [`LIMIT`], whether it moves or not.
    IsCut {
        moving: bool,
    },
    IsWhole,
    /// A request that gets this status at once.
    Gets(u16),
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_stream_keeps_the_route_that_it_began_with() {
    use Newcomer::{Gets, IsCut, IsWhole};

    let mut running = Running::start().await;
    let mut cut = Vec::new();
    for (fields, newcomer) in [
        // The running streams live longer than these limits, and some are silent for longer.
        ("cluster: one, stream: download, timeouts: {max_stream: $LIMIT}, $POLICY", IsCut { moving: true }),
        ("cluster: one, stream: download, timeouts: {idle: $LIMIT}, $POLICY", IsCut { moving: false }),
        ("cluster: one, stream: download, timeouts: {request: $LIMIT}, $POLICY", IsCut { moving: true }),
        // Another preset, and none.
        ("cluster: one, stream: sse, $POLICY", IsWhole),
        ("cluster: one, $POLICY", IsWhole),
        // The filter goes, and comes back with a rule that would refuse them.
        ("cluster: one, stream: download", IsWhole),
        ("cluster: one, stream: download, api_key: {consumers: [bob]}", Gets(403)),
        // The route leads elsewhere, then answers by itself, then is gone with its cluster.
        ("cluster: two, stream: download", Gets(200)),
        ("respond: {status: 204}", Gets(204)),
        ("", Gets(404)),
    ] {
        running.edit(fields).await;
        match newcomer {
            IsCut { moving } => cut.push(tokio::spawn(running.newcomer().await.aborts_after(LIMIT, moving))),
            IsWhole => running.newcomer().await.ends_whole().await,
            Gets(status) => running.answers(status).await,
        }
        running.go_on().await;
    }
    // These streams keep their limits, too.
    for newcomer in cut {
        newcomer.await.unwrap();
    }
    for mut flow in running.moving.into_iter().chain(running.silent) {
        flow.moves().await;
        flow.ends_whole().await;
    }
}
