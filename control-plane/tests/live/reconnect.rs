//! The control plane dies and comes back; Envoy serves on and is sent nothing again.

use std::{fs, path::Path};

use nix::sys::signal::Signal;

use crate::support::{
    ALICE_KEY, ALICE_SHA256, Client, Envoy, Process, admin_address, eventually, free_port, legation, upstream,
};

fn serve(path: &Path, xds: u16) -> Process {
    let mut command = legation();
    command.arg("serve").arg(path).args(["--xds", &format!("127.0.0.1:{xds}"), "--admin", "127.0.0.1:0"]);
    Process::start("legation serve", &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_serves_on_and_is_sent_nothing_again() {
    let svc = upstream("svc").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    let (port, xds) = (free_port(), free_port());
    fs::write(
        &path,
        format!(
            r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: keyed, match: {{prefix: /}}, cluster: svc, api_key: {{}}, rate_limit: {{limit: 1000, window: 1s}}}}
clusters: [{{name: svc, endpoints: ["{svc}"]}}]
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
        ),
    )
    .unwrap();
    let mut control_plane = serve(&path, xds);
    admin_address(&control_plane).await;

    let bootstrap = legation()
        .args(["bootstrap", "--node-id", "test", "--xds", &format!("127.0.0.1:{xds}"), "--envoy-admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    let envoy = Envoy::start(directory.path(), "test", &bootstrap.stdout).await;

    let client = Client::new();
    let url = format!("http://127.0.0.1:{port}/");
    let serves = async || client.try_get(&url, &[("x-api-key", ALICE_KEY)]).await.is_ok_and(|it| it.status == 200);
    eventually("the gateway answers", &serves).await;
    let before = envoy.counters().await;
    assert!(before.keys().any(|name| name.contains("rds")), "{before:?}");
    assert!(before.keys().any(|name| name.contains("extension_config_discovery")), "{before:?}");
    assert!(before.keys().any(|name| name.contains("cluster.svc.update_success")), "{before:?}");

    for _ in 0..2 {
        control_plane.signal(Signal::SIGKILL);
        control_plane.wait();
        assert!(serves().await);
        control_plane = serve(&path, xds);
        let status = format!("http://{}/status", admin_address(&control_plane).await);
        eventually("Envoy is back and has confirmed", || async {
            client.get(&status, &[]).await.json()["generation"]["confirmed"] == 1
        })
        .await;
        assert_eq!(envoy.counters().await, before);
        let metrics = client.get(&status.replace("/status", "/metrics"), &[]).await;
        let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
        let resent: Vec<_> = metrics.lines().filter(|line| line.starts_with("legation_xds_resources_total")).collect();
        assert!(resent.iter().all(|line| line.ends_with(" 0")), "{resent:?}");
        assert!(serves().await);
    }
}
