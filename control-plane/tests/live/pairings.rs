//! HTTP/1.1 and HTTP/2 in each pairing of client and upstream: the same exchanges pass, through the
//! filter and fifty edits.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use legation_testing::{Answerer, Body, Connection, Http, PATIENCE, Parts, Unrest, by_alice, empty, part, parts};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::timeout,
};

/// A way through the gateway.
struct Way<'a> {
    from: Http,
    port: u16,
    upstream: &'a Answerer,
}

/// A request that is answered, seen from both ends.
struct Exchange {
    client: Connection,
    answer: Response<Incoming>,
    /// The request's body, where it arrives.
    upload: Incoming,
    /// The connection of the upstream.
    connection: AbortHandle,
}

impl Way<'_> {
    /// Sends a request of alice's, which the upstream answers with `answer`.
    async fn exchange(&self, method: Method, path: &str, body: Body, answer: Response<Body>) -> Exchange {
        let mut client = Connection::connect(self.from, self.port).await;
        let request = request(method, path, body);
        let answering = async { self.upstream.asked().await.answer(answer) };
        let (answer, (upload, connection)) = tokio::join!(client.ask(request), answering);
        Exchange { client, answer: answer.unwrap(), upload, connection }
    }

    /// Asks for events and waits for the first.
    async fn begun(&self, answer: http::response::Builder) -> (Parts, Exchange) {
        let (events, body) = parts();
        let mut exchange = self.exchange(Method::GET, "/events", empty(), answer.body(body).unwrap()).await;
        events.send("data: 1\n\n").await;
        assert_eq!(part(exchange.answer.body_mut()).await, "data: 1\n\n");
        (events, exchange)
    }

    /// Events have no length, and end all the same.
    async fn events_arrive_one_by_one(&self) {
        let (events, exchange) = self.begun(events()).await;
        assert!(!exchange.answer.headers().contains_key(CONTENT_LENGTH));
        let mut answer = exchange.answer.into_body();
        for event in ["data: 2\n\n", "data: 3\n\n"] {
            events.send(event).await;
            assert_eq!(part(&mut answer).await, event);
        }
        drop(events);
        assert_eq!(rest(&mut answer).await, ("".to_owned(), None));
    }

    async fn an_answer_without_a_body_stays_so(&self) {
        for (method, status, length) in [
            (Method::HEAD, StatusCode::OK, Some("1000")),
            (Method::GET, StatusCode::NO_CONTENT, None),
            (Method::GET, StatusCode::NOT_MODIFIED, None),
        ] {
            let mut answer = events().status(status).body(empty()).unwrap();
            if let Some(length) = length {
                answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            let mut exchange = self.exchange(method, "/events", empty(), answer).await;
            let headers = exchange.answer.headers();
            assert_eq!(headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes), length.map(str::as_bytes));
            assert!(!headers.contains_key("x-accel-buffering"), "it is marked as a stream: {headers:?}");
            assert_eq!(exchange.answer.status(), status);
            assert_eq!(rest(exchange.answer.body_mut()).await, ("".to_owned(), None));
        }
    }

    /// Fields that say who calls do not pass, nor do others that may not be trailers.
    async fn trailers_pass(&self) {
        let trailer =
            |name: &'static str| HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("1"))]);
        let with_forged = |name| {
            let mut trailers = trailer(name);
            trailers.extend(trailer("x-consumer-id"));
            trailers.extend(trailer("x-forwarded-for"));
            trailers
        };
        let ((up, body), (down, answer)) = (parts(), parts());
        let answer =
            Response::builder().header("trailer", "x-down, x-consumer-id, x-forwarded-for").body(answer).unwrap();
        let mut exchange = self.exchange(Method::POST, "/up", body, answer).await;
        assert!(!exchange.answer.headers().contains_key("x-accel-buffering"), "only events are marked as a stream");
        up.send("up").await;
        up.trailers(with_forged("x-up")).await;
        assert_eq!(rest(&mut exchange.upload).await, ("up".to_owned(), Some(trailer("x-up"))));
        down.send("down").await;
        down.trailers(with_forged("x-down")).await;
        let down = rest(exchange.answer.body_mut()).await;
        assert_eq!(down, ("down".to_owned(), Some(trailer("x-down"))));
    }

    async fn a_client_that_goes_is_gone_for_the_upstream(&self) {
        let mut client = Connection::connect(self.from, self.port).await;
        let asking = tokio::spawn(async move { client.ask(request(Method::GET, "/events", empty())).await });
        let asked = self.upstream.asked().await;
        asking.abort();
        timeout(PATIENCE, asked.unwanted()).await.expect("before it is answered");

        let (events, Exchange { client, answer, .. }) = self.begun(events()).await;
        // Over HTTP/2 this ends the request, and the connection stays.
        drop(answer);
        timeout(PATIENCE, events.unwanted()).await.expect("while the answer comes");
        drop(client);

        let ((upload, body), (_down, answer)) = (parts(), parts());
        let mut exchange = self.exchange(Method::POST, "/up", body, Response::new(answer)).await;
        upload.send("some").await;
        assert_eq!(part(&mut exchange.upload).await, "some");
        upload.cut().await;
        let end = timeout(PATIENCE, exchange.upload.frame()).await.expect("in its upload");
        assert!(matches!(end, Some(Err(_))), "{end:?}");
    }

    /// The upstream cuts the answer alone, or `with_all` its whole connection. `ends` collects what
    /// the client sees, since over HTTP/1.1 Envoy gives it a second to take what came before.
    async fn an_answer_that_is_cut_never_looks_whole(&self, with_all: bool, ends: &mut JoinSet<()>) {
        for framing in [None, Some(100)] {
            let mut answer = events();
            if let Some(length) = framing {
                answer = answer.header(CONTENT_LENGTH, length);
            }
            let (events, mut exchange) = self.begun(answer).await;
            if with_all {
                exchange.connection.abort();
            } else {
                events.cut().await;
            }
            ends.spawn(async move {
                let end = timeout(PATIENCE, exchange.answer.frame()).await.expect("it ends");
                assert!(matches!(end, Some(Err(_))), "length {framing:?}, {with_all}: {end:?}");
                drop((events, exchange.client));
            });
        }
    }
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    let request = by_alice(method, &format!("http://any{path}"));
    request.header("te", "trailers").header("trailer", "x-up, x-consumer-id, x-forwarded-for").body(body).unwrap()
}

