//! Server-sent events through the gateway. Each arrives as it is sent, during any edits. `EVENTS`
//! sets their number.

use std::{env, time::Instant};

use futures::future::join_all;
use http::{Method, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use legation_testing::{Answerer, Client, Http, PATIENCE, Parts, Unrest, by_alice, empty, parts};
use tokio::time::{Duration, interval, timeout};

const ROUTES: &[(&str, &str)] = &[("/events", "stream: sse")];

/// A client of a stream of events.
struct Subscriber {
    body: Incoming,
    text: String,
}

impl Subscriber {
    /// Subscribes. Also returns the writer of its events.
    async fn new(client: &Client, port: u16, upstream: &Answerer) -> (Self, Parts) {
        let request = by_alice(Method::GET, &format!("http://127.0.0.1:{port}/events")).body(empty()).unwrap();
        let (answer, asked) = upstream.call(client, request).await;
        let (parts, body) = parts();
        let response = Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body).unwrap();
        drop(asked.answer(response));
        let response = answer.await.unwrap().unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        (Self { body: response.into_body(), text: String::new() }, parts)
    }

    /// Waits until the text since the last call is this, and nothing more.
    async fn gets(&mut self, text: &str) {
        while self.text.len() < text.len() {
            let frame = timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("{text:?} is held back, there is {:?}", self.text));
            let data = frame.expect("it goes on").expect("it is not cut").into_data().expect("data");
            self.text.push_str(str::from_utf8(&data).unwrap());
        }
        assert_eq!(self.text, text);
        self.text.clear();
    }
}

/// Returns the median and the longest lag.
fn summary(mut lags: Vec<Duration>) -> String {
    lags.sort();
    format!("{:.2?}, worst {:.2?}", lags[lags.len() / 2], lags[lags.len() - 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_or_part_of_one_arrives_before_the_next_is_sent() {
    let count: usize = env::var("EVENTS").map_or(200, |count| count.parse().expect("EVENTS is a number"));
    let upstream = Answerer::start(Http::One).await;
    let unrest = Unrest::start(ROUTES, "", upstream.address).await;
    let [http1, http2] = Http::BOTH.map(Client::over);
    let (direct, gateway) = ((&http1, upstream.address.port()), unrest.gateway.port);
    let mut subscribers = Vec::new();
    for (client, port) in [&[direct][..], &[(&http1, gateway); 3], &[(&http2, gateway); 3]].concat() {
        let (subscriber, parts) = Subscriber::new(client, port, &upstream).await;
        subscribers.push((subscriber, parts, Vec::new()));
    }
    unrest
        .during(async |edits| {
            let mut tick = interval(Duration::from_millis(20));
            for id in 1.. {
                tick.tick().await;
                let text = match id % 4 {
                    1 => format!("id: {id}\ndata: {}\n\n", "whole ".repeat(id % 300)),
                    2 => format!("id: {id}\nda"),
                    3 => "ta: in two writes\n\n".to_owned(),
                    _ => ": a comment that keeps it alive\n\n".to_owned(),
                };
                let sent = subscribers.iter_mut().map(async |(subscriber, parts, lags)| {
                    let sent = Instant::now();
                    parts.send(text.clone()).await;
                    subscriber.gets(&text).await;
                    lags.push(sent.elapsed());
                });
                join_all(sent).await;
                if id >= count && edits.are_over() {
                    break;
                }
            }
        })
        .await;
    let mut lags = subscribers.into_iter().map(|(_, _, lags)| lags);
    let direct = lags.next().unwrap();
    println!(
        "{} events, the median lag: {} direct; {} over HTTP/1.1; {} over HTTP/2",
        direct.len(),
        summary(direct),
        summary(lags.by_ref().take(3).flatten().collect()),
        summary(lags.flatten().collect()),
    );
}
