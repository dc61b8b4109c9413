//! Exchanges of which the test plays both ends, several at once.

use std::net::SocketAddr;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{sync::Mutex, task::JoinHandle};

use super::{Answerer, Asked, Body, Exchanges, Http};

/// An upstream whose every answer the test gives.
pub struct Stage {
    pub address: SocketAddr,
    answerer: Mutex<Answerer>,
}

/// An answer to come.
pub type Answer = JoinHandle<Result<Response<Incoming>, String>>;

impl Stage {
    pub async fn start(http: Http) -> Self {
        let answerer = Answerer::start(http).await;
        Self { address: answerer.address, answerer: Mutex::new(answerer) }
    }

    /// Sends a request; gives the answer to come and the request as it came.
    pub async fn call(&self, exchanges: &Exchanges, request: Request<Body>) -> (Answer, Asked) {
        // One at a time, so that each gets its own.
        let mut answerer = self.answerer.lock().await;
        let exchanges = exchanges.clone();
        let answer = tokio::spawn(async move { exchanges.send(request).await });
        (answer, answerer.asked().await)
    }
}
