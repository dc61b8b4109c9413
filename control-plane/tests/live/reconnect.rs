//! The control plane dies and comes back; Envoy serves on and is sent nothing again.

use legation_testing::{ALICE_KEY, Client, ControlPlane, Envoy, File, eventually, free_port, upstream};
use nix::sys::signal::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn envoy_serves_on_and_is_sent_nothing_again() {
    let port = free_port();
    let routes =
        "- {name: keyed, match: {prefix: /}, cluster: svc, api_key: {}, rate_limit: {limit: 1000, window: 1s}}";
    let file = File::routes(routes).cluster("svc", upstream("svc").await).alice();
    let mut control_plane = ControlPlane::start(file.at(port), [""; 0]).await;
    let envoy = Envoy::join(&control_plane, "test", &[]).await;

    let (client, url, key) = (Client::new(), format!("http://127.0.0.1:{port}/"), [("x-api-key", ALICE_KEY)]);
    let serves = || client.gets(200, &url, &key);
    eventually("the gateway answers", serves).await;
    control_plane.at(1, 1, 0).await;
    let before = envoy.counters().await;
    assert!(before.keys().any(|name| name.contains("rds")), "{before:?}");
    assert!(before.keys().any(|name| name.contains("extension_config_discovery")), "{before:?}");
    assert!(before.keys().any(|name| name.contains("cluster.svc.update_success")), "{before:?}");

    for _ in 0..2 {
        control_plane.process.end(Signal::SIGKILL);
        assert!(serves().await);
        control_plane.start_again().await;
        // Envoy has joined again and confirmed its resources.
        control_plane.at(1, 1, 0).await;
        assert_eq!(envoy.counters().await, before);
        control_plane.has_sent_nothing().await;
        assert!(serves().await);
    }
}
