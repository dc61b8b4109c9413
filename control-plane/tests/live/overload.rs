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
