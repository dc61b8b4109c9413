//! Roll-backs after a node rejects a file: for all nodes, or for that node alone. And canaries.

use legation_testing::{ControlPlane, Envoy, File, Node, TakenPort, Variant, both_variants, eventually, free_port};

both_variants! {
    a_rejected_file_is_undone_also_for_an_envoy_that_joins_later_and_after_a_restart,
}

/// A file with a listener `http` and further ones.
fn file(port: u16, more: &[(&str, u16)]) -> File {
    let http = File::answering("here").port(port);
    more.iter().fold(http, |file, (name, port)| file.and_listener(name, *port))
}

const ALONE: [&str; 0] = [];

async fn a_rejected_file_is_undone_also_for_an_envoy_that_joins_later_and_after_a_restart(variant: Variant) {
    let taken = TakenPort::take();
    let variant = variant.arguments();
    let (port, good, other) = (free_port(), free_port(), free_port());
    let mut control_plane = ControlPlane::start(file(port, &[]), ALONE).await;
    let rejected = file(port, &[("good", good), ("bad", taken.port)]);
    let first = Envoy::join(&control_plane, "first", variant).await;
    control_plane.at(1, 1, 0).await;
    first.has_listeners(&["http"]).await;

    // The file has one more good listener, and one that Envoy cannot have.
    control_plane.write(&rejected);
    control_plane.at(1, 1, 2).await;
    first.has_listeners(&["http"]).await;
    control_plane.node_is("first", "NACKED").await;
    let says_why = async |control_plane: &ControlPlane| {
        let status = control_plane.status().await;
        let diagnostic = &status["file"]["diagnostics"][0];
        assert_eq!((&diagnostic["code"], &diagnostic["severity"]), (&"rejected_by_envoy".into(), &"error".into()));
        assert!(diagnostic["at"].as_str().unwrap().ends_with("gateway.yaml:5:3"), "{diagnostic}");
        for word in ["first", "LDS", "`bad`", "Address already in use"] {
            assert!(diagnostic["message"].as_str().unwrap().contains(word), "{word}: {diagnostic}");
        }
    };
    says_why(&control_plane).await;
    control_plane.process.says(&["gateway.yaml:5:3: error[rejected_by_envoy]", "node first"]).await;
    control_plane.process.says(&["generation 2 is rejected: all nodes are served generation 1"]).await;

    let later = Envoy::join(&control_plane, "later", variant).await;
    control_plane.node_is("later", "SYNCED").await;
    later.has_listeners(&["http"]).await;

    control_plane.restart().await;
    control_plane.at(1, 1, 2).await;
    says_why(&control_plane).await;
    for node in ["first", "later"] {
        control_plane.node_is(node, "SYNCED").await;
    }
    first.has_listeners(&["http"]).await;
    later.has_listeners(&["http"]).await;
    control_plane.process.says(&["the file was rejected before"]).await;

    // Envoy takes a mended file. Then it is sent the rejected one again.
    control_plane.write(file(port, &[("good", good), ("other", other)]));
    control_plane.at(3, 3, 0).await;
    first.has_listeners(&["good", "http", "other"]).await;
    control_plane.write(&rejected);
    control_plane.at(3, 3, 4).await;
    first.has_listeners(&["good", "http", "other"]).await;
    drop(taken);
    control_plane.write(rejected.top("# again"));
    control_plane.at(5, 5, 0).await;
    first.has_listeners(&["bad", "good", "http"]).await;
    later.has_listeners(&["bad", "good", "http"]).await;
    assert_eq!(control_plane.status().await["file"]["diagnostics"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_while_nothing_ran_falls_back_to_what_was_confirmed_before() {
    let (taken, port) = (TakenPort::take(), free_port());
    let mut control_plane = ControlPlane::start(file(port, &[]), ALONE).await;
    let envoy = Envoy::join(&control_plane, "envoy", &[]).await;
    control_plane.at(1, 1, 0).await;
    let kept = control_plane.path(".legation/confirmed.yaml");
    eventually("it is kept", || async { kept.exists() }).await;
    control_plane.write(file(port, &[("bad", taken.port)]));
    control_plane.restart().await;
    control_plane.at(1, 1, 2).await;
    control_plane.node_is("envoy", "NACKED").await;
    envoy.has_listeners(&["http"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_confirmation_only_the_node_that_rejects_is_put_back() {
    let (port, more) = (free_port(), free_port());
    let control_plane = ControlPlane::start(file(port, &[]), ["--canary", "1"]).await;
    // Envoy is the canary, since its id comes first.
    let envoy = Envoy::join(&control_plane, "a-envoy", &[]).await;
    control_plane.node_is("a-envoy", "SYNCED").await;
    let node = Node::join(control_plane.xds, "b-node", "picky").await;
    control_plane.at(1, 1, 0).await;
    node.has_listeners(&["http"]).await;

    control_plane.write(file(port, &[("more", more), ("picky", free_port())]));
    control_plane.at(2, 2, 0).await;
    control_plane.process.says(&["node b-node alone is put back from generation 2 to 1"]).await;
    node.has_listeners(&["http"]).await;
    assert!(node.was_sent("more"));
    envoy.has_listeners(&["http", "more", "picky"]).await;
    control_plane.at(2, 2, 0).await;

    control_plane.write(file(port, &[("more", more)]));
    control_plane.at(3, 3, 0).await;
    node.has_listeners(&["http", "more"]).await;
    envoy.has_listeners(&["http", "more"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_canary_rejects_never_reaches_the_others_and_what_it_accepts_does() {
    let ports = [free_port(), free_port(), free_port()];
    let file = |more: &[(&str, u16)]| file(ports[0], more).top("defaults: {rollout: {canary: 1}}");
    let control_plane = ControlPlane::start(file(&[]), ALONE).await;
    let first = Node::join(control_plane.xds, "a", "bad").await;
    first.has_listeners(&["http"]).await;
    let others = [Node::join(control_plane.xds, "b", "").await, Node::join(control_plane.xds, "c", "").await];
    control_plane.at(1, 1, 0).await;
    for node in &others {
        node.has_listeners(&["http"]).await;
    }

    control_plane.write(file(&[("good", ports[1]), ("bad", ports[2])]));
    control_plane.at(1, 1, 2).await;
    first.has_listeners(&["http"]).await;
    assert!(first.was_sent("bad"));
    control_plane.write(file(&[("good", ports[1])]));
    control_plane.at(3, 3, 0).await;
    for node in others.iter().chain([&first]) {
        node.has_listeners(&["good", "http"]).await;
    }
    assert!(others.iter().all(|node| !node.was_sent("bad")));

    // The canary leaves; the next one takes its place, and accepts.
    drop(first);
    control_plane.node_is("a", "GONE").await;
    control_plane.write(file(&[("good", ports[1]), ("bad", ports[2])]));
    control_plane.at(4, 4, 0).await;
    for node in &others {
        node.has_listeners(&["bad", "good", "http"]).await;
    }
}
