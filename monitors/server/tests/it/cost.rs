//! What a collection costs. Run with `--release -- --nocapture cost` for figures; here it only has to stay sane.

use std::time::Duration;

use serde_json::{Value, json};

use crate::exporter::{at, node_exporter};
use crate::support::{PATIENT, run, try_build};

/// CPU time of this process, with that of threads that have ended, in seconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let mut fields = text.rsplit(')').next().unwrap().split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().unwrap().parse::<f64>().unwrap();
    (ticks() + ticks()) / 100.0
}

#[tokio::test]
async fn a_collection_of_all_probes_is_cheap() {
    collect("this machine", json!({})).await;
    let exporter = node_exporter().await;
    collect("node_exporter", at(exporter.address)).await;
}

async fn collect(what: &str, settings: Value) {
    const ROUNDS: u32 = if cfg!(debug_assertions) { 100 } else { 3000 };
    let monitor = try_build(settings).unwrap();
    let names = ["availability", "resources", "storage", "containers"];
    let mut probes = names.map(|name| (name, monitor.probe(name).unwrap()));
    for (_, probe) in &mut probes {
        run(probe, PATIENT, false).await;
    }
    let mut sum = 0.0;
    for (name, probe) in &mut probes {
        let (before, started) = (cpu_seconds(), tokio::time::Instant::now());
        let mut readings = 0;
        for _ in 0..ROUNDS {
            readings = run(probe, PATIENT, false).await.readings.len();
        }
        let cpu = (cpu_seconds() - before) * 1e3 / f64::from(ROUNDS);
        let wall = started.elapsed() / ROUNDS;
        sum += cpu;
        println!("{what}, {name}: {cpu:.3} ms of CPU, {wall:?} in all, {readings} readings");
    }
    println!("{what}: {sum:.3} ms of CPU");
    // Unoptimised and beside other tests; release builds are at a tenth of this.
    assert!(sum < Duration::from_millis(60).as_secs_f64() * 1e3, "{sum} ms");
}
