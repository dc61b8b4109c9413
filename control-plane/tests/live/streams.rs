//! Large exchanges with the filter on the route: refused before they begin, requested in parts, or
//! ended by their connection. `pairings` has the others.

use http::Method;
use http_body_util::BodyExt;
use legation_testing::{ALICE_KEY, Connection, File, Gateway, Http, PATIENCE, Shared, Wire, by_alice, empty, upstream};
use tokio::{net::TcpListener, time::timeout};

static GATEWAY: Shared = Shared::new(|| {
    Box::pin(async {
        let routes = "
            - name: up
              match: {prefix: /up}
              cluster: svc
              stream: upload
              api_key: {}
              rate_limit: {limit: 1, window: 1h, by: consumer}
            - {name: events, match: {prefix: /events}, cluster: svc, stream: sse}
        ";
        File::routes(routes).cluster("svc", upstream("svc").await).alice()
    })
});

/// Runs a gateway whose upstream is the test.
async fn gateway_before(stream: &str) -> (Gateway, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fields = "cluster: svc, api_key: {}, rate_limit: {limit: 100, window: 1h}, stream: ".to_owned() + stream;
    let file = File::default().and_route("down", "/down", fields);
    let gateway = file.cluster("svc", listener.local_addr().unwrap()).alice().start().await;
    (gateway, listener)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_refused_is_answered_before_its_body_is_read() {
    let gateway = GATEWAY.get().await;
    let ask = async |key: &str, body: &str| {
        let mut client = Wire::connect(gateway.port).await;
        let head =
            format!("POST /up HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 1073741824\r\n\r\n{body}");
        client.say(head).await;
        client.reader.head().await
    };
    // The client announces a gigabyte and sends none of it.
    assert!(ask("nobody's", "").await.starts_with("HTTP/1.1 401 "));
    let allowed = gateway.client.try_send(Method::POST, &gateway.url("/up"), &[("x-api-key", ALICE_KEY)]).await;
    assert_eq!(allowed.unwrap().status, 200);
    assert!(ask(ALICE_KEY, "").await.starts_with("HTTP/1.1 429 "));
    assert!(ask(ALICE_KEY, "some of it").await.starts_with("HTTP/1.1 429 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_download_passes_as_it_is() {
    let (gateway, listener) = gateway_before("download").await;
    let mut client = Wire::connect(gateway.port).await;
    let head = format!(
        "GET /down HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\nrange: bytes=5-9\r\naccept-encoding: gzip\r\n\r\n"
    );
    client.say(head).await;
    let mut connection = Wire::accept(&listener).await;
    let seen = connection.reader.head().await;
    assert!(seen.contains("range: bytes=5-9\r\n"), "{seen}");
    let answer =
        "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-9/100\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n56789";
    connection.say(answer).await;
    let got = client.reader.until("56789").await;
    assert!(got.starts_with("HTTP/1.1 206 "), "{got}");
    for header in ["content-range: bytes 5-9/100\r\n", "content-length: 5\r\n", "etag: \"a\"\r\n"] {
        assert!(got.contains(header), "{header}: {got}");
    }
}

/// Such an end cannot be told from a cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_with_its_connection_arrives_whole() {
    let (gateway, listener) = gateway_before("sse").await;
    for http in Http::BOTH {
        let answer = async {
            let mut connection = Wire::accept(&listener).await;
            connection.reader.head().await;
            connection.say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it").await;
        };
        let request = by_alice(Method::GET, "http://any/down").body(empty()).unwrap();
        let mut client = Connection::connect(http, gateway.port).await;
        let (got, ()) = tokio::join!(client.ask(request), answer);
        let got = timeout(PATIENCE, got.unwrap().collect()).await.expect("it ends").unwrap();
        assert_eq!(got.to_bytes(), "all of it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_marked_for_proxies_further_out() {
    let gateway = GATEWAY.get().await;
    let response = gateway.get("/events/sse?count=1", &[]).await;
    assert_eq!((response.header("x-accel-buffering"), response.header("content-type")), ("no", "text/event-stream"));
    assert!(response.header("cache-control").contains("no-transform"), "{response:?}");
    // Other answers pass unchanged.
    let echo = gateway.get("/events/other", &[]).await;
    assert_eq!((echo.header("x-accel-buffering"), echo.header("cache-control")), ("", ""));
}
