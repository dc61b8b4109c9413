//! The scenarios, against the core.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "scenarios/scenario.rs"]
mod scenario;

use common::{Gateway, apply};
use legation_filter::{rate_limit::fields, stream_headers};
use scenario::{Seen, Send, flat};

/// What Envoy would have the filter see, and make of what it says.
fn send(gateway: &mut Gateway, send: &Send) -> Seen {
    let from = if send.from.contains(':') { format!("[{}]:1", send.from) } else { format!("{}:1", send.from) };
    gateway.outside.address = Some(from);
    // The route of this name is that of the Envoy of the scenarios.
    gateway.outside.route = send.path.starts_with("/named").then_some("named");
    let pseudo = [(":method", &send.method), (":authority", &send.host), (":path", &send.path)];
    let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.clone()));
    let headers: Vec<(String, String)> = pseudo.into_iter().chain(flat(&send.headers)).collect();
    let pairs: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let outcome = gateway.send(&pairs);
    if let Some(reply) = outcome.reply {
        let mut response: Vec<(String, String)> =
            reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if let Some(status) = reply.grpc_status {
            response.push(("grpc-status".into(), status.to_string()));
            response.push(("content-type".into(), "application/grpc".into()));
            return Seen { status: 200, response, ..Seen::default() };
        }
        let problem: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let code = problem["code"].as_str().map(str::to_owned);
        return Seen { status: u16::try_from(reply.status).unwrap(), code, upstream: None, response };
    }
    let status = (":status".to_owned(), "200".to_owned());
    let response: Vec<(String, String)> = [status].into_iter().chain(flat(&send.respond)).collect();
    let response = edit(&response, &fields::edits(outcome.fields));
    let marked = if outcome.marks_streams {
        let pairs: Vec<_> = response.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        edit(&response, &stream_headers::edits(&pairs))
    } else {
        response
    };
    let path = outcome.headers.iter().find(|(name, _)| name == ":path").map(|(_, path)| path.clone()).unwrap();
    Seen { status: 200, code: None, upstream: Some((path, outcome.headers)), response: marked }
}

fn edit(headers: &[(String, String)], edits: &[legation_filter::headers::Edit<'_>]) -> Vec<(String, String)> {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    apply(&pairs, edits)
}

#[test]
fn each_scenario_goes_in_the_core_as_it_is_written() {
    let scenarios = scenario::all();
    assert!(scenarios.len() > 10, "the scenarios are found");
    for scenario in scenarios {
        let mut gateway = Gateway::new(&scenario.config);
        for (place, step) in scenario.steps.iter().enumerate() {
            for _ in 0..step.times {
                step.get.check(&send(&mut gateway, &step.send), &format!("{}, step {}", scenario.name, place + 1));
            }
        }
    }
}
