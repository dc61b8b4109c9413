//! Routes with streams: what they need, and those that should say that they are some.

use crate::support::{REST, codes, codes_of_route};

const NOTHING: [&str; 0] = [];

#[test]
fn a_stream_wants_a_cluster_that_speaks_its_protocol() {
    for (stream, protocol, found) in [
        ("grpc", "http1", ["protocol_mismatch"].as_slice()),
        ("grpc", "http2", &NOTHING),
        ("websocket", "http1", &NOTHING),
        ("websocket", "http2", &["protocol_mismatch"]),
        ("sse", "http2", &NOTHING),
    ] {
        let text = format!("{REST}routes: [{{name: r, match: {{prefix: /}}, cluster: svc, stream: {stream}}}]\n");
        let text = text.replace("'svc:8080']", &format!("'svc:8080'], protocol: {protocol}"));
        assert_eq!(codes(&text), found, "{stream} over {protocol}");
    }
}

#[test]
fn a_route_whose_requests_want_a_stream_should_say_so() {
    for (header, preset) in [
        ("accept: text/event-stream", Some("sse")),
        ("Accept: {prefix: Text/Event-Stream}", Some("sse")),
        ("content-type: {prefix: application/grpc}", Some("grpc")),
        ("content-type: application/grpc+proto", Some("grpc")),
        ("upgrade: WebSocket", Some("websocket")),
        ("range: {present: true}", Some("download")),
        ("range: {prefix: bytes=0-}", Some("download")),
        ("range: {prefix: items=}", None),
        ("accept: \"application/json, text/event-stream\"", Some("sse")),
        ("accept: application/x-ndjson", Some("sse")),
        ("content-type: {prefix: application/grpc-web}", Some("sse")),
        ("content-type: application/connect+json", Some("sse")),
        ("range: {present: false}", None),
        ("Last-Event-ID: {present: true}", Some("sse")),
        ("sec-websocket-protocol: mqtt", Some("websocket")),
        ("sec-websocket: {present: true}", None),
        ("if-range: {present: true}", Some("download")),
        ("upload-offset: {present: true}", Some("upload")),
        ("accept: {present: true}", None),
        ("accept: application/json", None),
        ("x-accept: text/event-stream", None),
    ] {
        let with = |rest: &str| codes_of_route(&format!("match: {{prefix: /, headers: {{{header}}}}}, {rest}"));
        let expected = if preset.is_some() { vec!["unsaid_stream"] } else { vec![] };
        assert_eq!(with("cluster: svc"), expected, "{header}");
        assert_eq!(with("cluster: svc, timeouts: {request: 60s}"), [""; 0], "{header}: it says how long");
        assert_eq!(with("cluster: svc, timeouts: {max_stream: 6h}"), [""; 0], "{header}: it says how long");
        assert_eq!(with("respond: {status: 200}"), ["unused_cluster"], "{header}: an answer that is there at once");
        if let Some(preset) = preset {
            assert!(!with(&format!("cluster: svc, stream: {preset}")).contains(&"unsaid_stream"), "{header}");
        }
    }
}

#[test]
fn a_route_to_a_grpc_method_should_say_so() {
    for (path, is_grpc) in [
        ("path: /helloworld.Greeter/SayHello", true),
        ("prefix: /grpc.health.v1.Health", true),
        ("prefix: /a_b.c2.Service", true),
        ("path: /index.html", false),
        ("path: /index.HTML", false),
        ("prefix: /api.V2", false),
        ("path: /v1.2/Users", false),
        ("path: /Files.List/Get", false),
        ("path: /helloworld.Greeter/SayHello/more", false),
        ("path: /helloworld.Greeter/say", false),
        ("prefix: /a..B", false),
    ] {
        let expected = if is_grpc { vec!["unsaid_stream"] } else { vec![] };
        assert_eq!(codes_of_route(&format!("match: {{{path}}}, cluster: svc")), expected, "{path}");
        assert_eq!(codes_of_route(&format!("match: {{{path}}}, cluster: svc, timeouts: {{request: 60s}}")), [""; 0]);
    }
}

#[test]
fn a_timeout_that_another_one_always_comes_before_is_warned_of() {
    let with = |fields: &str| codes_of_route(&format!("match: {{prefix: /}}, cluster: svc, {fields}"));
    for useless in [
        "timeouts: {first_byte: 90s}",
        "timeouts: {request: 10m, max_stream: 9m}",
        "timeouts: {idle: 10m}",
        "stream: sse, timeouts: {idle: 2h, max_stream: 1h}",
        "stream: sse, timeouts: {first_byte: 2h, max_stream: 1h}",
    ] {
        assert_eq!(with(useless), ["useless_timeout"], "{useless}");
    }
    for good in [
        "timeouts: {first_byte: 60s}",
        "timeouts: {request: 10m, max_stream: 10m}",
        "timeouts: {idle: 10m, request: 0s}",
        "timeouts: {idle: 0s, request: 0s, max_stream: 0s}",
        "stream: sse, timeouts: {idle: 2h, request: 1h}",
        "stream: websocket, timeouts: {request: 0s}",
    ] {
        assert_eq!(with(good), [""; 0], "{good}");
    }
    assert_eq!(with("stream: websocket, timeouts: {request: 1m}"), ["conflict"]);
}
