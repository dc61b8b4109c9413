//! The quickstart, started by the script behind `make up`, and the README's own lines.

use std::{net::TcpListener, process::Stdio};

use legation_testing::{PATIENCE, Process, envoy, free_port, legation_path, root};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

/// Returns the commands of the README's first shell block that calls curl, for another port.
fn readme_lines(port: u16) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.split("```sh\n").find(|block| block.contains("curl")).expect("the README tries the quickstart");
    let block = block.split_once("```").unwrap().0;
    let commands = block.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    commands.map(|line| line.replace("localhost:8000", &format!("127.0.0.1:{port}"))).collect()
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

async fn output(line: &str) -> String {
    let output = timeout(PATIENCE, shell(line).output()).await.expect("it ends").unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until a command that does not end has written `count` lines with this beginning.
async fn writes(line: &str, count: usize, beginning: &str) {
    // With `exec`, killing the shell kills the command.
    let mut running = shell(&format!("exec {line}")).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut came = 0;
    while came < count {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("more comes").unwrap().expect("it goes on");
        came += usize::from(line.starts_with(beginning));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_lines_do_what_it_says_and_ctrl_c_ends_everything() {
    // <target>/<profile>/legation
    let command = legation_path();
    let profile = command.parent().unwrap();
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
    let mut command = std::process::Command::new(root().join("scripts/up"));
    command
        .envs(names.iter().zip(ports.map(|port| port.to_string())))
        .env("CARGO_TARGET_DIR", profile.parent().unwrap())
        .env("UP_PROFILE", profile.file_name().unwrap())
        .env("UP_STATE", state.path())
        .env("ENVOY", envoy());
    let up = Process::start_group("scripts/up", &mut command);
    up.says(&["Ctrl-C ends all of it"]).await;

    let lines = readme_lines(ports[0]);
    let [good, none, over, events] = lines.as_slice() else { panic!("four lines: {lines:#?}") };

    let good = output(good).await;
    assert!(good.starts_with("HTTP/1.1 200 OK"), "{good}");
    assert!(good.contains("\"x-consumer-id\":\"alice\"") && !good.contains("demo-alice-key"), "{good}");
    assert!(good.contains("ratelimit: "), "{good}");

    let none = output(none).await;
    assert!(none.starts_with("HTTP/1.1 401") && none.contains("missing_api_key"), "{none}");

    let over = output(over).await;
    assert_eq!(over.lines().collect::<Vec<_>>(), ["200", "200", "200", "200", "200", "429", "429"]);

    writes(events, 5, "id: ").await;

    up.end(Signal::SIGINT);
    for (name, port) in names.iter().zip(ports) {
        assert!(TcpListener::bind(("0.0.0.0", port)).is_ok(), "{name} {port} is still taken");
    }
}
