//! An upstream whose answers the test gives one by one.

use std::net::SocketAddr;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::{AbortHandle, JoinHandle},
    time::timeout,
};

use super::{Body, Client, Cut, Http, PATIENCE, Upstream};

/// An upstream whose answers the test gives one by one.
pub struct Answerer {
    pub address: SocketAddr,
    asked: Mutex<mpsc::Receiver<Asked>>,
}

/// A request that arrived there.
pub struct Asked {
    request: Request<Incoming>,
    answer: oneshot::Sender<Response<Body>>,
}

/// An answer to come.
pub type Answer = JoinHandle<Result<Response<Incoming>, String>>;

impl Answerer {
    pub async fn start(http: Http) -> Self {
        let (sender, asked) = mpsc::channel(1);
        let upstream = Upstream::start(http, move |request| {
            let (answer, answered) = oneshot::channel();
            let (asked, sender) = (Asked { request, answer }, sender.clone());
            async move {
                sender.send(asked).await.map_err(|_| Cut)?;
                answered.await.map_err(|_| Cut)
            }
        });
        Self { address: upstream.await.address, asked: Mutex::new(asked) }
    }

    /// The next request that arrives.
    pub async fn asked(&self) -> Asked {
        next(&mut *self.asked.lock().await).await
    }

    /// Sends a request that will arrive here. Returns the answer to come and the request as it
    /// arrived.
    pub async fn call(&self, client: &Client, request: Request<Body>) -> (Answer, Asked) {
        // One call at a time, so that each gets its own request.
        let mut asked = self.asked.lock().await;
        let client = client.clone();
        let answer = tokio::spawn(async move { client.begin(request).await });
        (answer, next(&mut asked).await)
    }
}

async fn next(asked: &mut mpsc::Receiver<Asked>) -> Asked {
    timeout(PATIENCE, asked.recv()).await.expect("a request arrives").expect("it serves")
}

impl Asked {
    /// Answers. Returns the request's body and its connection.
    pub fn answer(self, response: Response<Body>) -> (Incoming, AbortHandle) {
        let connection = self.request.extensions().get::<AbortHandle>().expect("it came by a connection").clone();
        let (body, reply) = self.apart();
        reply.send(response);
        (body, connection)
    }

    /// Splits the request into its body and the reply.
    pub fn apart(self) -> (Incoming, Reply) {
        (self.request.into_body(), Reply(self.answer))
    }

    /// Waits until nobody waits for an answer.
    pub async fn unwanted(mut self) {
        self.answer.closed().await;
    }
}

/// Answers a request whose body was split off. Dropping it cuts the exchange.
pub struct Reply(oneshot::Sender<Response<Body>>);

impl Reply {
    pub fn send(self, response: Response<Body>) {
        self.0.send(response).expect("the request is not given up");
    }
}
