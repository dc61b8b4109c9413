//! Response headers that make proxies further out pass on a streaming response as it comes. Without
//! `x-accel-buffering: no`, nginx holds a response back. Without `cache-control: no-transform` (RFC
//! 9111, section 5.2.2.6), others compress or rewrite it.

use crate::headers::{Edit, Pair, values};

const BUFFERING: &str = "x-accel-buffering";
const CACHE_CONTROL: &str = "cache-control";
const NO_TRANSFORM: &[u8] = b"no-transform";

/// Media types of responses that stream.
const STREAMS: &[&[u8]] = &[
    b"text/event-stream",
    b"application/x-ndjson",
    b"application/ndjson",
    b"application/jsonl",
    b"application/json-seq",
    b"application/stream+json",
    b"application/vnd.amazon.eventstream",
    b"multipart/x-mixed-replace",
];

/// Returns the edits that mark a response. There are none if it does not stream or has no body. An
/// upstream's own `x-accel-buffering` stays.
#[must_use]
pub fn edits<'a>(headers: &[Pair<'a>]) -> Vec<Edit<'a>> {
    let has_body = !values(headers, ":status").any(|status| matches!(status, b"204" | b"304"));
    if !has_body || !values(headers, "content-type").any(is_stream) {
        return Vec::new();
    }
    let mut edits = Vec::new();
    if values(headers, BUFFERING).next().is_none() {
        edits.push(Edit::Add(BUFFERING, b"no"[..].into()));
    }
    let cache_control: Vec<&[u8]> = values(headers, CACHE_CONTROL).collect();
    let mut directives = cache_control.iter().flat_map(|value| value.split(|&byte| byte == b','));
    if directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(NO_TRANSFORM)) {
        return edits;
    }
    let mut merged = cache_control.clone();
    merged.retain(|value| !value.trim_ascii().is_empty());
    merged.push(NO_TRANSFORM);
    let merged = merged.join(&b", "[..]).into();
    match cache_control.len() {
        0 => edits.push(Edit::Add(CACHE_CONTROL, merged)),
        1 => edits.push(Edit::Replace(CACHE_CONTROL, merged)),
        _ => edits.extend([Edit::Remove(CACHE_CONTROL.as_bytes()), Edit::Add(CACHE_CONTROL, merged)]),
    }
    edits
}

/// Returns whether a content type is that of a streaming response, gRPC in any form included.
fn is_stream(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let is_grpc = media_type.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"));
    let ends_there = matches!(media_type.get(16), None | Some(b'+' | b'-'));
    (is_grpc && ends_there) || STREAMS.iter().any(|stream| media_type.eq_ignore_ascii_case(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The edits as text.
    fn marks(headers: &[(&str, &str)]) -> Vec<String> {
        let pairs: Vec<Pair<'_>> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let show = |edit: Edit<'_>| match edit {
            Edit::Remove(name) => format!("-{}", text(name)),
            Edit::Add(name, value) => format!("+{name}: {}", text(&value)),
            Edit::Replace(name, value) => format!("{name}: {}", text(&value)),
        };
        edits(&pairs).into_iter().map(show).collect()
    }

    #[test]
    fn a_response_is_marked_by_its_content_type() {
        for (content_type, streams) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("application/x-ndjson", true),
            ("application/vnd.amazon.eventstream", true),
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web+proto", true),
            ("application/grpcx", false),
            ("application/json", false),
            ("text/event-streams", false),
            ("", false),
        ] {
            let expected: &[&str] =
                if streams { &["+x-accel-buffering: no", "+cache-control: no-transform"] } else { &[] };
            assert_eq!(marks(&[(":status", "200"), ("content-type", content_type)]), expected, "{content_type}");
        }
        assert_eq!(marks(&[(":status", "200")]), [""; 0]);
    }

    #[test]
    fn a_response_without_a_body_is_left_alone() {
        for status in ["204", "304"] {
            assert_eq!(marks(&[(":status", status), ("content-type", "text/event-stream")]), [""; 0], "{status}");
        }
    }

    #[test]
    fn what_is_there_is_kept() {
        let sse = [(":status", "200"), ("content-type", "text/event-stream"), ("x-accel-buffering", "yes")];
        for (cache_control, edits) in [
            (&["no-cache"][..], &["cache-control: no-cache, no-transform"][..]),
            (&["no-cache, No-Transform"], &[]),
            (&["no-store", "max-age=0"], &["-cache-control", "+cache-control: no-store, max-age=0, no-transform"]),
            (&[""], &["cache-control: no-transform"]),
            (&["x-no-transform"], &["cache-control: x-no-transform, no-transform"]),
        ] {
            let headers = sse.into_iter().chain(cache_control.iter().map(|value| ("cache-control", *value)));
            assert_eq!(marks(&headers.collect::<Vec<_>>()), edits, "{cache_control:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(content_type in proptest::collection::vec(any::<u8>(), 0..40), other in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = edits(&[(b"content-type", &content_type), (b"cache-control", &other), (b":status", &other)]);
            let _ = edits(&[(b"content-type", b"text/event-stream"), (b"cache-control", &other), (b"cache-control", &other)]);
        }
    }
}
