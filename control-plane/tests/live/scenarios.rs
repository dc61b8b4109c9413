//! The filter's scenarios through a real Envoy. Requests and answers are those of the native tests.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use legation_testing::{
    Client, Http, Upstream, empty, eventually, free_port,
    mesh::{self, Mesh, module, wasm_filter},
};
use serde_json::{Value, json};

use crate::scenario::{self, Seen, Send, flat};

/// The header that tells the upstream what to answer: `name=value`, once for each header.
const RESPOND: &str = "x-respond";

/// Returns the answer of an upstream that describes the request that it saw.
fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| [name.to_string(), text(value)]).collect();
    let told = json!({"path": request.uri().path_and_query().map_or("", |path| path.as_str()), "headers": headers});
    let mut response = Response::new(Full::new(told.to_string().into()));
    for (name, value) in
        request.headers().get_all(RESPOND).iter().filter_map(|value| value.to_str().ok()?.split_once('='))
    {
        let (name, value) =
            (HeaderName::try_from(name).expect("a name"), HeaderValue::try_from(value).expect("a value"));
        response.headers_mut().append(name, value);
    }
    response
}

/// Returns a listener whose filter has this configuration and a VM of its own.
fn listener(port: u16, name: &str, config: &Value, module: &std::path::Path) -> Value {
    let routes = json!([
        {"name": "named", "match": {"prefix": "/named"}, "route": {"cluster": "svc"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "svc"}},
    ]);
    let mut listener = mesh::listener(port, &[wasm_filter(name, config, module)], &routes);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    // The scenario sets the client's address.
    manager["use_remote_address"] = json!(false);
    listener
}

async fn send(client: &Client, port: u16, send: &Send) -> Seen {
    let mut request = Request::builder()
        .method(send.method.as_str())
        .uri(format!("http://127.0.0.1:{port}{}", send.path))
        .header("host", &send.host)
        .header("x-forwarded-for", &send.from);
    for (name, value) in flat(&send.headers) {
        request = request.header(name, value);
    }
    for (name, value) in flat(&send.respond) {
        request = request.header(RESPOND, format!("{name}={value}"));
    }
    let response = client.send(request.body(empty()).expect("a request")).await.expect("an answer");
    let told: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let pair = |pair: &Value| Some((text(&pair[0])?, text(&pair[1])?));
    let upstream = text(&told["path"])
        .map(|path| (path, told["headers"].as_array().expect("a list").iter().filter_map(pair).collect()));
    let headers = response.headers.iter();
    Seen {
        status: response.status.as_u16(),
        code: text(&told["code"]),
        upstream,
        response: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scenario_goes_in_envoy_as_it_is_written() {
    let answer = async |request: Request<Incoming>| Ok::<_, Infallible>(answer(&request));
    let svc = Upstream::start(Http::One, answer).await.address;
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path());
    let scenarios = scenario::all();
    assert!(scenarios.len() > 10, "the scenarios are found");
    let ports: Vec<u16> = scenarios.iter().map(|_| free_port()).collect();
    let listeners: Vec<Value> = scenarios
        .iter()
        .zip(&ports)
        .map(|(scenario, port)| listener(*port, &scenario.name, &scenario.config, &module))
        .collect();
    let _mesh = Mesh::start(&folder, &listeners, &[("svc", svc)]).await;
    for (scenario, port) in scenarios.iter().zip(ports) {
        let client = Client::new();
        let listens = || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() };
        eventually(&format!("Envoy listens for {}", scenario.name), listens).await;
        for (place, step) in scenario.steps.iter().enumerate() {
            for _ in 0..step.times {
                let seen = send(&client, port, &step.send).await;
                step.get.check(&seen, &format!("{}, step {}", scenario.name, place + 1));
            }
        }
    }
}
