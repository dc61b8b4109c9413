//! The cost of a small request for a proxy, with and without a check of the key and a limit.

use legation_testing::{
    ALICE_KEY,
    measure::{cost, variant::Variant},
};

use crate::{
    rounds::{Figure, order},
    subjects::{Check, PROXIES, Subject, UNREACHED},
    table::Table,
    upstream,
};

/// A check whose limit is soon reached.
const LOW: Check = Check::KeyAndLimit(1);

pub async fn measure(rounds: usize) {
    let upstream = upstream::start("upstream");
    for subject in &PROXIES {
        checks(subject, upstream.port).await;
    }
    let mut variants = Vec::new();
    for check in [Check::None, UNREACHED] {
        for subject in &PROXIES {
            variants.push(subject.start(upstream.port, check).await);
        }
    }
    let mut cost = Figure::new(variants.len());
    let key = ["-H".to_owned(), format!("x-api-key: {ALICE_KEY}")];
    for variant in order(rounds, variants.len()) {
        cost.push(variant, cost::window(&variants[variant], &key));
    }
    let mut table = Table::new(&[
        "small requests a CPU second",
        "as it is",
        "of plain Envoy",
        "key and limit",
        "of plain Envoy",
        "µs more a request",
    ]);
    for (plain, subject) in PROXIES.iter().enumerate() {
        let checked = plain + PROXIES.len();
        let name = if subject.limits { subject.name.to_owned() } else { format!("{} (knows no limit)", subject.name) };
        let cells = [
            format!("{:.0}", 1e6 / cost.median(plain)),
            format!("{:.2}", 1.0 / cost.times(plain, 0)),
            format!("{:.0}", 1e6 / cost.median(checked)),
            format!("{:.2}", 1.0 / cost.times(checked, PROXIES.len())),
            format!("{:+.1}", cost.over(checked, plain)),
        ];
        table.row(&name, cells);
    }
    println!("\n{table}");
}

/// Makes sure that a proxy really checks the key and the limit.
async fn checks(subject: &Subject, upstream: u16) {
    let variant: Variant = subject.start(upstream, UNREACHED).await;
    assert_eq!(variant.status("another-key").await, Some(401), "{}: another key", subject.name);
    if !subject.limits {
        return;
    }
    let variant = subject.start(upstream, LOW).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(variant.status(ALICE_KEY).await);
    }
    assert!(statuses.contains(&Some(429)), "{} limits to {statuses:?}", subject.name);
}
