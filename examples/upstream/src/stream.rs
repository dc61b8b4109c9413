//! Answers that stream: server-sent events and bytes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::answer::bad_request;

/// The time between two events.
const EVENT_INTERVAL: Duration = Duration::from_millis(200);
/// The largest N of `/bytes/N`.
const MOST_BYTES: usize = 1 << 30;
/// The size of a chunk of `/bytes/N`. It is a multiple of 256, so a byte's value depends on its
/// offset alone.
const CHUNK_BYTES: usize = 64 * 1024;

/// Sends events numbered from 1, the first at once. `?count=N` ends the stream after N events;
/// without it the client does.
pub(crate) fn events(name: &str, uri: &Uri) -> Response {
    let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return bad_request("the query is not a list of NAME=VALUE".to_owned());
    };
    let count = match query.iter().find(|(key, _)| key == "count").map(|(_, count)| count.parse()) {
        None => u64::MAX,
        Some(Ok(count)) => count,
        Some(Err(_)) => return bad_request("/sse?count=N takes a whole number".to_owned()),
    };
    let name = name.to_owned();
    let mut clock = tokio::time::interval(EVENT_INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = stream::unfold((clock, 1), move |(mut clock, number)| {
        let name = name.clone();
        async move {
            if number > count {
                return None;
            }
            clock.tick().await;
            let data = json!({ "upstream": name, "event": number }).to_string();
            let event = Event::default().id(number.to_string()).data(data);
            Some((Ok::<_, Infallible>(event), (clock, number + 1)))
        }
    });
    Sse::new(events).into_response()
}

/// Sends `length` bytes in chunks. The byte at offset `i` is `i % 256`.
pub(crate) fn bytes(length: &str) -> Response {
    let Some(length) = length.parse().ok().filter(|length| *length <= MOST_BYTES) else {
        return bad_request(format!("/bytes/N takes a whole number up to {MOST_BYTES}"));
    };
    let chunk: Bytes = (0..=u8::MAX).cycle().take(CHUNK_BYTES.min(length)).collect();
    let sizes = (0..length).step_by(CHUNK_BYTES).map(move |offset| CHUNK_BYTES.min(length - offset));
    let chunks = stream::iter(sizes.map(move |size| chunk.slice(..size))).map(Ok::<_, Infallible>);
    ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(chunks)).into_response()
}
