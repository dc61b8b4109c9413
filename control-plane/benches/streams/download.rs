//! The speed of a large download, and the CPU time of the proxy for it.

use std::time::Instant;

use crate::{
    answer::Answer,
    rounds::{Figure, order},
    subjects::{self, DIRECT, PLAIN},
    table::Table,
    upstream,
};

pub async fn measure(rounds: usize, mebibytes: usize) {
    let variants = subjects::start_for_streams(upstream::start("direct")).await;
    let gibibytes = mebibytes as f64 / 1024.0;
    let (mut speed, mut cpu) = (Figure::new(variants.len()), Figure::new(variants.len()));
    for subject in order(rounds, variants.len()) {
        let variant = &variants[subject];
        let before = variant.cpu();
        let start = Instant::now();
        let bytes = mebibytes << 20;
        Answer::to(variant.port, &format!("/download/{bytes}")).await.drop_all(bytes).await;
        speed.push(subject, gibibytes / start.elapsed().as_secs_f64());
        cpu.push(subject, (variant.cpu() - before).as_secs_f64() / gibibytes);
    }
    let what = format!("a download of {mebibytes} MiB");
    let mut table =
        Table::new(&[&what, "GiB/s", "of direct", "of plain Envoy", "CPU of the proxy, s/GiB", "times plain Envoy"]);
    for (subject, variant) in variants.iter().enumerate() {
        let mut cells = vec![format!("{:.2}", speed.median(subject))];
        cells.extend([DIRECT, PLAIN].map(|other| format!("{:.2}", speed.times(subject, other))));
        cells.extend(match subject {
            DIRECT => ["", ""].map(str::to_owned),
            _ => [format!("{:.3}", cpu.median(subject)), format!("{:.2}", cpu.times(subject, PLAIN))],
        });
        table.row(&variant.name, cells);
    }
    println!("\n{table}");
}
