//! The quickstart, started by the script behind `make up`, and the README's own lines.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::signal::Signal;

use crate::support::{Process, envoy, eventually, free_port};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The commands of the README's first shell block that calls curl, for another port.
fn readme_lines(port: u16) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.split("```sh\n").find(|block| block.contains("curl")).expect("the README tries the quickstart");
    let block = block.split_once("```").unwrap().0;
    let commands = block.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    commands.map(|line| line.replace("localhost:8000", &format!("127.0.0.1:{port}"))).collect()
}

async fn output(line: String) -> String {
    let run = move || Command::new("timeout").args(["2", "bash", "-c", &line]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_lines_do_what_it_says_and_ctrl_c_ends_everything() {
    // <target>/<profile>/legation
    let profile = Path::new(env!("CARGO_BIN_EXE_legation")).parent().unwrap();
    let state = tempfile::tempdir().unwrap();
    let names = [
        "LEGATION_PORT",
        "LEGATION_ADMIN_PORT",
        "LEGATION_XDS_PORT",
        "ENVOY_ADMIN_PORT",
        "USERS_PORT",
        "ORDERS_PORT",
        "PRODUCTS_V1_PORT",
        "PRODUCTS_V2_PORT",
    ];
    let ports = names.map(|_| free_port());
    let mut command = Command::new(root().join("scripts/up"));
    command
        .envs(names.iter().zip(ports.map(|port| port.to_string())))
        .env("CARGO_TARGET_DIR", profile.parent().unwrap())
        .env("UP_PROFILE", profile.file_name().unwrap())
        .env("UP_STATE", state.path())
        .env("ENVOY", envoy());
    let mut up = Process::start_group("scripts/up", &mut command);
    eventually("it says what to try", || async { up.output().contains("Ctrl-C ends all of it") }).await;

    let lines = readme_lines(ports[0]);
    let [good, none, over, events] = lines.as_slice() else { panic!("four lines: {lines:#?}") };

    let good = output(good.clone()).await;
    assert!(good.starts_with("HTTP/1.1 200 OK"), "{good}");
    assert!(good.contains("\"x-consumer-id\":\"alice\"") && !good.contains("demo-alice-key"), "{good}");
    assert!(good.contains("ratelimit: "), "{good}");

    let none = output(none.clone()).await;
    assert!(none.starts_with("HTTP/1.1 401") && none.contains("missing_api_key"), "{none}");

    let over = output(over.clone()).await;
    assert_eq!(over.lines().collect::<Vec<_>>(), ["200", "200", "200", "200", "200", "429", "429"]);

    let events = output(events.clone()).await;
    assert!((5..=11).contains(&events.matches("id: ").count()), "one each 200 ms, in 2 s: {events}");

    up.signal(Signal::SIGINT);
    up.wait();
    for (name, port) in names.iter().zip(ports) {
        assert!(TcpListener::bind(("0.0.0.0", port)).is_ok(), "{name} {port} is still taken");
    }
}
