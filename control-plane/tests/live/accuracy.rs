//! Rate limits under far more load than they admit, on several workers, while the filter's
//! configuration changes. `benches/limit_accuracy` measures the same for longer.

use legation_testing::{Flood, Limited, limited};

const LIMITS: [Limited; 2] = [
    Limited { algorithm: "token_bucket", limit: 100, burst: 100, fields: "" },
    // The load begins somewhere in a window, so that up to a whole window may pass besides.
    Limited { algorithm: "sliding_window", limit: 100, burst: 100, fields: ", algorithm: sliding_window" },
];

/// 40 times the limit. Even a machine that runs other tests besides can send so little.
const FLOOD: Flood = Flood { rate: 4_000, seconds: 3 };
const EDITS: usize = 4;

/// The test has its own gateway, since it needs two workers.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_admitted_of_forty_times_a_limit_is_the_limit_also_while_the_configuration_changes() {
    let gateway = limited(&LIMITS, 0).start_with(["--concurrency", "2"]).await;
    for (index, limit) in LIMITS.iter().enumerate() {
        let edited = |edit| limited(&LIMITS, index * EDITS + edit);
        let (flooded, served) = FLOOD.send_with_edits(&gateway, &limit.path(), EDITS, edited).await;
        assert!(served > 0, "the configuration changes meanwhile");
        let (least, most) = (limit.least(flooded.elapsed) * 0.98, limit.most(flooded.elapsed) * 1.02);
        let is_accurate = (least..=most).contains(&(flooded.admitted as f64));
        assert!(is_accurate, "{}: {least:.0} to {most:.0}: {}", limit.algorithm, limit.judge(&flooded));
    }
}
