//! Limits beyond which an Envoy refuses connections and requests. Each test has its own gateway,
//! which it fills.

use legation_testing::{File, Wire, eventually, wire::status};

fn file() -> File {
    File::answering("here")
}

/// Returns whether a request over the connection is answered with 200. It is not if Envoy closes
/// the connection.
async fn is_answered(connection: &mut Wire) -> bool {
    let answer = connection.ask("GET /").await.unwrap_or_default();
    // The body comes before the next answer.
    !answer.is_empty() && connection.reader.up_to("here").await.is_some() && status(&answer) == "200"
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_envoy_takes_are_closed_and_the_others_go_on() {
    let gateway = file().start_with(["--max-connections", "3"]).await;
    let connect = || Wire::connect(gateway.port);
    let mut taken = Vec::new();
    for _ in 0..3 {
        let mut connection = connect().await;
        assert!(is_answered(&mut connection).await);
        taken.push(connection);
    }
    assert!(!is_answered(&mut connect().await).await, "the fourth is closed");
    for connection in &mut taken {
        assert!(is_answered(connection).await, "those that are there go on");
    }
    // Its own admin interface still answers, and says why.
    let stats = gateway.envoy_admin("/stats?filter=downstream_global_cx_overflow").await;
    assert!(stats.lines().any(|line| line.ends_with("downstream_global_cx_overflow: 1")), "{stats}");
    // When one connection ends, another may come.
    taken.pop();
    eventually("there is room again", || async { is_answered(&mut connect().await).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_whose_memory_is_used_up_answers_with_503_and_stays() {
    // Less than any Envoy takes.
    let gateway = file().start_with(["--max-heap", "1MiB"]).await;
    eventually("requests are refused", || async { gateway.get("/", &[]).await.status == 503 }).await;
    let stats = gateway.envoy_admin("/stats?filter=overload.envoy.overload_actions.stop_accepting_requests").await;
    assert!(stats.contains("stop_accepting_requests.active: 1"), "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_bounds_what_its_clients_take() {
    let limits = "limits: {connections: 2, header_bytes: 8KiB, header_count: 20}";
    let gateway = file().listener_with(limits).start().await;
    let connect = || Wire::connect(gateway.port);
    let status_of = async |headers: String| {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        status(&Wire::exchange(gateway.port, request).await).to_owned()
    };
    assert_eq!(status_of("x-a: b\r\n".repeat(10)).await, "200");
    assert_eq!(status_of("x-a: b\r\n".repeat(30)).await, "431");
    assert_eq!(status_of(format!("x-a: {}\r\n", "b".repeat(6_000))).await, "200");
    assert_eq!(status_of(format!("x-a: {}\r\n", "b".repeat(9_000))).await, "431");

    let (mut one, mut two) = (connect().await, connect().await);
    assert!(is_answered(&mut one).await && is_answered(&mut two).await);
    assert!(!is_answered(&mut connect().await).await, "the third is closed");
    assert!(is_answered(&mut one).await, "those that are there go on");
    drop(two);
    eventually("there is room again", || async { is_answered(&mut connect().await).await }).await;
}