fn events() -> http::response::Builder {
    Response::builder().header("content-type", "text/event-stream")
}

/// Returns the rest of a body that ends well, and its trailers.
async fn rest(body: &mut Incoming) -> (String, Option<HeaderMap>) {
    let rest = timeout(PATIENCE, body.collect()).await.expect("it ends").expect("it ends well");
    let trailers = rest.trailers().cloned();
    (String::from_utf8(rest.to_bytes().to_vec()).unwrap(), trailers)
}

/// Exchanges that last through all edits: events, and an upload that the upstream echoes.
struct Lasting {
    events: (Parts, Exchange),
    there: Parts,
    back: Parts,
    echo: Exchange,
}

impl Lasting {
    async fn begin(way: &Way<'_>) -> Self {
        let events = way.begun(events()).await;
        let ((there, body), (back, answer)) = (parts(), parts());
        let echo = way.exchange(Method::POST, "/up", body, Response::new(answer)).await;
        Self { events, there, back, echo }
    }

    /// Each part arrives before the next is sent.
    async fn go_on(&mut self) {
        let (events, feed) = &mut self.events;
        events.send("data: more\n\n").await;
        assert_eq!(part(feed.answer.body_mut()).await, "data: more\n\n");
        self.there.send("there").await;
        assert_eq!(part(&mut self.echo.upload).await, "there");
        self.back.send("and back").await;
        assert_eq!(part(self.echo.answer.body_mut()).await, "and back");
    }

    async fn end(mut self) {
        let (events, mut feed) = self.events;
        drop((events, self.there));
        assert_eq!(rest(feed.answer.body_mut()).await.0, "");
        assert_eq!(rest(&mut self.echo.upload).await.0, "");
        drop(self.back);
        assert_eq!(rest(self.echo.answer.body_mut()).await.0, "");
    }
}

async fn exchanges_pass(to: Http) {
    let upstream = Answerer::start(to).await;
    let routes = &[("/events", "stream: sse"), ("/up", "stream: upload")];
    let unrest = Unrest::start(routes, to.protocol(), upstream.address).await;
    let port = unrest.gateway.port;
    let mut rounds = 0;
    unrest
        .during(async |mut edits| {
            let (mut lasting, mut ends) = (Vec::new(), JoinSet::new());
            for from in Http::BOTH {
                lasting.push(Lasting::begin(&Way { from, port, upstream: &upstream }).await);
            }
            edits
                .each(async || {
                    for (from, lasting) in Http::BOTH.into_iter().zip(&mut lasting) {
                        lasting.go_on().await;
                        let way = Way { from, port, upstream: &upstream };
                        way.events_arrive_one_by_one().await;
                        way.an_answer_without_a_body_stays_so().await;
                        way.trailers_pass().await;
                        way.a_client_that_goes_is_gone_for_the_upstream().await;
                        way.an_answer_that_is_cut_never_looks_whole(false, &mut ends).await;
                    }
                    rounds += 1;
                })
                .await;
            for lasting in lasting {
                lasting.end().await;
            }
            for from in Http::BOTH {
                let way = Way { from, port, upstream: &upstream };
                way.an_answer_that_is_cut_never_looks_whole(true, &mut ends).await;
            }
            while let Some(end) = ends.join_next().await {
                end.unwrap();
            }
        })
        .await;
    println!("from either to HTTP {to:?}: {rounds} rounds of all exchanges");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_exchanges_pass_to_an_upstream_over_http1() {
    exchanges_pass(Http::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_exchanges_pass_to_an_upstream_over_http2() {
    exchanges_pass(Http::Two).await;
}
