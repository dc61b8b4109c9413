//! Which hosts and listeners a route serves. All tests share a gateway.

use http::Method;
use legation_testing::{Client, File, Gateway, Http, Shared, free_port};

static GATEWAY: Shared = Shared::new(|| Box::pin(file()));

async fn file() -> File {
    let routes = r#"
        - {name: api, hosts: [api.example.com], match: {prefix: /}, respond: {status: 200, body: api}}
        - {name: api-admin, hosts: [API.example.com], match: {prefix: /admin}, respond: {status: 200, body: admin}}
        - {name: wild, hosts: ["*.example.com"], match: {prefix: /}, respond: {status: 200, body: wild}}
        - {name: deeper, hosts: ["*.b.example.com"], match: {prefix: /}, respond: {status: 200, body: deeper}}
        - {name: narrow, hosts: [only.example.org], match: {prefix: /own}, respond: {status: 200, body: own}}
        - {name: wide, hosts: ["*.example.org"], match: {prefix: /wide}, respond: {status: 200, body: wide}}
        - {name: any, match: {prefix: /any}, respond: {status: 200, body: any}}
        - {name: one, listeners: [http], match: {prefix: /on}, respond: {status: 200, body: http}}
        - {name: two, listeners: [second], match: {prefix: /on}, respond: {status: 200, body: second}}
        - {name: three, listeners: [second], match: {prefix: /second}, respond: {status: 200, body: second}}
    "#;
    let port = free_port();
    File::routes(routes)
        .and_listener("second", port)
        .and_routes("- {name: port, match: {path: /any/port}, respond: {status: 200, body: \"$SECOND\"}}")
        .set("SECOND", port)
}

/// The body of the answer to a request for a host, or the status where it is not 200.
async fn ask(gateway: &Gateway, host: &str, path: &str) -> String {
    let answer = gateway.get(path, &[("host", host)]).await;
    if answer.status == 200 { answer.text() } else { answer.status.as_u16().to_string() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exact_host_wins_then_the_longest_wildcard_whatever_the_case_and_the_port() {
    let gateway = GATEWAY.get().await;
    for (host, path, expected) in [
        ("api.example.com", "/", "api"),
        ("api.example.com:8000", "/x", "api"),
        ("API.EXAMPLE.com", "/", "api"),
        ("api.example.com.", "/", "api"),
        ("api.example.com", "/admin/x", "admin"),
        ("other.example.com", "/", "wild"),
        ("a.other.example.com:80", "/admin", "wild"),
        ("b.example.com", "/", "wild"),
        ("a.b.example.com", "/", "deeper"),
        ("a.B.example.com.:443", "/", "deeper"),
    ] {
        assert_eq!(ask(&gateway, host, path).await, expected, "{host}{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_is_not_its_own_domain_and_a_host_that_nobody_serves_is_404() {
    let gateway = GATEWAY.get().await;
    for host in ["example.com", "example.com:80", "xexample.com", "example.net", "localhost", "127.0.0.1", "[::1]:80"] {
        assert_eq!(ask(&gateway, host, "/").await, "404", "{host}");
        assert_eq!(ask(&gateway, host, "/any").await, "any", "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_route_of_its_host_matches_goes_on_to_wider_hosts() {
    let gateway = GATEWAY.get().await;
    for (path, expected) in [("/own", "own"), ("/wide", "wide"), ("/any", "any"), ("/none", "404")] {
        assert_eq!(ask(&gateway, "only.example.org", path).await, expected, "{path}");
    }
    // The host's own route comes first, however much longer a wider one's path is.
    assert_eq!(ask(&gateway, "api.example.com", "/any/longer").await, "api");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_asks_by_authority() {
    let gateway = GATEWAY.get().await;
    let client = Client::over(Http::Two);
    let url = gateway.url("/").replace("127.0.0.1", "localhost");
    assert_eq!(client.try_send(Method::GET, &url, &[]).await.unwrap().status, 404);
    let url = gateway.url("/any").replace("127.0.0.1", "localhost");
    assert_eq!(client.try_send(Method::GET, &url, &[]).await.unwrap().text(), "any");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_has_its_own_routes_and_those_of_all() {
    let gateway = GATEWAY.get().await;
    let second = gateway.get("/any/port", &[]).await.text();
    let at_second = |path: &str| format!("http://127.0.0.1:{second}{path}");
    assert_eq!(gateway.get("/on", &[]).await.text(), "http");
    assert_eq!(gateway.client.get(&at_second("/on"), &[]).await.text(), "second");
    assert_eq!(gateway.get("/second", &[]).await.status, 404);
    assert_eq!(gateway.client.get(&at_second("/second"), &[]).await.status, 200);
    assert_eq!(gateway.client.get(&at_second("/any"), &[("host", "api.example.com")]).await.text(), "api");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_listeners_are_edited_without_draining_a_listener() {
    let route = "- {name: a, match: {prefix: /}, respond: {status: 200, body: a}$MORE}";
    let file = |more: &str| File::routes(route).set("MORE", more).and_listener("second", free_port());
    let gateway = file("").start().await;
    assert_eq!(ask(&gateway, "a.test", "/").await, "a");
    let before = gateway.path();
    let text = std::fs::read_to_string(before).unwrap();
    gateway.edit(text.replace("body: a}", "body: a}, hosts: [a.test]")).await;
    assert_eq!(ask(&gateway, "a.test", "/").await, "a");
    assert_eq!(ask(&gateway, "b.test", "/").await, "404");
    gateway.edit(text.replace("body: a}", "body: a}, listeners: [second]")).await;
    assert_eq!(ask(&gateway, "a.test", "/").await, "404");
    assert_eq!(gateway.envoy_counter("listener_manager.listener_modified").await, 0);
    assert_eq!(gateway.envoy_counter("listener_manager.listener_in_place_updated").await, 0);
}
