//! What a server with many monitors and a month of history takes to start, and what its overview costs.
//! `cargo xtask bench start [N [DAYS]]` runs it with the `dist` binary.
//!
//! The store is filled directly: a check with one latency every five minutes for each monitor, days compacted as they end.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wise_core::{
    CheckRecord, Clock, Event, EventKind, MetricSpec, MonitorDefinition, MonitorId, MonitorSpec, Reading,
    Status, StatusChange, SystemClock,
};
use wise_e2e::{Builder, Nginx, until};
use wise_storage::ports::{Commit, DefinitionStore, HistoryStore, MainRecord};
use wise_storage::{Retention, SqliteOptions, SqliteStore};

static TOTAL: MetricSpec = MetricSpec::latency("website.total_seconds", "Total", "Time of the whole check");
const DAY: u64 = 86_400;
const INTERVAL: u64 = 300;
const ASKED: u32 = 50;
/// Clock ticks a second in /proc/PID/stat; fixed on Linux for user space.
const TICKS: f64 = 100.0;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (monitors, days) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(30));
    let folder = tempfile::tempdir().expect("a folder");
    let nginx = Nginx::start();
    let begun = Instant::now();
    fill(&folder.path().join("data"), &nginx.url(), monitors, days);
    println!(
        "{monitors} monitors, {days} days, a check every {INTERVAL} s: filled in {:.0} s, {} MB",
        begun.elapsed().as_secs_f64(),
        bytes(&folder.path().join("data")) / 1_000_000
    );
    for round in 1..=3 {
        let begun = Instant::now();
        let server = Builder::new(folder.path()).env("WISE_LOG__LEVEL", "warn").start();
        let serves = begun.elapsed();
        until("the first check", || {
            let started = server.metric("wise_scheduler_checks_started_total").unwrap_or(0.0);
            if started > 0.0 { Ok(()) } else { Err(started) }
        });
        let first = begun.elapsed();
        print!(
            "start {round}: serves after {:.2} s, first check after {:.2} s",
            serves.as_secs_f64(),
            first.as_secs_f64()
        );
        if round == 3 {
            println!();
            overview(&server, monitors);
        } else {
            println!();
        }
        std::io::stdout().flush().ok();
        assert_eq!(server.stop(), Some(0));
    }
}

fn overview(server: &wise_e2e::Server, monitors: u64) {
    // Bars of the last hour are filled behind the start.
    let size = || server.call("GET", "/api/v1/overview", None).body.len();
    let mut last = 0;
    until("bars are filled", || {
        let now = size();
        if std::mem::replace(&mut last, now) == now { Ok(()) } else { Err(now) }
    });
    let cpu = || -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).expect("its state");
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        fields.map(|field| field.parse::<f64>().unwrap_or(0.0)).sum::<f64>() / TICKS
    };
    let (before, begun) = (cpu(), Instant::now());
    let mut took: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let begun = Instant::now();
            size();
            begun.elapsed()
        })
        .collect();
    let (spent, wall) = (cpu() - before, begun.elapsed());
    took.sort();
    println!(
        "overview: {} bytes, {:.0} a monitor; {:.1} ms of CPU each while checks go on, {:.1} ms p50, {:.1} ms p95 ({:.1} s)",
        last,
        last as f64 / monitors as f64,
        spent * 1e3 / f64::from(ASKED),
        took[took.len() / 2].as_secs_f64() * 1e3,
        took[took.len() * 95 / 100].as_secs_f64() * 1e3,
        wall.as_secs_f64()
    );
}

fn fill(folder: &std::path::Path, url: &str, monitors: u64, days: u64) {
    let now = SystemClock.now();
    let start = now.minus(Duration::from_secs(days * DAY));
    let options = SqliteOptions {
        folder: folder.to_owned(),
        retention: Retention::default(),
        head_bytes: 12 << 20,
        max_series: 10_000,
        clock_patience: Duration::ZERO,
        hold_from: Arc::new(i64::MAX.into()),
        location: "default".to_owned(),
        worker: "bench".to_owned(),
    };
    let store = SqliteStore::open(&options, start).expect("the store opens");
    let teams = ["web", "shop", "data", "mail", "search", "payment"];
    let ids: Vec<MonitorId> = (0..monitors)
        .map(|number| {
            let mut spec = MonitorSpec::new(format!("shop-web-{number:05}"), "website", json!({"url": url}));
            spec.interval = Some("300s".parse().expect("an interval"));
            spec.tags.insert("team".to_owned(), teams[number as usize % teams.len()].to_owned());
            spec.tags.insert("group".to_owned(), format!("group {}", number / 100));
            let definition = MonitorDefinition::new(MonitorId::generate(), spec, "bench", start);
            store.insert_monitor(&definition).expect("a definition");
            definition.id
        })
        .collect();
    for page in ids.chunks(1000) {
        let healthy: Vec<Event> = page
            .iter()
            .map(|id| {
                let change = StatusChange {
                    from: Some(Status::Unknown),
                    to: Status::Healthy,
                    down: false,
                    since: start,
                    reason: None,
                };
                Event { monitor: *id, time: start, kind: EventKind::Status(change) }
            })
            .collect();
        store.commit(Commit::of(&healthy)).expect("events");
    }
    let mut noise = 1_u64;
    let ticks = days * DAY / INTERVAL;
    for tick in 0..ticks {
        let time = start.plus(Duration::from_secs(tick * INTERVAL));
        let records: Vec<CheckRecord> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let latency = 0.05 + (noise >> 40) as f64 / f64::from(1 << 24) * 0.1;
                CheckRecord {
                    monitor: *id,
                    probe: "availability",
                    time: time.plus(Duration::from_millis(index as u64 % 300 * 1000)),
                    duration: Duration::from_secs_f64(latency),
                    status: Status::Healthy,
                    down: false,
                    failure: None,
                    evidence: None,
                    readings: vec![Reading::exact(&TOTAL, latency)],
                    duplicates: vec![],
                    facts: vec![],
                    next: None,
                    reason: None,
                }
            })
            .collect();
        store.append(&records).expect("checks");
        store.maintain(time).expect("house-keeping");
        if tick % (DAY / INTERVAL) == 2 {
            store.compact_all(time).expect("days are compacted");
        }
    }
    store.compact_all(now).expect("days are compacted");
    store.maintain(now.plus(Duration::from_secs(7200))).expect("retention");
}

fn bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            let metadata = entry.metadata().expect("its size");
            if metadata.is_dir() { bytes(&entry.path()) } else { metadata.len() }
        })
        .sum()
}
