//! WebSocket through the filter and fifty edits. All its kinds of messages pass both ways, byte for
//! byte, and it ends as either side ends it.
//!
//! `WEBSOCKET_SECONDS=60 cargo test -p legation --test live -- websocket --nocapture` keeps one
//! open for a minute, under edits all the while, and says what passed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use legation_testing::{ALICE_KEY, Gateway, PATIENCE, Unrest, upstream};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        handshake::client::Response,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

type Socket = WebSocketStream<TcpStream>;

/// The size of a large message.
const LARGE: usize = 10_000_000;

/// Asks for a WebSocket.
async fn ask(port: u16, path: &str, key: &str) -> Result<(Socket, Response), Error> {
    let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request()?;
    request.headers_mut().insert("x-api-key", key.parse()?);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    timeout(PATIENCE, client_async(request, stream)).await.expect("an answer")
}

/// Opens a WebSocket with alice's key. Returns both its ends.
async fn open(port: u16, listener: &TcpListener) -> (Socket, Socket) {
    let accept = async {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("the gateway connects")?;
        stream.set_nodelay(true)?;
        accept_async(stream).await
    };
    let (client, server) = tokio::join!(ask(port, "/ws", ALICE_KEY), accept);
    (client.expect("it opens").0, server.expect("it opens"))
}

async fn next(socket: &mut Socket) -> Result<Message, Error> {
    timeout(PATIENCE, socket.next()).await.expect("something comes").unwrap_or(Err(Error::ConnectionClosed))
}

/// What passed.
#[derive(Default)]
struct Passed {
    texts: usize,
    pings: usize,
    /// Megabytes, all directions together.
    megabytes: usize,
    /// The longest that a ping and its pong took.
    slowest: Duration,
}

/// Sends a text and a ping, and waits for the pong.
async fn talk(from: &mut Socket, to: &mut Socket, passed: &mut Passed) {
    passed.texts += 1;
    let text = Message::text(format!("text {} \u{1f3db}", passed.texts));
    from.send(text.clone()).await.unwrap();
    assert_eq!(next(to).await.unwrap(), text);

    passed.pings += 1;
    let payload = Bytes::from(format!("ping {}", passed.pings));
    let begin = Instant::now();
    from.send(Message::Ping(payload.clone())).await.unwrap();
    assert_eq!(next(to).await.unwrap(), Message::Ping(payload.clone()));
    // The library has queued the pong, and sends it with the next message.
    to.flush().await.unwrap();
    assert_eq!(next(from).await.unwrap(), Message::Pong(payload));
    passed.slowest = passed.slowest.max(begin.elapsed());
}

/// Sends large messages both ways at once.
async fn cross(client: &mut Socket, server: &mut Socket, passed: &mut Passed) {
    let messages = [7, 11].map(|step| {
        // Each megabyte of it is different.
        Bytes::from_iter((0..LARGE).map(|place| (place * step + (place >> 16)) as u8))
    });
    let [to_server, to_client] = &messages;
    let (mut client_sends, mut client_reads) = client.split();
    let (mut server_sends, mut server_reads) = server.split();
    let all = async {
        tokio::join!(
            client_sends.send(Message::Binary(to_server.clone())),
            server_sends.send(Message::Binary(to_client.clone())),
            server_reads.next(),
            client_reads.next(),
        )
    };
    let (sent, sent_back, at_server, at_client) = timeout(PATIENCE, all).await.expect("they arrive");
    sent.and(sent_back).unwrap();
    for (came, expected) in [(at_server, to_server), (at_client, to_client)] {
        assert!(came.unwrap().unwrap().into_data() == expected, "not byte for byte");
        passed.megabytes += LARGE / 1_000_000;
    }
}

