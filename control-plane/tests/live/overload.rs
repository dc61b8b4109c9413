//! What an Envoy takes before it refuses.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::support::{Gateway, Options, PATIENCE, eventually};

fn file(port: u16) -> String {
    format!(
        "version: 1\nlisteners: [{{name: http, port: {port}}}]\nroutes:\n- {{name: r, match: {{prefix: /}}, respond: {{status: 200}}}}\n"
    )
}

fn with(arguments: &[&str]) -> Options {
    Options { arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(), ..Options::default() }
}

/// Whether a request over the connection is answered; `false` if it is closed.
async fn is_answered(connection: &mut TcpStream) -> bool {
    let asked = connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut answer = [0; 256];
    let read = time::timeout(PATIENCE, connection.read(&mut answer)).await.expect("an answer, or an end");
    asked.is_ok() && read.is_ok_and(|read| answer[..read].starts_with(b"HTTP/1.1 200"))
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_envoy_takes_are_closed_and_the_others_go_on() {
    let gateway = Gateway::start_with(with(&["--max-connections", "3"]), file).await;
    let connect = async || TcpStream::connect(("127.0.0.1", gateway.port)).await.expect("the port accepts");
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
    // Where one ends there is room for another.
    taken.pop();
    eventually("there is room again", || async { is_answered(&mut connect().await).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_whose_memory_is_used_up_answers_with_503_and_stays() {
    // Less than any Envoy takes.
    let gateway = Gateway::start_with(with(&["--max-heap", "1MiB"]), file).await;
    eventually("requests are refused", || async { gateway.get("/", &[]).await.status == 503 }).await;
    let stats = gateway.envoy_admin("/stats?filter=overload.envoy.overload_actions.stop_accepting_requests").await;
    assert!(stats.contains("stop_accepting_requests.active: 1"), "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_bounds_what_its_clients_take() {
    let limits = "limits: {connections: 2, header_bytes: 8KiB, header_count: 20}";
    let file = |port| file(port).replace("name: http, ", &format!("name: http, {limits}, "));
    let gateway = Gateway::start_with(Options::default(), file).await;
    let connect = async || TcpStream::connect(("127.0.0.1", gateway.port)).await.expect("the port accepts");
    let status = async |headers: String| {
        let mut connection = connect().await;
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // What Envoy did not read may reset the connection once it has answered.
        let _ = time::timeout(PATIENCE, connection.read_to_string(&mut answer)).await.expect("an end");
        answer.split(' ').nth(1).unwrap_or("none").to_owned()
    };
    assert_eq!(status("x-a: b\r\n".repeat(10)).await, "200");
    assert_eq!(status("x-a: b\r\n".repeat(30)).await, "431");
    assert_eq!(status(format!("x-a: {}\r\n", "b".repeat(6_000))).await, "200");
    assert_eq!(status(format!("x-a: {}\r\n", "b".repeat(9_000))).await, "431");

    let (mut one, mut two) = (connect().await, connect().await);
    assert!(is_answered(&mut one).await && is_answered(&mut two).await);
    assert!(!is_answered(&mut connect().await).await, "the third is closed");
    assert!(is_answered(&mut one).await, "those that are there go on");
    drop(two);
    eventually("there is room again", || async { is_answered(&mut connect().await).await }).await;
}
