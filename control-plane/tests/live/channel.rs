//! The channel between the control plane and a real Envoy: TLS both ways, and who is connected.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    pki::Authority,
    support::{Client, Gateway, Options, Process, admin_address, envoy, eventually, free_port, legation},
};

fn file(port: u16, body: &str) -> String {
    format!(
        "version: 1\nlisteners: [{{name: http, port: {port}}}]\nroutes:\n\
         - {{name: a, match: {{prefix: /}}, respond: {{status: 200, body: {body}}}}}\n"
    )
}

fn proxies(admin: &str, arguments: &[&str]) -> Output {
    legation().args(["proxies", "--admin", admin]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A control plane that asks for clients' certificates and holds them to their names, and an Envoy that has one.
struct Fleet {
    folder: tempfile::TempDir,
    port: u16,
    xds: u16,
    control_plane: Process,
    authority: Authority,
}

impl Fleet {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, xds) = (free_port(), free_port());
        let authority = Authority::new("the fleet");
        let ca = authority.write(folder.path(), "ca.crt");
        let (cert, key) = authority.pair(&["localhost", "127.0.0.1"]).write(folder.path(), "xds");
        let path = folder.path().join("gateway.yaml");
        fs::write(&path, file(port, "one")).unwrap();
        let mut command = legation();
        command.arg("serve").arg(path).args(["--admin", "127.0.0.1:0", "--pin-node-ids"]);
        command.arg("--xds").arg(format!("127.0.0.1:{xds}"));
        for (flag, file) in [("--tls-cert", &cert), ("--tls-key", &key), ("--client-ca", &ca)] {
            command.arg(flag).arg(file);
        }
        let control_plane = Process::start("legation serve", &mut command);
        Self { folder, port, xds, control_plane, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An Envoy that says that it is this node, and shows a certificate for that name.
    fn envoy(&self, node: &str, name: &str) -> Process {
        let (cert, key) = self.authority.pair(&[name]).write(self.folder.path(), node);
        let mut bootstrap = legation();
        bootstrap.args(["bootstrap", "--node-id", node, "--envoy-admin", "127.0.0.1:0"]);
        bootstrap.arg("--xds").arg(format!("localhost:{}", self.xds));
        for (flag, file) in [("--tls-ca", &self.path("ca.crt")), ("--tls-cert", &cert), ("--tls-key", &key)] {
            bootstrap.arg(flag).arg(file);
        }
        let bootstrap = bootstrap.output().unwrap();
        assert!(bootstrap.status.success(), "{}", text(&bootstrap));
        let path = self.path(&format!("{node}.yaml"));
        fs::write(&path, bootstrap.stdout).unwrap();
        start_envoy(&path)
    }
}

fn start_envoy(bootstrap: &Path) -> Process {
    let mut command = Command::new(envoy());
    command.arg("-c").arg(bootstrap).args(["--disable-hot-restart", "--log-level", "warning", "--concurrency", "1"]);
    Process::start("envoy", &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_joins_with_its_certificate_and_comes_back_after_the_control_planes_changed() {
    let fleet = Fleet::start().await;
    let admin = admin_address(&fleet.control_plane).await.to_string();
    let _envoy = fleet.envoy("edge-1", "edge-1");
    let client = Client::new();
    let url = format!("http://127.0.0.1:{}/", fleet.port);
    let says = async |body: &str| client.try_get(&url, &[]).await.is_ok_and(|it| it.body == body);
    eventually("the gateway answers", async || says("one").await).await;

    eventually("every node is synced", async || proxies(&admin, &[]).status.code() == Some(0)).await;
    let shown = text(&proxies(&admin, &[]));
    assert!(shown.contains("edge-1  SYNCED  ACKED 1"), "{shown}");

    // A pair that does not belong together is refused, and said; then a new one is taken.
    let others = Authority::new("others").pair(&["localhost"]);
    fs::write(fleet.path("xds.key"), others.key).unwrap();
    let output = || fleet.control_plane.output();
    eventually("the bad pair is refused", async || output().contains("xds.key: ")).await;
    fleet.authority.pair(&["localhost"]).write(fleet.folder.path(), "xds");
    eventually("the new pair is taken", async || output().contains("xDS has a new certificate")).await;
    let _second = fleet.envoy("edge-2", "edge-2");
    eventually("another joins with the new pair", async || text(&proxies(&admin, &[])).contains("edge-2  SYNCED"))
        .await;
    fs::write(fleet.path("gateway.yaml"), file(fleet.port, "two")).unwrap();
    eventually("the edit is served", async || says("two").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_with_another_nodes_name_is_refused() {
    let fleet = Fleet::start().await;
    let admin = admin_address(&fleet.control_plane).await.to_string();
    let _envoy = fleet.envoy("edge-1", "edge-2");
    eventually("it is refused", async || fleet.control_plane.output().contains("node edge-1 is refused")).await;
    let shown = text(&proxies(&admin, &[]));
    assert!(shown.contains("no node is connected"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_serves_its_own_envoy_while_the_port_asks_for_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("the fleet");
    let ca = authority.write(folder.path(), "ca.crt");
    let (cert, key) = authority.pair(&["control-plane"]).write(folder.path(), "xds");
    let flags = [("--tls-cert", &cert), ("--tls-key", &key), ("--client-ca", &ca)];
    let arguments = flags.iter().flat_map(|(flag, file)| [(*flag).to_owned(), file.display().to_string()]);
    let arguments = arguments.chain(["--pin-node-ids".to_owned()]).collect();
    let gateway = Gateway::start_with(Options { arguments, ..Options::default() }, |port| file(port, "one")).await;
    assert_eq!(gateway.get("/", &[]).await.body, "one");
    gateway.edit(&file(gateway.port, "two")).await;
    assert_eq!(gateway.get("/", &[]).await.body, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_shows_a_rejection_with_its_place_and_says_who_cannot_be_asked() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    // Rejected at the start, where nothing was confirmed that it could be put back to: so it stays.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    let other = format!("listeners: [{{name: second, port: {taken_port}}}, ");
    std::fs::write(&path, file(free_port(), "one").replace("listeners: [", &other)).unwrap();
    let mut command = legation();
    command.arg("run").arg(&path).args(["--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain", "1s"]);
    let process = Process::start("legation run", command.args(["--envoy-admin", "127.0.0.1:0"]));
    let admin = admin_address(&process).await.to_string();
    eventually("the rejection shows", async || proxies(&admin, &[]).status.code() == Some(2)).await;
    eventually("with its place", async || {
        let shown = text(&proxies(&admin, &[]));
        shown.contains("gateway.yaml:2:13: local rejects LDS:\n") && shown.contains("Address already in use")
    })
    .await;
    let json: serde_json::Value = serde_json::from_slice(&proxies(&admin, &["-o", "json"]).stdout).unwrap();
    assert_eq!(json["nodes"][0]["id"], "local");

    let nobody = proxies(&format!("127.0.0.1:{}", free_port()), &[]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody).contains("cannot ask the control plane at 127.0.0.1:"), "{}", text(&nobody));
}
