//! A body that passes the gateway byte by byte. The test holds both ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, Response};
use tokio::{join, time};

use super::{
    Answer, Answerer, Client, PATIENCE, Reply,
    body::{self, Reader, Writer},
    by_alice, empty,
};

#[derive(Clone, Copy, Debug)]
pub enum Direction {
    Down,
    Up,
}

pub struct Flow {
    /// The times before the request was sent and before the last byte was sent.
    began: Instant,
    moved: Instant,
    writer: Writer,
    reader: Reader,
    /// The answer to the client of an upload.
    upload: Option<(Reply, Answer)>,
}

impl Flow {
    /// Begins it. Returns once its first byte has come.
    pub async fn begin(client: &Client, upstream: &Answerer, url: &str, direction: Direction) -> Self {
        let began = Instant::now();
        let (writer, body) = body::writer(0, Arc::default());
        let (method, sent, answered) = match direction {
            Direction::Down => (Method::GET, empty(), Some(body)),
            Direction::Up => (Method::PUT, body, None),
        };
        let (answer, asked) = upstream.call(client, by_alice(method, url).body(sent).unwrap()).await;
        let (arrived, reply) = asked.apart();
        let (body, upload) = match answered {
            None => (arrived, Some((reply, answer))),
            Some(answered) => {
                reply.send(Response::new(answered));
                (answer.await.unwrap().unwrap().into_body(), None)
            }
        };
        let mut flow = Self { began, moved: began, writer, reader: Reader::new(0, body), upload };
        flow.moves().await;
        flow
    }

    /// Returns the time since right before the request was sent.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Moves another byte.
    pub async fn moves(&mut self) {
        self.moved = Instant::now();
        let end = self.reader.offset + 1;
        assert!(self.writer.write_to(end).await, "it is not cut");
        self.reader.read_to(end).await.unwrap();
    }

    /// Ends it, and checks that it is complete.
    pub async fn ends_whole(self) {
        let end = self.reader.offset;
        drop(self.writer);
        assert_eq!(self.reader.finish().await, Ok(end));
        if let Some((reply, answer)) = self.upload {
            reply.send(Response::new(empty()));
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
    }

    /// Checks that a limit aborts it at both ends, and not too early. The limit is on its life,
    /// while it moves a byte now and then, or on the time since its last byte. Returns the answer
    /// to the client of an upload.
    pub async fn aborts_after(self, limit: Duration, moving: bool) -> String {
        let Self { began, moved, mut writer, reader, upload } = self;
        let mut end = reader.offset + 1;
        let write = async {
            let mut tick = time::interval(limit / 20);
            while moving && writer.write_to(end).await {
                end += 1;
                tick.tick().await;
            }
            writer.unwanted().await;
        };
        let ends = time::timeout(PATIENCE, async { join!(reader.finish(), write) });
        let (read, ()) = ends.await.expect("it is aborted");
        read.expect_err("it does not look whole");
        let since = if moving { began } else { moved };
        assert!(since.elapsed() > limit * 9 / 10, "{:?} is too soon", since.elapsed());
        let Some((reply, answer)) = upload else { return "cut".to_owned() };
        drop(reply);
        answer.await.unwrap().map_or("cut".to_owned(), |response| response.status().to_string())
    }
}
