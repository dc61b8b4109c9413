//! Interim answers: `Expect: 100-continue` and early hints, over HTTP/1.1 and HTTP/2 at both ends,
//! through the filter and fifty edits. Over HTTP/2 both ends use h2, since the tests' own client
//! and server do not show interim answers.

use std::{future::poll_fn, net::SocketAddr};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{HeaderMap, Request, Response};
use legation_testing::{ALICE_KEY, Http, PATIENCE, Unrest, Wire};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// The body that the client sends once it may.
const BODY: &str = "body";

/// A way through the gateway.
struct Way<'a> {
    client: Http,
    port: u16,
    upstream: &'a mut Upstream,
}

/// A client that waits for its answer.
enum Asking {
    One(Wire),
    Two(client::ResponseFuture, SendStream<Bytes>),
}

impl Asking {
    async fn start(http: Http, port: u16, request: Request<()>) -> Self {
        match http {
            Http::One => {
                let mut wire = Wire::connect(port).await;
                let headers = request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", text(value)));
                let (method, path) = (request.method(), request.uri().path());
                let headers = headers.collect::<String>();
                wire.say(&format!("{method} {path} HTTP/1.1\r\nhost: any\r\n{headers}\r\n")).await;
                Self::One(wire)
            }
            Http::Two => {
                let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (sender, connection) = client::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let has_body = request.headers().contains_key("content-length");
                let mut sender = sender.ready().await.unwrap();
                let (response, body) = sender.send_request(request, !has_body).unwrap();
                Self::Two(response, body)
            }
        }
    }

    /// Returns the status and the `link` of the next head, interim or final.
    async fn head(&mut self) -> (u16, String) {
        match self {
            Self::One(wire) => {
                let head = wire.reader.head().await;
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                (status, head.lines().find_map(|line| line.strip_prefix("link: ")).unwrap_or_default().to_owned())
            }
            Self::Two(response, _) => {
                let interim = poll_fn(|context| response.poll_informational(context));
                let head = match timeout(PATIENCE, interim).await.expect("a head") {
                    Some(interim) => interim.unwrap(),
                    None => timeout(PATIENCE, response).await.expect("an answer").unwrap().map(drop),
                };
                (head.status().as_u16(), link(head.headers()))
            }
        }
    }

    async fn send_body(&mut self) {
        match self {
            Self::One(wire) => wire.say(BODY).await,
            Self::Two(_, body) => body.send_data(BODY.into(), true).unwrap(),
        }
    }
}

fn text(value: &http::HeaderValue) -> &str {
    value.to_str().unwrap()
}

fn link(headers: &HeaderMap) -> String {
    headers.get("link").map_or("", text).to_owned()
}

/// An upstream whose every answer the test gives.
enum Upstream {
    One(TcpListener),
    Two(SocketAddr, mpsc::Receiver<(Request<RecvStream>, server::SendResponse<Bytes>)>),
}

impl Upstream {
    async fn start(http: Http) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        match http {
            Http::One => Self::One(listener),
            Http::Two => {
                let address = listener.local_addr().unwrap();
                let (sender, asked) = mpsc::channel(1);
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        stream.set_nodelay(true).unwrap();
                        let sender = sender.clone();
                        tokio::spawn(async move {
                            let Ok(mut connection) = server::handshake(stream).await else { return };
                            while let Some(Ok(asked)) = connection.accept().await {
                                sender.try_send(asked).expect("one request at a time");
                            }
                        });
                    }
                });
                Self::Two(address, asked)
            }
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::One(listener) => listener.local_addr().unwrap(),
            Self::Two(address, _) => *address,
        }
    }

    /// The next request.
    async fn asked(&mut self) -> Asked {
        match self {
            Self::One(listener) => {
                let mut wire = Wire::accept(listener).await;
                let head = wire.reader.head().await;
                Asked::One(wire, head)
            }
            Self::Two(_, asked) => {
                let (request, answer) = timeout(PATIENCE, asked.recv()).await.expect("a request").unwrap();
                Asked::Two(request, answer)
            }
        }
    }
}

/// A request that waits for its answer.
enum Asked {
    One(Wire, String),
    Two(Request<RecvStream>, server::SendResponse<Bytes>),
}

impl Asked {
    /// Whether the client waits with its body.
    fn expects(&self) -> bool {
        match self {
            Self::One(_, head) => head.contains("expect: 100-continue\r\n"),
            Self::Two(request, _) => request.headers().get("expect").is_some_and(|value| value == "100-continue"),
        }
    }

    async fn interim(&mut self, status: u16, link: &str) {
        match self {
            Self::One(wire, _) => wire.say(&format!("HTTP/1.1 {status} Interim\r\nlink: {link}\r\n\r\n")).await,
            Self::Two(_, answer) => {
                let head = Response::builder().status(status).header("link", link).body(()).unwrap();
                answer.send_informational(head).unwrap();
            }
        }
    }

