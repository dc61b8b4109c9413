//! What only Envoy can find bad.

use std::net::TcpListener;

use crate::support::{Client, DELTA, Gateway, Load, SOTW, eventually};

/// A port that another process holds, as long as the listener lives.
fn a_taken_port() -> (TcpListener, u16) {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    (taken, port)
}

/// A file with a listener that is good, and more.
fn file(port: u16, more_listeners: &str) -> String {
    format!(
        "version: 1\nlisteners:\n- {{name: http, port: {port}}}\n{more_listeners}routes:\n\
         - {{name: a, match: {{prefix: /}}, respond: {{status: 200}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_shows_in_the_status_with_the_listeners_line() {
    let (_taken, taken_port) = a_taken_port();
    let gateway = Gateway::start(|port| file(port, "")).await;
    gateway.write(&file(gateway.port, &format!("- {{name: second, port: {taken_port}}}\n")));

    eventually("the rejection shows", || async { gateway.status().await["generation"]["rejected"] == 2 }).await;
    let status = gateway.status().await;
    let rejected = &status["file"]["diagnostics"][0];
    assert_eq!(rejected["code"], "rejected_by_envoy");
    assert!(rejected["at"].as_str().unwrap().ends_with("gateway.yaml:4:3"), "{rejected}");
    assert!(rejected["message"].as_str().unwrap().contains("Address already in use"), "{rejected}");
    assert_eq!((&status["generation"]["serving"], &status["generation"]["confirmed"]), (&1.into(), &1.into()));
    // The node is put back, and still says what it rejected.
    let of_type = &status["nodes"][0]["types"]["LDS"];
    assert_eq!(of_type["state"], "NACKED", "{status}");
    assert!(of_type["at"].as_str().unwrap().ends_with("gateway.yaml:4:3"), "{status}");
    assert!(of_type["error"].as_str().unwrap().contains("Address already in use"), "{status}");
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    gateway.process.says(&["gateway.yaml:4:3: error[rejected_by_envoy]"]).await;

    gateway.write(&file(gateway.port, ""));
    eventually("all is well again", || async {
        let status = gateway.status().await;
        status["nodes"][0]["state"] == "SYNCED" && status["generation"]["rejected"].is_null()
    })
    .await;
    assert_eq!(gateway.status().await["file"]["diagnostics"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_file_is_tried_again_on_sighup() {
    let (taken, taken_port) = a_taken_port();
    let gateway = Gateway::start(|port| file(port, "")).await;
    gateway.write(&file(gateway.port, &format!("- {{name: second, port: {taken_port}}}\n")));
    eventually("it is rejected", || async { gateway.status().await["generation"]["rejected"] == 2 }).await;
    drop(taken);
    gateway.process.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.confirmed(3).await;
    let status = gateway.status().await;
    assert_eq!(status["nodes"][0]["state"], "SYNCED", "{status}");
    assert!(status["generation"]["rejected"].is_null(), "{status}");
    eventually("the new listener answers", || async {
        Client::new()
            .try_get(&format!("http://127.0.0.1:{taken_port}/"), &[])
            .await
            .is_ok_and(|response| response.status == 200)
    })
    .await;
}

async fn a_first_file_that_is_rejected_can_be_mended(variant: &[&str]) {
    let (_taken, taken_port) = a_taken_port();
    let second = format!("- {{name: second, port: {taken_port}}}\n");
    let gateway = Gateway::begin(variant.into(), |port| file(port, &second)).await;
    eventually("it is rejected", || async { gateway.status().await["generation"]["rejected"] == 1 }).await;
    gateway.write(&file(gateway.port, ""));
    gateway.confirmed(2).await;
    let status = gateway.status().await;
    assert_eq!(status["nodes"][0]["state"], "SYNCED", "{status}");
    assert_eq!(gateway.get("/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_file_that_is_rejected_can_be_mended_in_delta_g7() {
    a_first_file_that_is_rejected_can_be_mended(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_file_that_is_rejected_can_be_mended_in_state_of_the_world_g7() {
    a_first_file_that_is_rejected_can_be_mended(SOTW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_file_that_is_rejected_is_tried_again_on_sighup() {
    let (taken, taken_port) = a_taken_port();
    let second = format!("- {{name: second, port: {taken_port}}}\n");
    let gateway = Gateway::begin(DELTA.into(), |port| file(port, &second)).await;
    eventually("it is rejected", || async { gateway.status().await["generation"]["rejected"] == 1 }).await;
    drop(taken);
    gateway.process.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.confirmed(2).await;
}

async fn what_envoy_rejects_is_rejected_once(variant: &[&str]) {
    let (_taken, taken_port) = a_taken_port();
    let file = |port: u16, more: &str, body: &str| {
        format!(
            "version: 1\nlisteners:\n- {{name: http, port: {port}}}\n{more}routes:\n\
             - {{name: a, match: {{prefix: /}}, respond: {{status: 200, body: {body}}}}}\n"
        )
    };
    let second = format!("- {{name: second, port: {taken_port}}}\n");
    let gateway = Gateway::start_with(variant.into(), |port| file(port, "", "one")).await;
    let rejections = async || gateway.envoy_counter("listener_manager.lds.update_rejected").await;
    gateway.write(&file(gateway.port, &second, "one"));
    eventually("Envoy rejects it", || async { rejections().await > 0 }).await;
    // Between the rejection and the end of these edits there is time for a storm.
    for body in ["two", "three"] {
        gateway.edit(&file(gateway.port, "", body)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_rejects_is_rejected_once_in_delta_g7() {
    what_envoy_rejects_is_rejected_once(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_rejects_is_rejected_once_in_state_of_the_world_g7() {
    what_envoy_rejects_is_rejected_once(SOTW).await;
}

/// Edits that change the routes and a listener at once, to a port that is taken, while requests run.
async fn an_edit_whose_listener_is_rejected_changes_not_one_answer(variant: &[&str]) {
    let (_taken, taken_port) = a_taken_port();
    let file = |port: u16, second_port: u16, status: u16| {
        format!(
            "version: 1\nlisteners:\n- {{name: http, port: {port}}}\n- {{name: second, port: {second_port}}}\nroutes:\n\
             - {{name: a, match: {{prefix: /}}, respond: {{status: {status}}}}}\n"
        )
    };
    let good_port = crate::support::free_port();
    let gateway = Gateway::start_with(variant.into(), |port| file(port, good_port, 200)).await;
    let second = format!("http://127.0.0.1:{good_port}/");
    let load = Load::start(vec![gateway.url("/"), second], &[]);
    for _ in 0..10 {
        gateway.write(&file(gateway.port, taken_port, 418));
        eventually("it is rejected", || async { !gateway.status().await["generation"]["rejected"].is_null() }).await;
        gateway.write(&file(gateway.port, good_port, 200));
        eventually("all is well again", || async {
            let status = gateway.status().await;
            status["nodes"][0]["state"] == "SYNCED" && status["generation"]["rejected"].is_null()
        })
        .await;
    }
    let requests = load.stop().await.expect("no request is answered by the rejected routes");
    assert!(requests > 0);
    // What it can't show at all is no proof: the same routes without the bad listener are served.
    gateway.edit(&file(gateway.port, good_port, 418)).await;
    eventually("the routes change", || async { gateway.get("/", &[]).await.status == 418 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_whose_listener_is_rejected_changes_not_one_answer_in_delta_o9() {
    an_edit_whose_listener_is_rejected_changes_not_one_answer(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_whose_listener_is_rejected_changes_not_one_answer_in_state_of_the_world_o9() {
    an_edit_whose_listener_is_rejected_changes_not_one_answer(SOTW).await;
}
