//! An upstream whose every answer the test gives, as slowly as it likes.

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{Http, PATIENCE, Upstream, body::Sent};

pub struct Stage {
    pub upstream: Upstream,
    calls: Mutex<mpsc::Receiver<Call>>,
}

/// A request that came, not yet answered. Dropped, it is answered with nothing, and that is an error.
pub struct Call {
    pub request: Request<Incoming>,
    answer: oneshot::Sender<Response<Sent>>,
}

/// What an answer's body is written with; dropped, it ends it.
pub type Pen = mpsc::Sender<Bytes>;

impl Stage {
    pub async fn start(http: Http) -> Self {
        let (came, calls) = mpsc::channel(1);
        let answer = move |request| {
            let came = came.clone();
            async move {
                let (answer, given) = oneshot::channel();
                came.send(Call { request, answer }).await.expect("the test waits for it");
                given.await.expect("the test answers")
            }
        };
        Self { upstream: Upstream::answering(http, answer).await, calls: Mutex::new(calls) }
    }

    /// The next request.
    pub async fn call(&self) -> Call {
        let mut calls = self.calls.lock().await;
        time::timeout(PATIENCE, calls.recv()).await.expect("a request comes").expect("the upstream lives")
    }
}

impl Call {
    /// Answers with 200 and a body that is still to be written.
    pub async fn begin(self, content_type: &str) -> Pen {
        let (pen, pieces) = mpsc::channel(1);
        let frames = ReceiverStream::new(pieces).map(|piece| Ok(Frame::data(piece)));
        let response = Response::builder().header("content-type", content_type);
        let response = response.body(StreamBody::new(frames).boxed_unsync()).expect("a response");
        self.answer.send(response).ok().expect("the request waits for it");
        pen
    }
}
