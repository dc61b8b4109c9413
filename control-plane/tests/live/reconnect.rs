//! The control plane dies and comes back; Envoy serves on and is sent nothing again.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use nix::sys::signal::Signal;

use crate::support::{
    ALICE_KEY, ALICE_SHA256, Client, Process, admin_address, envoy, eventually, free_port, legation, upstream,
};

fn serve(path: &Path, xds: u16) -> Process {
    let mut command = legation();
    command.arg("serve").arg(path).args(["--xds", &format!("127.0.0.1:{xds}"), "--admin", "127.0.0.1:0"]);
    Process::start("legation serve", &mut command)
}

/// The counters that move when a resource is sent again.
pub async fn counters(admin: &str) -> BTreeMap<String, u64> {
    let stats = Client::new().get(&format!("http://{admin}/stats"), &[]).await;
    let text = String::from_utf8(stats.body.to_vec()).unwrap();
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| {
            let ends = ["cluster_added", "cluster_modified", "listener_added", "listener_modified", "config_reload"];
            ends.iter().any(|end| name.ends_with(end))
                || (name.contains("cluster.svc.update_success") || name.contains(".rds."))
                    && name.ends_with("update_success")
                || name.contains("extension_config_discovery") && name.ends_with("config_reload")
        })
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
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
    let envoy_yaml = directory.path().join("envoy.yaml");
    fs::write(&envoy_yaml, bootstrap.stdout).unwrap();
    let admin_path = directory.path().join("admin");
    let mut command = Command::new(envoy());
    command.arg("-c").arg(&envoy_yaml).arg("--admin-address-path").arg(&admin_path);
    let _envoy = Process::start("envoy", command.args(["--disable-hot-restart", "--log-level", "warning"]));

    let client = Client::new();
    let url = format!("http://127.0.0.1:{port}/");
    let serves = async || client.try_get(&url, &[("x-api-key", ALICE_KEY)]).await.is_ok_and(|it| it.status == 200);
    eventually("the gateway answers", &serves).await;
    let admin = fs::read_to_string(&admin_path).unwrap();
    let before = counters(&admin).await;
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
        assert_eq!(counters(&admin).await, before);
        let metrics = client.get(&status.replace("/status", "/metrics"), &[]).await;
        let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
        let resent: Vec<_> = metrics.lines().filter(|line| line.starts_with("legation_xds_resources_total")).collect();
        assert!(resent.iter().all(|line| line.ends_with(" 0")), "{resent:?}");
        assert!(serves().await);
    }
}
