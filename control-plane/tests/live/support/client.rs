//! An HTTP client as a test needs it: answers whole, or as a stream of events.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time;

use super::PATIENCE;

/// A client that keeps connections open between requests.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub fn new() -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http() }
    }

    /// An answer to GET, or why there is none.
    pub async fn try_get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.try_send(Method::GET, url, headers).await
    }

    /// An answer to GET.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Response {
        self.try_get(url, headers).await.unwrap_or_else(|error| panic!("GET {url}: {error}"))
    }

    /// An answer, or why there is none.
    pub async fn try_send(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.send(request(method, url, headers)?).await
    }

    /// An answer to a request that the test made itself, or why there is none.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response, String> {
        let answer = async {
            let response = self.pool.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Response { status: parts.status, headers: parts.headers, body })
        };
        time::timeout(PATIENCE, answer).await.map_err(|_| "no answer in time".to_owned())?
    }

    /// The head of an answer; its body is still to come.
    pub async fn begin(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<http::Response<Incoming>, String> {
        self.pool.request(request(method, url, headers)?).await.map_err(|error| format!("{error:?}"))
    }
}

fn request(method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).map_err(|error| error.to_string())
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The request's headers as the demo upstream saw them.
    pub fn seen_headers(&self) -> HashMap<String, serde_json::Value> {
        let json = self.json();
        let headers = json["headers"].as_object().expect("the upstream echoes headers");
        headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
