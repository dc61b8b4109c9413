//! `mirror`: another cluster gets copies of requests.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use legation_testing::{ALICE_KEY, File, Http, Upstream, eventually, free_port, upstream};

/// Path, host, caller, key and body of each request.
type Seen = Arc<Mutex<Vec<[String; 5]>>>;

/// An upstream that takes requests down and refuses them all.
async fn recorder() -> (Upstream, Seen) {
    let seen = Seen::default();
    let records = Arc::clone(&seen);
    let answer = move |request: Request<Incoming>| {
        let records = Arc::clone(&records);
        async move {
            let text = |name: &str| {
                let value = request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                value.unwrap_or_default()
            };
            let path = request.uri().path().to_owned();
            let (host, caller, key) = (text(HOST.as_str()), text("x-consumer-id"), text("x-api-key"));
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let body = String::from_utf8_lossy(&body).into_owned();
            records.lock().unwrap().push([path, host, caller, key, body]);
            Ok::<_, Infallible>(Response::builder().status(500).body(Full::default()).unwrap())
        }
    };
    (Upstream::start(Http::One, answer).await, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_gets_copies_and_callers_do_not_notice() {
    let (recorder, seen) = recorder().await;
    let svc = upstream("svc").await;
    let nobody: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let routes = "
        - {name: all, match: {prefix: /all}, cluster: svc, api_key: {}, mirror: {cluster: next}}
        - {name: none, match: {prefix: /none}, cluster: svc, mirror: {cluster: next, percent: 0%}}
        - {name: away, match: {prefix: /away}, cluster: svc, mirror: {cluster: away}}
    ";
    let file = File::routes(routes).alice().cluster("svc", svc).cluster("next", recorder.address);
    let gateway = file.cluster("away", nobody).start().await;
    let key = [("x-api-key", ALICE_KEY), ("host", "api.example.com")];
    for _ in 0..20 {
        assert_eq!(gateway.get("/none", &[]).await.status, 200);
        assert_eq!(gateway.get("/away", &[]).await.status, 200);
    }
    assert_eq!(gateway.get("/all", &[]).await.status, 401);
    for _ in 0..5 {
        let mut request = Request::post(gateway.url("/all/x"))
            .body(Full::from("a body").map_err(|never: Infallible| match never {}).boxed())
            .unwrap();
        for (name, value) in key {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        assert_eq!(gateway.client.send(request).await.unwrap().status, 200);
    }
    eventually("all copies have come", || async { seen.lock().unwrap().len() == 5 }).await;
    let copy = ["/all/x", "api.example.com", "alice", "", "a body"].map(str::to_owned);
    assert!(seen.lock().unwrap().iter().all(|seen| *seen == copy), "{seen:?}");
}
