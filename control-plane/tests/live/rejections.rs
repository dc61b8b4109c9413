//! Faults that only Envoy finds. Each test has Envoy reject a file, and so has its own gateway.

use legation_testing::{Client, File, Gateway, Load, TakenPort, Variant, both_variants, eventually, free_port};
use nix::sys::signal::Signal;

both_variants! {
    a_first_file_that_is_rejected_can_be_mended_g7,
    what_envoy_rejects_is_rejected_once_g7,
    an_edit_whose_listener_is_rejected_changes_not_one_answer_o9,
}

fn good() -> File {
    Gateway::answering("one")
}

/// The same with one more listener, whose port is taken.
fn bad(taken: &TakenPort) -> File {
    good().and_listener("second", taken.port)
}

async fn is_well_again(gateway: &Gateway) {
    eventually("all is well again", || async {
        let status = gateway.status().await;
        status["nodes"][0]["state"] == "SYNCED" && status["generation"]["rejected"].is_null()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_shows_in_the_status_with_the_listeners_line() {
    let taken = TakenPort::take();
    let gateway = good().start().await;
    gateway.write(bad(&taken));
    let place = gateway.place("{name: second");

    gateway.rejected(2).await;
    let status = gateway.status().await;
    let rejected = &status["file"]["diagnostics"][0];
    assert_eq!(rejected["code"], "rejected_by_envoy");
    assert!(rejected["at"].as_str().unwrap().ends_with(&place), "{rejected}");
    assert!(rejected["message"].as_str().unwrap().contains("Address already in use"), "{rejected}");
    assert_eq!((&status["generation"]["serving"], &status["generation"]["confirmed"]), (&1.into(), &1.into()));
    // The node is put back, and its status still shows the rejection.
    let of_type = &status["nodes"][0]["types"]["LDS"];
    assert_eq!(of_type["state"], "NACKED", "{status}");
    assert!(of_type["at"].as_str().unwrap().ends_with(&place), "{status}");
    assert!(of_type["error"].as_str().unwrap().contains("Address already in use"), "{status}");
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    gateway.process.says(&[&format!("{place}: error[rejected_by_envoy]")]).await;

    gateway.write(good());
    is_well_again(&gateway).await;
    assert_eq!(gateway.status().await["file"]["diagnostics"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_file_is_tried_again_on_sighup() {
    let taken = TakenPort::take();
    let gateway = good().start().await;
    gateway.write(bad(&taken));
    gateway.rejected(2).await;
    let url = format!("http://127.0.0.1:{}/", taken.port);
    drop(taken);
    gateway.process.signal(Signal::SIGHUP);
    gateway.confirmed(3).await;
    let status = gateway.status().await;
    assert_eq!(status["nodes"][0]["state"], "SYNCED", "{status}");
    assert!(status["generation"]["rejected"].is_null(), "{status}");
    let client = Client::new();
    eventually("the new listener answers", || client.gets(200, &url, &[])).await;
}

async fn a_first_file_that_is_rejected_can_be_mended_g7(variant: Variant) {
    let taken = TakenPort::take();
    let gateway = bad(&taken).begin_with(variant).await;
    gateway.rejected(1).await;
    gateway.write(good());
    gateway.confirmed(2).await;
    let status = gateway.status().await;
    assert_eq!(status["nodes"][0]["state"], "SYNCED", "{status}");
    assert_eq!(gateway.get("/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_file_that_is_rejected_is_tried_again_on_sighup() {
    let taken = TakenPort::take();
    let gateway = bad(&taken).begin_with([]).await;
    gateway.rejected(1).await;
    drop(taken);
    gateway.process.signal(Signal::SIGHUP);
    gateway.confirmed(2).await;
}

async fn what_envoy_rejects_is_rejected_once_g7(variant: Variant) {
    let taken = TakenPort::take();
    let gateway = good().start_with(variant).await;
    let rejections = async || gateway.envoy_counter("listener_manager.lds.update_rejected").await;
    gateway.write(bad(&taken));
    eventually("Envoy rejects it", || async { rejections().await > 0 }).await;
    // A storm of rejections would show by the end of these edits.
    for body in ["two", "three"] {
        gateway.edit(Gateway::answering(body)).await;
        eventually("the edit serves", || async { gateway.get("/", &[]).await.body == body }).await;
    }
    assert_eq!(rejections().await, 1);
    let said = gateway.process.output().matches("error[rejected_by_envoy]").count();
    assert_eq!(said, 1, "the log says it once");
    let answered = gateway.envoy_counter("listener_manager.lds.update_success").await;
    assert!(
        answered <= 4,
        "listeners were sent {answered} times: at first, perhaps without the bad one, perhaps rolled back"
    );
}

/// Edits that change the routes and a listener at once, to a port that is taken, while requests
/// run.
async fn an_edit_whose_listener_is_rejected_changes_not_one_answer_o9(variant: Variant) {
    let (taken, good_port) = (TakenPort::take(), free_port());
    let file = |second: u16, status: u16| {
        let file = Gateway::routes("- {name: a, match: {prefix: /}, respond: {status: $STATUS}}");
        file.and_listener("second", second).set("STATUS", status)
    };
    let gateway = file(good_port, 200).start_with(variant).await;
    let second = format!("http://127.0.0.1:{good_port}/");
    let load = Load::start(vec![gateway.url("/"), second], &[]);
    for _ in 0..10 {
        gateway.write(file(taken.port, 418));
        eventually("it is rejected", || async { !gateway.status().await["generation"]["rejected"].is_null() }).await;
        gateway.write(file(good_port, 200));
        is_well_again(&gateway).await;
    }
    let requests = load.stop().await.expect("no request is answered by the rejected routes");
    assert!(requests > 0);
    // The same routes without the bad listener are served: else the load would prove nothing.
    gateway.edit(file(good_port, 418)).await;
    eventually("the routes change", || async { gateway.get("/", &[]).await.status == 418 }).await;
}
