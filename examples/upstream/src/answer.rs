//! Answers a request by the last segments of its path.
//!
//! Only the last segments count. So `/orders/sse` is the same as `/sse`, behind a gateway that does
//! not rewrite paths.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde_json::{Map, Value, json};

use crate::{stream, websocket};

pub(crate) async fn answer(State(name): State<Arc<str>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let mut from_the_end = path.rsplit('/');
    match (from_the_end.next(), from_the_end.next()) {
        (Some("ws"), _) => websocket::echo(&mut parts).await,
        (Some("sse"), _) => stream::events(&name, &parts.uri),
        (Some(length), Some("bytes")) => stream::bytes(length),
        (Some(code), Some("status")) => status(&name, code, &parts, body).await,
        _ => echo(&name, &parts, body).await.into_response(),
    }
}

/// Answers 400 with a sentence that says what is allowed.
pub(crate) fn bad_request(message: String) -> Response {
    (StatusCode::BAD_REQUEST, message + "\n").into_response()
}

async fn status(name: &str, code: &str, parts: &Parts, body: Body) -> Response {
    let code = code.parse().ok().filter(|code| (200..=599).contains(code));
    let Some(code) = code.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return bad_request("/status/N takes a final status from 200 to 599".to_owned());
    };
    let echo = echo(name, parts, body).await;
    match code {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => code.into_response(),
        _ => (code, echo).into_response(),
    }
}

/// Returns the request as JSON. It reads the body to its end first: an earlier answer would make
/// HTTP/1.1 close the connection.
async fn echo(name: &str, parts: &Parts, body: Body) -> Json<Value> {
    let mut body = body.into_data_stream();
    while let Some(Ok(_)) = body.next().await {}
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Json(json!({
        "upstream": name,
        "method": parts.method.as_str(),
        "path": path,
        "headers": headers_as_json(&parts.headers),
    }))
}

/// Returns each name in lower case, with its value or the list of its values in the order received.
fn headers_as_json(headers: &HeaderMap) -> Map<String, Value> {
    headers.keys().map(|name| (name.as_str().to_owned(), header_as_json(headers, name))).collect()
}

/// A header's value may be any bytes. U+FFFD replaces what is not UTF-8.
fn header_as_json(headers: &HeaderMap, name: &HeaderName) -> Value {
    let mut values: Vec<Value> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect();
    match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            values.into()
        }
        None => Value::Null,
    }
}
