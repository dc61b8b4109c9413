//! The channel between the control plane and a real Envoy: TLS both ways, and which nodes are
//! connected.

use std::{fs, path::PathBuf, process::Output};

use legation_testing::{
    Client, ControlPlane, Envoy, File, Gateway, Options, TakenPort, eventually, free_port, legation, pki::Authority,
};

fn proxies(admin: &str, arguments: &[&str]) -> Output {
    legation().args(["proxies", "--admin", admin]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Arguments that name files.
fn flags(flags: [(&str, &PathBuf); 3]) -> Vec<String> {
    flags.iter().flat_map(|(flag, file)| [(*flag).to_owned(), file.display().to_string()]).collect()
}

/// A control plane that verifies clients' certificates and holds nodes to their names, and Envoys
/// with certificates.
struct Fleet {
    folder: tempfile::TempDir,
    port: u16,
    control_plane: ControlPlane,
    authority: Authority,
}

impl Fleet {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let authority = Authority::new("the fleet");
        let ca = authority.write(folder.path(), "ca.crt");
        let (cert, key) = authority.pair(&["localhost", "127.0.0.1"]).write(folder.path(), "xds");
        let path = folder.path().join("gateway.yaml");
        fs::write(&path, File::answering("one").at(port)).unwrap();
        let mut arguments = flags([("--tls-cert", &cert), ("--tls-key", &key), ("--client-ca", &ca)]);
        arguments.push("--pin-node-ids".to_owned());
        let control_plane = ControlPlane::on(&path, arguments).await;
        Self { folder, port, control_plane, authority }
    }

    /// Starts an Envoy that says that it is `node`, and shows a certificate for `name`.
    async fn envoy(&self, node: &str, name: &str) -> Envoy {
        let (cert, key) = self.authority.pair(&[name]).write(self.folder.path(), node);
        let arguments =
            flags([("--tls-ca", &self.folder.path().join("ca.crt")), ("--tls-cert", &cert), ("--tls-key", &key)]);
        let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
        Envoy::join_at(&format!("localhost:{}", self.control_plane.xds), self.folder.path(), node, &arguments).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_joins_with_its_certificate_and_comes_back_after_the_control_planes_changed() {
    let fleet = Fleet::start().await;
    let admin = fleet.control_plane.admin();
    let _envoy = fleet.envoy("edge-1", "edge-1").await;
    let client = Client::new();
    let url = format!("http://127.0.0.1:{}/", fleet.port);
    let says = async |body: &str| client.try_get(&url, &[]).await.is_ok_and(|it| it.body == body);
    eventually("the gateway answers", async || says("one").await).await;

    eventually("every node is synced", async || proxies(&admin, &[]).status.code() == Some(0)).await;
    let shown = text(&proxies(&admin, &[]));
    assert!(shown.contains("edge-1  SYNCED  ACKED 1"), "{shown}");

    // The control plane refuses a key that does not belong to the certificate and says so. Then it
    // takes a new pair.
    let others = Authority::new("others").pair(&["localhost"]);
    fs::write(fleet.control_plane.path("xds.key"), others.key).unwrap();
    let output = || fleet.control_plane.process.output();
    eventually("the bad pair is refused", async || output().contains("xds.key: ")).await;
    fleet.authority.pair(&["localhost"]).write(fleet.folder.path(), "xds");
    eventually("the new pair is taken", async || output().contains("xDS has a new certificate")).await;
    let _second = fleet.envoy("edge-2", "edge-2").await;
    eventually("another joins with the new pair", async || text(&proxies(&admin, &[])).contains("edge-2  SYNCED"))
        .await;
    fleet.control_plane.write(File::answering("two").at(fleet.port));
    eventually("the edit is served", async || says("two").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_with_another_nodes_name_is_refused() {
    let fleet = Fleet::start().await;
    let admin = fleet.control_plane.admin();
    let _envoy = fleet.envoy("edge-1", "edge-2").await;
    fleet.control_plane.process.says(&["refusing a client that says it is node edge-1"]).await;
    let shown = text(&proxies(&admin, &[]));
    assert!(shown.contains("no node is connected"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_serves_its_own_envoy_while_the_port_asks_for_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("the fleet");
    let ca = authority.write(folder.path(), "ca.crt");
    let (cert, key) = authority.pair(&["control-plane"]).write(folder.path(), "xds");
    let mut arguments = flags([("--tls-cert", &cert), ("--tls-key", &key), ("--client-ca", &ca)]);
    arguments.push("--pin-node-ids".to_owned());
    let gateway = Gateway::answering("one").start_with(arguments.iter().collect::<Options>()).await;
    assert_eq!(gateway.get("/", &[]).await.body, "one");
    gateway.edit(File::answering("two")).await;
    assert_eq!(gateway.get("/", &[]).await.body, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_shows_a_rejection_with_its_place_and_says_who_cannot_be_asked() {
    let taken = TakenPort::take();
    // Envoy rejects the first file. No earlier generation is confirmed, so the rejection stays.
    let gateway = Gateway::answering("one").and_listener("second", taken.port).begin_with([]).await;
    let (admin, at) = (gateway.admin(), gateway.place("{name: second"));
    eventually("the rejection shows", async || proxies(&admin, &[]).status.code() == Some(2)).await;
    eventually("with its place", async || {
        let shown = text(&proxies(&admin, &[]));
        shown.contains(&format!("{at}: local rejects LDS:\n")) && shown.contains("Address already in use")
    })
    .await;
    let json: serde_json::Value = serde_json::from_slice(&proxies(&admin, &["-o", "json"]).stdout).unwrap();
    assert_eq!(json["nodes"][0]["id"], "local");

    let nobody = proxies(&format!("127.0.0.1:{}", free_port()), &[]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody).contains("cannot ask the control plane at 127.0.0.1:"), "{}", text(&nobody));
}
