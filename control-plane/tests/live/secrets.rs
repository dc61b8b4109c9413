//! No key shows anywhere: neither in an access log that shows paths as Envoy has them, nor in what
//! Legation and Envoy say of themselves, after requests with keys in every place and with every
//! outcome.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use legation_testing::{File, Gateway, Response, free_port, legation, upstream};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A part of all keys of these tests, also where one is partly escaped.
const SECRET: &str = "3cr3t";

const ALICE: &str = "s3cr3t-of-alice";
const BOB: &str = "s3cr3t-of-bob";
const CAROL: &str = "s3cr3t-of-carol";
const NOBODY: &str = "s3cr3t-of-nobody";
/// A key in the form of `legation key new` with a wrong checksum.
const MISTYPED: &str = "lg_abcdefgh_s3cr3ts3cr3ts3cr3ts3cr3ts3cr3t";

fn file(svc: SocketAddr) -> File {
    let sha256 = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let routes = "
        - {name: any, match: {prefix: /any}, cluster: svc, api_key: {$PLACES}}
        - {name: pro, match: {prefix: /pro}, cluster: svc, api_key: {$PLACES, plans: [pro]}}
        - {name: kept, match: {prefix: /kept}, cluster: svc, api_key: {$PLACES, keep: true, plans: [nobody]}}
        - name: moved
          match: {prefix: /moved}
          cluster: svc
          rewrite: {prefix: /elsewhere}
          api_key: {$PLACES}
        - name: limited
          match: {prefix: /limited}
          cluster: svc
          api_key: {$PLACES}
          rate_limit: {limit: 2, window: 1h, by: consumer}
        - {name: open, match: {prefix: /open}, cluster: svc}
    ";
    let consumers = "
        - {name: alice, plan: pro, api_keys: [{sha256: $HERS}]}
        - {name: bob, plan: pro, api_keys: [{sha256: $HIS, expires: \"2020-01-01\"}]}
        - {name: carol, api_keys: [{sha256: $CAROLS}]}
    ";
    File::routes(routes)
        .cluster("svc", svc)
        .consumers(consumers)
        .plans("- {name: pro}\n- {name: nobody}")
        .set("PLACES", "header: x-api-key, bearer: true, cookie: key, query: key")
        .set("HERS", sha256(ALICE))
        .set("HIS", sha256(BOB))
        .set("CAROLS", sha256(CAROL))
}

/// Returns the gateway's listener for another port, with two access logs: of paths and details, and
/// of the headers that may hold keys.
fn with_access_log(gateway: &Gateway, port: u16) -> Value {
    let dump = legation().arg("dump").arg(gateway.path()).output().unwrap();
    let dump: Value = serde_yaml::from_slice(&dump.stdout).unwrap();
    let mut listener = dump["listeners"][0].clone();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    listener["name"] = json!("logged");
    listener["address"]["socket_address"]["port_value"] = json!(port);
    let log = |name: &str, format: &str| {
        json!({
            "name": name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": gateway.directory().join(name),
                "log_format": {"text_format_source": {"inline_string": format!("{format}\n")}},
            },
        })
    };
    let paths = "%REQ(:METHOD)% %REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %ROUTE_NAME% %RESPONSE_CODE% \
                 %RESPONSE_CODE_DETAILS% %RESP(WWW-AUTHENTICATE)% %RESP(LOCATION)% %LOCAL_REPLY_BODY%";
    let headers = "%RESPONSE_CODE_DETAILS% %REQ(X-API-KEY)% %REQ(AUTHORIZATION)% %REQ(COOKIE)%";
    let manager = &mut listener["filter_chains"][0]["filters"][1]["typed_config"];
    manager["access_log"] = json!([log("paths.log", paths), log("headers.log", headers)]);
    listener
}

/// Runs a gateway whose second port logs. Each test has its own and ends it, since Envoy writes the
/// rest of its log then.
async fn gateway() -> (Gateway, u16) {
    let file = file(upstream("svc").await);
    let gateway = file.clone().start().await;
    let port = free_port();
    let listener = with_access_log(&gateway, port);
    gateway.edit(format!("{}envoy:\n- {listener}\n", file.at(gateway.port))).await;
    (gateway, port)
}

/// Returns the path and headers of requests with a key in each place, in two places at once, and
/// twice in one.
fn requests(path: &str, key: &str) -> Vec<(String, Vec<(&'static str, String)>)> {
    let escaped = format!("%{:02x}{}", key.as_bytes()[0], &key[1..]);
    let bearer = ("authorization", format!("Bearer {key}"));
    let cookie = ("cookie", format!("a=1; key={key}; b=2"));
    let header = ("x-api-key", key.to_owned());
    vec![
        (format!("{path}?key={key}"), vec![]),
        (format!("{path}?a=1&k%65y={escaped}&b=2"), vec![]),
        (format!("{path}?key={key}&key={key}"), vec![]),
        (format!("{path}?key={key}"), vec![bearer.clone()]),
        (format!("{path}?key={key}"), vec![header.clone(), header.clone()]),
        (path.to_owned(), vec![header.clone()]),
        (path.to_owned(), vec![bearer.clone()]),
        (path.to_owned(), vec![cookie.clone()]),
        (path.to_owned(), vec![header, bearer, cookie]),
    ]
}

fn shows_nothing(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} says something");
    let line = text.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None, "a key in {what}");
}

fn code(response: &Response) -> String {
    match response.status.as_u16() {
        200 if response.header("grpc-status").is_empty() => "pass".to_owned(),
        200 => "grpc".to_owned(),
        _ => response.json()["code"].as_str().unwrap().to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_said_anywhere() {
    let (gateway, port) = gateway().await;
    let mut outcomes = BTreeSet::new();
    for path in ["/any", "/pro/x", "/kept", "/moved/x", "/limited"] {
        for key in [ALICE, BOB, CAROL, NOBODY, MISTYPED] {
            for (path, headers) in requests(path, key) {
                let url = format!("http://127.0.0.1:{port}{path}");
                let mut headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
                let answer = gateway.client.get(&url, &headers).await;
                outcomes.insert(code(&answer));
                shows_nothing("an answer", &format!("{answer:?}"));
                headers.push(("content-type", "application/grpc"));
                let answer = gateway.client.get(&url, &headers).await;
                outcomes.insert(code(&answer));
                shows_nothing("an answer", &format!("{answer:?}"));
            }
        }
    }
    let expected = [
        "consumer_not_allowed",
        "duplicate_api_key",
        "expired_api_key",
        "grpc",
        "malformed_api_key",
        "pass",
        "rate_limited",
        "unknown_api_key",
    ];
    assert_eq!(outcomes, expected.map(str::to_owned).into());

    for path in ["/status", "/metrics"] {
        let answer = gateway.client.get(&gateway.admin_url(path), &[]).await;
        shows_nothing(path, &String::from_utf8_lossy(&answer.body));
    }
    for path in ["/stats", "/config_dump", "/clusters", "/listeners"] {
        shows_nothing(path, &gateway.envoy_admin(path).await);
    }
    gateway.process.end(Signal::SIGTERM);
    shows_nothing("the log", &gateway.process.output());
    let [paths, headers] = ["paths.log", "headers.log"]
        .map(|log| fs::read_to_string(gateway.directory().join(log)).expect("Envoy wrote it"));
    shows_nothing("an access log", &paths);
    assert!(paths.contains("GET /elsewhere/x /moved/x"), "the path before a rewrite is logged, too: {paths}");
    // The headers of a refused request stay unchanged. Only a log that asks for them shows them.
    let passed = headers.lines().filter(|line| line.starts_with("via_upstream")).collect::<Vec<_>>();
    shows_nothing("the headers of what passed", &passed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_log_shows_a_key_in_a_path_that_no_policy_was_asked_about() {
    let (gateway, port) = gateway().await;
    let shown = [
        // These are a route that asks for no key, a path without a route, and requests that Envoy
        // answers before any filter.
        ("/open/1", "/open/1", 200),
        ("/nowhere/2", "/nowhere/2", 404),
        ("/any/3%2f", "/any/3/", 307),
        ("/any/4%00", "/any/4%00", 400),
    ];
    for (path, _, status) in shown {
        let url = format!("http://127.0.0.1:{port}{path}?key={ALICE}");
        assert_eq!(gateway.client.get(&url, &[]).await.status, status, "{path}");
    }
    gateway.process.end(Signal::SIGTERM);
    shows_nothing("the log", &gateway.process.output());
    let paths = fs::read_to_string(gateway.directory().join("paths.log")).unwrap();
    for (_, path, _) in shown {
        assert!(paths.contains(&format!("{path}?key={ALICE}")), "{path}: {paths}");
    }
}