    async fn body(&mut self) -> String {
        match self {
            Self::One(wire, _) => wire.reader.until(BODY).await,
            Self::Two(request, _) => {
                let data = timeout(PATIENCE, request.body_mut().data()).await.expect("it comes").unwrap().unwrap();
                String::from_utf8(data.to_vec()).unwrap()
            }
        }
    }

    /// Sends the final answer.
    async fn answer(&mut self, status: u16) {
        match self {
            Self::One(wire, _) => {
                let head = format!("HTTP/1.1 {status} Final\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                wire.say(&head).await;
            }
            Self::Two(_, answer) => {
                answer.send_response(Response::builder().status(status).body(()).unwrap(), true).unwrap();
            }
        }
    }
}

impl Way<'_> {
    async fn asking(&self, request: Request<()>) -> Asking {
        Asking::start(self.client, self.port, request).await
    }

    /// Asks whether a body is wanted.
    async fn expecting(&self, path: &str, key: &str) -> Asking {
        let request = Request::post(format!("http://any{path}")).header("x-api-key", key);
        let length = BODY.len().to_string();
        let request = request.header("expect", "100-continue").header("content-length", length).body(());
        self.asking(request.unwrap()).await
    }

    async fn getting(&self) -> Asking {
        self.asking(Request::get("http://any/page").header("x-api-key", ALICE_KEY).body(()).unwrap()).await
    }

    async fn a_body_is_sent_once_the_upstream_wants_it(&mut self) {
        let mut client = self.expecting("/up", ALICE_KEY).await;
        let mut asked = self.upstream.asked().await;
        assert!(asked.expects());
        asked.interim(100, "").await;
        assert_eq!(client.head().await.0, 100);
        client.send_body().await;
        assert_eq!(asked.body().await, BODY);
        asked.answer(201).await;
        // The only 100 was the upstream's.
        assert_eq!(client.head().await.0, 201);
    }

    async fn a_refusal_is_heard_before_the_body(&mut self) {
        for (path, key, status) in [("/up", "nobody's", 401), ("/scarce", ALICE_KEY, 429)] {
            assert_eq!(self.expecting(path, key).await.head().await.0, status);
        }
        for status in [413, 417] {
            let mut client = self.expecting("/up", ALICE_KEY).await;
            let mut asked = self.upstream.asked().await;
            asked.answer(status).await;
            assert_eq!(client.head().await.0, status);
        }
    }

    async fn hints_come_before_the_answer(&mut self) {
        let mut client = self.getting().await;
        let mut asked = self.upstream.asked().await;
        asked.interim(103, "</style.css>").await;
        assert_eq!(client.head().await, (103, "</style.css>".to_owned()));
        asked.answer(200).await;
        assert_eq!(client.head().await.0, 200);
    }

    /// Envoy 1.40 drops those that follow the first.
    async fn of_several_interim_answers_the_first_passes(&mut self) {
        for several in [[103, 103, 102], [100, 103, 103], [102, 103, 100]] {
            let mut client = self.getting().await;
            let mut asked = self.upstream.asked().await;
            for status in several {
                asked.interim(status, "").await;
            }
            asked.answer(200).await;
            assert_eq!((client.head().await.0, client.head().await.0), (several[0], 200));
        }
    }
}

async fn interim_answers_pass(upstream_http: Http) {
    let mut upstream = Upstream::start(upstream_http).await;
    let routes = &[("/up", "stream: upload"), ("/page", "stream: download")];
    let unrest = Unrest::start(routes, upstream_http.protocol(), upstream.address()).await;
    let port = unrest.gateway.port;
    let way = Way { client: Http::One, port, upstream: &mut upstream };
    let mut only_one = way.expecting("/scarce", ALICE_KEY).await;
    way.upstream.asked().await.answer(200).await;
    assert_eq!(only_one.head().await.0, 200);
    unrest
        .during(async |mut edits| {
            let mut rounds = 0;
            edits
                .each(async || {
                    for client in Http::BOTH {
                        let mut way = Way { client, port, upstream: &mut upstream };
                        way.a_body_is_sent_once_the_upstream_wants_it().await;
                        way.a_refusal_is_heard_before_the_body().await;
                        way.hints_come_before_the_answer().await;
                        way.of_several_interim_answers_the_first_passes().await;
                    }
                    rounds += 1;
                })
                .await;
            println!("interim answers of HTTP {upstream_http:?} to either: {rounds} rounds");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_of_an_upstream_over_http1_pass() {
    interim_answers_pass(Http::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_of_an_upstream_over_http2_pass() {
    interim_answers_pass(Http::Two).await;
}
