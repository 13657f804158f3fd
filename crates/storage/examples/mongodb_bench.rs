//! What the store in MongoDB costs beside the embedded one. Run by `cargo xtask bench mongodb [MONITORS [INTERVAL]]`;
//! docs/performance.md has the figures.
//!
//! Monitors are checked every so many seconds for an hour of a simulated clock, each check with one log-normal latency. Both
//! backends get the same checks; the one in MongoDB also sends what is new once a minute, as a server does. Only this
//! process's processor time counts, not that of the MongoDB server.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures real time"
)]

mod shared;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use wise_core::{
    CheckRecord, MetricSpec, MonitorDefinition, MonitorId, MonitorSpec, Reading, Status, Timestamp,
};
use wise_storage::ports::Store;
use wise_storage::{
    Aggregate, Grouping, MongoOptions, MongoStore, QueryPlan, Retention, SqliteOptions, SqliteStore, Timing,
};
use wise_testbed::Mongo;

use shared::{Noise, cpu_seconds};

static LATENCY: MetricSpec = MetricSpec::latency("bench.total_seconds", "Latency", "Log-normal");
/// 2026-01-01, at midnight.
const START: u64 = 1_767_225_600;
const HOUR: u64 = 3600;
const ASKED: u32 = 20;

/// Log-normal, in seconds, to the microsecond.
fn latency(noise: &mut Noise) -> f64 {
    ((0.05 * (noise.normal() * 0.4).exp()) * 1e6).round() / 1e6
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(START + second).unwrap())
}

fn embedded(folder: &Path) -> SqliteOptions {
    SqliteOptions {
        folder: folder.to_owned(),
        retention: Retention::default(),
        head_bytes: 12 << 20,
        max_series: 10_000,
        clock_patience: Duration::ZERO,
        hold_from: Arc::new(i64::MAX.into()),
        location: "bench".to_owned(),
        worker: "w1".to_owned(),
    }
}

fn monitors(store: &dyn Store, count: usize) -> Vec<MonitorId> {
    let add = |index: usize| {
        let definition = MonitorDefinition::new(
            MonitorId::from_file_name(&format!("m{index}")),
            MonitorSpec::new(format!("m{index}"), "bench", json!({})),
            "bench",
            at(0),
        );
        store.insert_monitor(&definition).unwrap();
        definition.id
    };
    (0..count).map(add).collect()
}

/// Stores an hour; `minutely` is called at the end of each minute. Answers the processor seconds of the writes.
fn fill(store: &dyn Store, ids: &[MonitorId], interval: u64, mut minutely: impl FnMut(u64)) -> f64 {
    let mut noise = Noise(7);
    let mut spent = 0.0;
    for minute in 0..HOUR / 60 {
        let before = cpu_seconds();
        for second in minute * 60..minute * 60 + 60 {
            let due =
                ids.iter().enumerate().filter(|(index, _)| *index as u64 % interval == second % interval);
            let records: Vec<CheckRecord> = due
                .map(|(_, id)| {
                    let latency = latency(&mut noise);
                    let jitter = (noise.next() * noise.next() * 4000.0) as u64;
                    CheckRecord {
                        monitor: *id,
                        probe: "availability",
                        time: at(second).plus(Duration::from_micros(jitter)),
                        duration: Duration::from_secs_f64(latency * 1.02),
                        status: Status::Healthy,
                        down: false,
                        failure: None,
                        evidence: None,
                        readings: vec![Reading::exact(&LATENCY, latency)],
                        duplicates: vec![],
                        facts: Vec::new(),
                        next: None,
                        reason: None,
                    }
                })
                .collect();
            store.append(&records).unwrap();
            store.maintain(at(second)).unwrap();
        }
        spent += cpu_seconds() - before;
        minutely(minute * 60 + 60);
    }
    spent
}

/// Milliseconds of wall and processor time for the p95 of every monitor over the hour.
fn ask(store: &dyn Store, ids: &[MonitorId], times: u32) -> (f64, f64) {
    let mut plan = QueryPlan::of(ids[0], LATENCY.name, (at(0), at(HOUR)), 1, Aggregate::Quantile(0.95));
    plan.sources = ids.iter().copied().map(Into::into).collect();
    plan.grouping = Grouping::By(vec!["monitor".to_owned()]);
    let (before, begun) = (cpu_seconds(), Instant::now());
    for _ in 0..times {
        assert_eq!(store.answer(&plan).unwrap().series.len(), ids.len());
    }
    let each = 1e3 / f64::from(times);
    (begun.elapsed().as_secs_f64() * each, (cpu_seconds() - before) * each)
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (count, interval) = (arguments.next().unwrap_or(1000), arguments.next().unwrap_or(1).max(1));
    let count = usize::try_from(count).unwrap();
    let checks = count as f64 * (HOUR / interval) as f64;
    println!("{count} monitors every {interval} s for an hour: {checks} checks");
    println!(
        "backend   append us/check   send us/check   the last round ms   p95 of all over the hour: ms, of it processor"
    );

    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&embedded(folder.path()), at(0)).unwrap();
    let ids = monitors(&store, count);
    let append = fill(&store, &ids, interval, |_| ());
    let (wall, cpu) = ask(&store, &ids, ASKED);
    println!("sqlite    {:15.2}   {:>13}   {:>17}   {wall:.1}, {cpu:.1}", append * 1e6 / checks, "-", "-");

    for program in Mongo::programs() {
        let server = Mongo::start(&program, &[]);
        let folder = tempfile::tempdir().unwrap();
        let options = MongoOptions {
            url: format!("{}/bench", server.url()),
            spool: embedded(folder.path()),
            retention: Retention::default(),
            name: "w1".to_owned(),
            // Sent by hand, at the minutes of the simulated clock.
            timing: Timing { send: Duration::from_secs(86_400), ..Timing::default() },
            is_source: false,
        };
        let store = MongoStore::open(options, at(0), &mut |_| false).unwrap();
        let ids = monitors(&store, count);
        let (mut send, mut last) = (0.0, 0.0);
        let append = fill(&store, &ids, interval, |second| {
            let before = cpu_seconds();
            store.send_all(at(second)).unwrap();
            last = cpu_seconds() - before;
            send += last;
        });
        let (wall, cpu) = ask(&store, &ids, ASKED);
        drop(store);
        // Another machine has nothing of it.
        let elsewhere = tempfile::tempdir().unwrap();
        let options = MongoOptions {
            url: format!("{}/bench", server.url()),
            spool: embedded(elsewhere.path()),
            retention: Retention::default(),
            name: "w2".to_owned(),
            timing: Timing::default(),
            is_source: false,
        };
        let copy = MongoStore::open(options, at(HOUR), &mut |_| false).unwrap();
        let (far_wall, far_cpu) = ask(&copy, &ids, 1);
        println!(
            "mongodb   {:15.2}   {:13.2}   {:17.0}   {wall:.1}, {cpu:.1}; of another machine's {far_wall:.0}, {far_cpu:.0}   ({})",
            append * 1e6 / checks,
            send * 1e6 / checks,
            last * 1e3,
            program.file_name().unwrap_or_default().display()
        );
    }
}
