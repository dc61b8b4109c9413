//! Clients that take more than their share. The server refuses each, and serves the others on.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use crate::support::{
    Client, Wire, kind,
    recorder::Recorder,
    server::{ADS_DELTA, Server, Stream},
    snapshot,
};
use legation::{
    snapshot::Snapshot,
    xds::{
        Delta, Event, Plan, Refusal, Sotw,
        server::{
            Limits, Options,
            tls::{Files, Tls},
        },
        session::LONGEST_NAME,
    },
};
use legation_protos::ResourceType;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

const ALL: &str = "CDS a@1";

/// A time that is short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);

async fn server(limits: Limits) -> Server {
    Server::start_with(Options { limits, ..Options::default() }, Some(snapshot(1, ALL))).await
}

/// Opens a connection and says these bytes.
async fn says(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Waits until the server closes a connection. What it says before does not matter.
async fn is_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    // The connection may also be reset, if bytes were left unread.
    let _ = end.expect("closed within 20 s");
}

/// Waits until a well-behaved client is served.
async fn is_served(server: &Server) -> Stream<Delta> {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut stream = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            tick.tick().await;
            let Ok(channel) = server.try_channel().await else { continue };
            if let Ok(stream) = Stream::<Delta>::open(channel, ADS_DELTA).await {
                return stream;
            }
        }
    })
    .await
    .expect("a stream opens within 20 s");
    stream.asks(kind("CDS").type_url(), &[]).await;
    assert_eq!(stream.hears().await.unwrap(), "CDS +a@1");
    stream
}

/// Asks for endpoints with these names.
async fn wants(stream: &Stream<Delta>, names: &[String]) {
    let request = Delta::from_node(Delta::request(kind("EDS").type_url(), names, "", None), "client");
    // A stream that is refused takes no more requests.
    let _ = stream.requests.send(request).await;
}

/// This many names, each as long as a name may be.
fn long_names(first: usize, count: usize) -> Vec<String> {
    (first..first + count).map(|number| format!("{number:0LONGEST_NAME$}")).collect()
}