/// Closes one end with a code and a reason. The other end sees both, and the end.
async fn close(mut from: Socket, mut to: Socket) {
    let frame = CloseFrame { code: CloseCode::Library(4001), reason: "enough".into() };
    from.close(Some(frame.clone())).await.unwrap();
    let close = Message::Close(Some(frame));
    assert_eq!(next(&mut to).await.unwrap(), close);
    // The library answers with the same code when it is polled.
    let _ = to.flush().await;
    assert_eq!(next(&mut from).await.unwrap(), close);
    drop(from);
    let ended = next(&mut to).await;
    assert!(matches!(ended, Err(Error::ConnectionClosed)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_websocket_has_passes_both_ways() {
    let seconds = std::env::var("WEBSOCKET_SECONDS").map_or(0, |seconds| seconds.parse().expect("a number"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unrest = Unrest::start(&[("/ws", "stream: websocket")], "", listener.local_addr().unwrap()).await;
    let port = unrest.gateway.port;
    let (mut client, mut server) = open(port, &listener).await;
    let (begin, mut passed, mut edits_made) = (Instant::now(), Passed::default(), 0);
    while edits_made == 0 || begin.elapsed() < Duration::from_secs(seconds) {
        unrest
            .during(async |mut edits| {
                cross(&mut client, &mut server, &mut passed).await;
                let both_talk = async || {
                    talk(&mut client, &mut server, &mut passed).await;
                    talk(&mut server, &mut client, &mut passed).await;
                };
                edits.each(both_talk).await;
            })
            .await;
        edits_made += 50;
    }
    let Passed { texts, pings, megabytes, slowest } = passed;
    let seconds = begin.elapsed().as_secs_f32();
    println!(
        "WebSocket: {edits_made} edits in {seconds:.1} s, {texts} texts, {pings} pings (at most {slowest:?}), {megabytes} MB"
    );
    close(client, server).await;
    let (client, server) = open(port, &listener).await;
    close(server, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_dropped_or_refused_is_so_for_the_other_side() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let routes = &[("/ws", "stream: websocket"), ("/events", "stream: sse")];
    let unrest = Unrest::start(routes, "", listener.local_addr().unwrap()).await;
    let port = unrest.gateway.port;
    unrest
        .during(async |mut edits| {
            edits
                .each(async || {
                    let (client, server) = open(port, &listener).await;
                    is_gone_for(server, || drop(client)).await;
                    let (client, server) = open(port, &listener).await;
                    is_gone_for(client, || drop(server)).await;
                    is_refused(port, "/ws", "nobody's", StatusCode::UNAUTHORIZED).await;
                    is_refused(port, "/events", ALICE_KEY, StatusCode::FORBIDDEN).await;
                })
                .await;
        })
        .await;
}

/// Before it closes, Envoy waits a second for a client that still sends (`delayed_close_timeout`).
async fn is_gone_for(mut other: Socket, drop_it: impl FnOnce()) {
    drop_it();
    let ended = timeout(PATIENCE, other.next()).await.expect("it is gone");
    assert!(matches!(ended, Some(Err(_))), "{ended:?}");
}

async fn is_refused(port: u16, path: &str, key: &str, status: StatusCode) {
    let Err(Error::Http(answer)) = ask(port, path, key).await else { panic!("{path} is not refused") };
    assert_eq!(answer.status(), status);
    assert!(!answer.headers().contains_key("upgrade"), "{answer:?}");
    if status == StatusCode::UNAUTHORIZED {
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}

/// Envoy 1.40 could accept it (`allow_connect`), but passes it on to HTTP/1.1 without the
/// `sec-websocket-key` that servers need. So the gateway does not offer it, and clients use
/// HTTP/1.1.
#[tokio::test(flavor = "multi_thread")]
async fn websocket_over_http2_is_not_offered() {
    let svc = upstream("svc").await;
    let file = Gateway::routes("- {name: a, match: {prefix: /ws}, cluster: svc, stream: websocket}");
    let gateway = file.cluster("svc", svc).start().await;
    let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    // Envoy sends its settings before it answers a ping.
    timeout(PATIENCE, pings.ping(h2::Ping::opaque())).await.expect("an answer").unwrap();
    let mut sender = sender.ready().await.unwrap();
    assert!(!sender.is_extended_connect_protocol_enabled());
    // Envoy refuses a client that asks all the same.
    let request = Request::connect("http://any/ws").extension(h2::ext::Protocol::from_static("websocket"));
    let (answer, _body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("an answer");
    assert!(answer.is_err(), "{answer:?}");
}
