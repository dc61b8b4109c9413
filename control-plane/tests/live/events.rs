//! Server-sent events through the gateway: each arrives as it is sent, whatever is edited meanwhile.

use crate::support::{Events, Unrest, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_through_fifty_edits() {
    let svc = upstream("svc").await;
    let unrest = Unrest::start(&[("/events", "stream: sse")], "", svc).await;
    let mut events = Events::open(unrest.gateway.url("/events/sse")).await;
    unrest
        .during(async |mut edits| {
            edits.over().await;
            events.go_on().await;
        })
        .await;
}