#[tokio::test]
async fn a_connection_that_does_not_begin_to_speak_is_closed() {
    let server = server(Limits { handshake: SHORT, ..Limits::default() }).await;
    is_closed(says(server.port, b"").await).await;
    is_closed(says(server.port, b"PRI * HTTP/2.0\r\n").await).await;
    is_closed(says(server.port, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await).await;
    is_served(&server).await;
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_end_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = legation_testing::pki::Authority::new("servers").pair(&["localhost"]).write(folder.path(), "xds");
    let tls = Some(Arc::new(Tls::new(Files { cert, key, client_ca: None }).unwrap()));
    let limits = Limits { handshake: SHORT, ..Limits::default() };
    let server = Server::start_with(Options { tls, limits, ..Options::default() }, None).await;
    is_closed(says(server.port, b"").await).await;
    // The head of a record that never comes.
    is_closed(says(server.port, &[22, 3, 1, 0x3f, 0xff]).await).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_others_leave() {
    let server = server(Limits { connections: 2, ..Limits::default() }).await;
    let silent = says(server.port, b"").await;
    let served = is_served(&server).await;
    is_closed(says(server.port, b"").await).await;
    drop(silent);
    is_served(&server).await;
    drop(served);
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_until_others_end() {
    let server = server(Limits { streams: 1, ..Limits::default() }).await;
    let first = is_served(&server).await;
    let refused = server.try_open::<Delta>(ADS_DELTA).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(first);
    is_served(&server).await;
}

#[tokio::test]
async fn a_connection_has_only_so_many_streams() {
    let server = server(Limits { streams_of_a_connection: 2, ..Limits::default() }).await;
    let channel = server.channel().await;
    let first = Stream::<Delta>::open(channel.clone(), ADS_DELTA).await.unwrap();
    let _second = Stream::<Delta>::open(channel.clone(), ADS_DELTA).await.unwrap();
    let mut third = Box::pin(Stream::<Delta>::open(channel, ADS_DELTA));
    assert!(tokio::time::timeout(SHORT, &mut third).await.is_err(), "it has to wait");
    drop(first);
    third.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_asks_for_nothing_is_ended() {
    let server = server(Limits { first_request: SHORT, ..Limits::default() }).await;
    let mut idle = server.open::<Delta>(ADS_DELTA).await;
    let mut busy = is_served(&server).await;
    assert_eq!(idle.hears().await.unwrap_err().code(), Code::DeadlineExceeded);
    server.plans.send_replace(Plan::all(Some(snapshot(2, "CDS a@1, EDS b@1"))));
    busy.asks(kind("EDS").type_url(), &["b"]).await;
    assert_eq!(busy.hears().await.unwrap(), "EDS +b@1", "one that asked may be silent for long");
}

#[tokio::test]
async fn the_names_of_a_stream_are_bounded_however_many_requests_bring_them() {
    let server = server(Limits::default()).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    for nonce in 1..=4 {
        wants(&stream, &long_names(nonce * 1000, 1000)).await;
        stream.hears().await.unwrap();
        let ack = Delta::request(kind("EDS").type_url(), &[], &nonce.to_string(), None);
        stream.requests.send(ack).await.unwrap();
    }
    wants(&stream, &long_names(5000, 1000)).await;
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::ResourceExhausted);
    is_served(&server).await;
}

/// Names that the client does not want any more, but to which a wildcard makes the server owe an
/// answer, on a stream that answers nothing.
#[test]
fn the_names_that_a_stream_is_owed_are_bounded() {
    let mut delta = Client::<Delta>::at("CDS a@1");
    delta.asks("CDS *");
    delta.hears();
    let refused = (0..10).find_map(|round| {
        let names = long_names(round * 1000, 1000);
        let unwanted = names.iter().map(|name| format!("-{name}")).collect::<Vec<_>>();
        [names, unwanted].into_iter().find_map(|names| delta.try_asks(&format!("CDS {}", names.join(" "))).err())
    });
    assert_eq!(refused, Some(Refusal::TooManyNames));

    let mut sotw = Client::<Sotw>::at("CDS a@1");
    sotw.asks("CDS *");
    sotw.hears();
    let refused = (0..10).find_map(|round| {
        let names = long_names(round * 1000, 1000).join(" ");
        sotw.sends(Sotw::request(
            kind("CDS").type_url(),
            &format!("* {names}").split(' ').map(str::to_owned).collect::<Vec<_>>(),
            "",
            None,
        ))
        .err()
    });
    assert_eq!(refused, Some(Refusal::TooManyNames));
}

#[test]
fn what_a_client_says_it_holds_counts_until_that_is_settled() {
    for kind in ["ECDS", "CDS"] {
        let mut client = Client::<Delta>::at("CDS a@1");
        let held = long_names(0, 100).iter().map(|name| format!("{name}@1")).collect::<Vec<_>>().join(" ");
        client.asks_holding(&format!("{kind} *"), &held);
        let said = 100 * LONGEST_NAME;
        assert!(client.session.bytes() > said);
        client.later(2000);
        client.hears();
        assert!(client.session.bytes() > said, "{kind}: it may reject that they are gone");
        client.acks(kind);
        assert!(client.session.bytes() < said, "{kind}");
    }
}

#[tokio::test]
async fn a_node_with_a_long_name_is_refused() {
    let server = server(Limits::default()).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    let request = Delta::request(kind("CDS").type_url(), &[], "", None);
    stream.requests.send(Delta::from_node(request, &"x".repeat(LONGEST_NAME + 1))).await.unwrap();
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(server.recorder.events(), []);
}

#[tokio::test]
async fn the_names_of_all_streams_together_are_bounded_until_some_end() {
    let server = server(Limits { held: 1 << 20, ..Limits::default() }).await;
    let names = long_names(0, 150);
    let mut first = server.open::<Delta>(ADS_DELTA).await;
    wants(&first, &names).await;
    first.hears().await.unwrap();
    let mut second = server.open::<Delta>(ADS_DELTA).await;
    wants(&second, &names).await;
    assert_eq!(second.hears().await.unwrap_err().code(), Code::ResourceExhausted);
    drop(first);
    // The server refused the other before it had said its node.
    server.recorder.until("the stream ends", |recorder| recorder.closed_streams().len() == 1).await;
    let mut third = server.open::<Delta>(ADS_DELTA).await;
    wants(&third, &names).await;
    third.hears().await.unwrap();
}

#[tokio::test]
async fn a_request_that_would_be_much_larger_in_memory_is_refused_unread() {
    let server = server(Limits::default()).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    wants(&stream, &vec![String::new(); 4_000_000]).await;
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::ResourceExhausted);
    is_served(&server).await;
}

#[tokio::test]
async fn a_request_that_is_not_complete_counts_before_it_is() {
    let server = server(Limits { held: 1 << 20, ..Limits::default() }).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    wants(&stream, &long_names(0, 1000)).await;
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::ResourceExhausted);
    is_served(&server).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_holds_no_more_than_a_few_of_a_thousand_generations() {
    let server = Server::start(None).await;
    let big = |generation: u64| {
        let resources = (0..16).map(|number| {
            let mut resource = crate::support::resource(&format!("{number:02}@{generation}"));
            // Together they are larger than what HTTP/2 lets through unread.
            resource.body = vec![b'x'; 200_000].into();
            (ResourceType::Endpoints, resource)
        });
        Arc::new(Snapshot::new(generation, resources))
    };
    let stream = server.open::<Delta>(ADS_DELTA).await;
    stream.asks(kind("EDS").type_url(), &["*"]).await;
    let sent =
        |recorder: &Recorder| recorder.events().iter().any(|event| matches!(event, Event::Sent { generation: 2, .. }));
    let mut published: Vec<Weak<Snapshot>> = Vec::new();
    for generation in 2..1002 {
        let next = big(generation);
        published.push(Arc::downgrade(&next));
        server.plans.send_replace(Plan::all(Some(next)));
        if generation == 2 {
            server.recorder.until("the first response", sent).await;
        }
    }
    let alive = || published.iter().filter(|snapshot| snapshot.strong_count() > 0).count();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let few = tokio::time::timeout(Duration::from_secs(20), async {
        while alive() > 2 {
            tick.tick().await;
        }
    });
    assert!(few.await.is_ok(), "{} generations are held", alive());
    let count = server.recorder.events().iter().filter(|event| matches!(event, Event::Sent { .. })).count();
    assert_eq!(count, 1, "the one that is stuck");
    drop(stream);
}
