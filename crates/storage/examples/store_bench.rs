//! What history costs: disk, processor and memory for real-looking series, and how long queries take. Run by
//! `cargo xtask bench store [MONITORS [DAYS]]`; docs/performance.md has the figures.
//!
//! A monitor is checked every 30 s and has five readings: a log-normal latency, a percentage, a size, a counter and a
//! state. The clock is simulated; everything else is as in the server.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures real time"
)]

mod shared;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use wise_core::{
    CheckRecord, Failure, MetricSpec, MonitorDefinition, MonitorId, MonitorSpec, Reading, Status, Timestamp,
    common,
};
use wise_storage::ports::{DefinitionStore, HistoryStore};
use wise_storage::{Aggregate, Grouping, QueryPlan, ResultQuery, Retention, SqliteOptions, SqliteStore};

use shared::{Noise, cpu_seconds};

static LATENCY: MetricSpec = MetricSpec::latency("bench.total_seconds", "Latency", "Log-normal");
static PERCENT: MetricSpec = MetricSpec::ratio("bench.cpu_ratio", "CPU", "Noise around a wave");
static BYTES: MetricSpec = MetricSpec::bytes("bench.size_bytes", "Size", "Grows, with garbage collection");
static COUNTER: MetricSpec = MetricSpec::total("bench.requests_total", "Requests", "Goes up");
static STATE: MetricSpec = MetricSpec::state("bench.role_state", "Role", "Hardly ever changes");

const INTERVAL: i64 = 30;
const DAY: i64 = 86_400;
const CHECKS_A_DAY: i64 = DAY / INTERVAL;
const READINGS: u64 = 5;
/// 2026-01-01.
const START: i64 = 1_767_225_600;

/// One monitor's readings over time.
struct Source {
    id: MonitorId,
    noise: Noise,
    base: f64,
    bytes: f64,
    counter: f64,
    load: f64,
}

impl Source {
    fn new(id: MonitorId, seed: u64) -> Self {
        let mut noise = Noise(seed.wrapping_mul(77_777) + 1);
        let base = 0.005 * (1.0 + noise.next() * 60.0);
        Self { id, base, bytes: 1e9 * noise.next(), counter: 0.0, load: 0.3, noise }
    }

    /// A check that fails as the one before it, or, when it `flaps`, every other one: with evidence when it is news.
    fn failing(&mut self, second: i64, flaps: bool) -> CheckRecord {
        let mut record = self.check(second, true);
        let number = second / INTERVAL;
        if flaps && number % 2 == 1 {
            return record;
        }
        let is_news = flaps || number == 0;
        record.readings.truncate(1);
        record.status = Status::Unhealthy;
        record.down = true;
        record.failure =
            Some(Failure::new(&common::REFUSED, "connection refused by 192.0.2.7:443").code("refused"));
        record.evidence = is_news.then(|| {
            Arc::new(json!({
                "stage": "connect",
                "addresses": [{"address": "192.0.2.7:443", "took_ms": self.noise.next() * 9.0, "error": "Connection refused (os error 111)"}],
                "phases": {"dns_ms": self.noise.next(), "connect_ms": null, "tls_ms": null},
            }))
        });
        record
    }

    fn check(&mut self, second: i64, is_full: bool) -> CheckRecord {
        let noise = &mut self.noise;
        let latency = ((self.base * (noise.normal() * 0.4).exp()) * 1e6).round() / 1e6;
        let wave = 0.35 + 0.2 * (second as f64 / DAY as f64 * std::f64::consts::TAU).sin();
        self.load = (0.8 * self.load + 0.2 * wave + 0.02 * noise.normal()).clamp(0.0, 1.0);
        self.bytes += (noise.next() * 65_536.0).round() - if noise.next() < 0.01 { 1e6 } else { 0.0 };
        self.counter += (20.0 + 10.0 * noise.normal()).max(0.0).round();
        let jitter = (noise.next() * noise.next() * 4000.0) as i64;
        let readings = if is_full {
            vec![
                Reading::exact(&LATENCY, latency),
                Reading::exact(&PERCENT, (self.load * 1e4).round() / 1e4),
                Reading::exact(&BYTES, self.bytes.max(0.0).round()),
                Reading::exact(&COUNTER, self.counter),
                Reading::exact(&STATE, f64::from(u8::from(second / (7 * DAY) % 2 == 1))),
            ]
        } else {
            Vec::new()
        };
        CheckRecord {
            monitor: self.id,
            probe: "availability",
            time: Timestamp::from_micros((START + second) * 1_000_000 + jitter),
            duration: Duration::from_secs_f64(latency * 1.02),
            status: Status::Healthy,
            down: false,
            failure: None,
            evidence: None,
            readings,
            duplicates: vec![],
            facts: Vec::new(),
            next: None,
            reason: None,
        }
    }
}

fn open(folder: &Path) -> SqliteStore {
    let retention = Retention { raw: Duration::from_secs(4000 * 86_400), ..Retention::default() };
    let retention = Retention { five_minutes: retention.raw, ..retention };
    let options = SqliteOptions {
        folder: folder.to_owned(),
        retention,
        head_bytes: 12 << 20,
        max_series: 10_000,
        clock_patience: Duration::ZERO,
        hold_from: std::sync::Arc::new(i64::MAX.into()),
        location: "bench".to_owned(),
        worker: "w1".to_owned(),
    };
    SqliteStore::open(&options, Timestamp::from_seconds(START)).unwrap()
}

fn sources(store: &SqliteStore, monitors: usize) -> Vec<Source> {
    let at = Timestamp::from_seconds(START);
    (0..monitors)
        .map(|index| {
            let definition = MonitorDefinition::new(
                MonitorId::from_file_name(&format!("m{index}")),
                MonitorSpec::new(format!("m{index}"), "bench", json!({})),
                "bench",
                at,
            );
            store.insert_monitor(&definition).unwrap();
            Source::new(definition.id, index as u64)
        })
        .collect()
}

/// What a run stores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Full,
    WithoutReadings,
    Failing,
    Flapping,
}

/// Stores whole days, compacting each when it is over. Answers processor and wall seconds of the writes alone.
fn fill(store: &SqliteStore, sources: &mut [Source], days: i64, load: Load, batch: usize) -> (f64, f64) {
    let (mut cpu, mut wall) = (0.0, 0.0);
    let mut records = Vec::with_capacity(batch + sources.len());
    for day in 0..days {
        let (cpu_before, started) = (cpu_seconds(), Instant::now());
        for tick in 0..CHECKS_A_DAY {
            let second = day * DAY + tick * INTERVAL;
            for source in &mut *sources {
                records.push(match load {
                    Load::Full | Load::WithoutReadings => source.check(second, load == Load::Full),
                    Load::Failing | Load::Flapping => source.failing(second, load == Load::Flapping),
                });
                if records.len() >= batch {
                    store.append(&records).unwrap();
                    records.clear();
                    store.maintain(Timestamp::from_seconds(START + second)).unwrap();
                }
            }
        }
        store.append(&records).unwrap();
        records.clear();
        (cpu, wall) = (cpu + cpu_seconds() - cpu_before, wall + started.elapsed().as_secs_f64());
        store.compact_all(Timestamp::from_seconds(START + (day + 1) * DAY + 300)).unwrap();
    }
    (cpu, wall)
}

fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn size_of(folder: &Path, prefix: &str) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with(prefix))
        .map(|entry| entry.metadata().unwrap().len())
        .sum()
}

/// The 50th and the 99th percentile in milliseconds, after one run that warms up.
fn timed(times: usize, mut run: impl FnMut(usize)) -> (f64, f64) {
    run(0);
    let mut took: Vec<f64> = (0..times)
        .map(|index| {
            let started = Instant::now();
            run(index);
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[times / 2], took[(times * 99 / 100).min(times - 1)])
}

/// Bytes a sample of Prometheus's own blocks for the same samples; `None` without promtool.
fn prometheus(monitors: usize, days: i64) -> Option<f64> {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("samples.txt");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&text).unwrap());
    for spec in [&LATENCY, &PERCENT, &BYTES, &COUNTER, &STATE] {
        let name = spec.name.replace('.', "_");
        let plain = name.trim_end_matches("_total");
        writeln!(out, "# TYPE {plain} {}", if name == plain { "gauge" } else { "counter" }).unwrap();
        for index in 0..monitors {
            let mut source = Source::new(MonitorId::from_file_name(&format!("m{index}")), index as u64);
            let mut lines = String::new();
            for tick in 0..days * CHECKS_A_DAY {
                let record = source.check(tick * INTERVAL, true);
                let reading =
                    record.readings.iter().find(|reading| reading.metric.name() == spec.name).unwrap();
                let (value, time) = (reading.value.number().unwrap(), record.time.as_micros() as f64 / 1e6);
                writeln!(lines, "{name}{{monitor=\"m{index}\"}} {value} {time:.3}").unwrap();
            }
            out.write_all(lines.as_bytes()).unwrap();
        }
    }
    writeln!(out, "# EOF").unwrap();
    drop(out);
    let blocks = folder.path().join("blocks");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args(["--max-block-duration=744h", "-q"])
        .args([&text, &blocks])
        .status();
    made.ok().filter(|status| status.success())?;
    let used = Command::new("du").arg("-sb").arg(&blocks).output().unwrap();
    let bytes: f64 = String::from_utf8_lossy(&used.stdout).split_whitespace().next()?.parse().ok()?;
    Some(bytes / (monitors as i64 * days * CHECKS_A_DAY * READINGS as i64) as f64)
}

fn main() {
    let arguments: Vec<i64> = std::env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let monitors = arguments.first().map_or(50, |count| *count as usize);
    let days = arguments.get(1).copied().unwrap_or(30);
    let samples = (monitors as i64 * days * CHECKS_A_DAY) as f64 * READINGS as f64;

    println!("disk: {monitors} monitors at {INTERVAL} s, {days} days, {READINGS} readings a check");
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut all = sources(&store, monitors);
    let started = Instant::now();
    fill(&store, &mut all, days, Load::Full, 1000);
    println!("  stored, compacted and rolled up in {:.0} s", started.elapsed().as_secs_f64());
    let bare = tempfile::tempdir().unwrap();
    let without = open(bare.path());
    let mut checks = sources(&without, monitors);
    fill(&without, &mut checks, days, Load::WithoutReadings, 1000);
    let history = size_of(&folder.path().join("history"), "") as f64;
    let results = size_of(&bare.path().join("history"), "") as f64;
    let raw = history - results;
    println!("  samples   {:.3} bytes each", raw / samples);
    println!(
        "  results   {:.3} bytes a check, {:.1} % of the samples'",
        results * READINGS as f64 / samples,
        results / raw * 100.0
    );
    let mut rolled = 0.0;
    for tier in ["5m", "1h", "1d"] {
        let size = size_of(&folder.path().join("rollup"), tier) as f64;
        rolled += size;
        println!("  rollup {tier} {:.1} % of the samples'", size / raw * 100.0);
    }
    println!(
        "  rollups   {:.1} % of the samples', {:.3} bytes a sample",
        rolled / raw * 100.0,
        rolled / samples
    );
    let one_day = |load| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut sources = sources(&store, monitors);
        fill(&store, &mut sources, 1, load, 1000);
        size_of(&folder.path().join("history"), "") as f64
    };
    let healthy = one_day(Load::Full);
    for (what, load) in [("fails", Load::Failing), ("fails every other time", Load::Flapping)] {
        println!("  a day in which everything {what}: {:.2} of a healthy one", one_day(load) / healthy);
    }
    match prometheus(monitors.min(4), days) {
        Some(bytes) => println!("  Prometheus's blocks for the same samples: {bytes:.3} bytes each"),
        None => println!("  promtool is missing: nothing to compare with"),
    }

    println!("queries over those days (50th, 99th percentile in ms)");
    let (from, to) = (Timestamp::from_seconds(START), Timestamp::from_seconds(START + days * DAY));
    for (spec, aggregate, points) in [
        (&LATENCY, "avg", 1000),
        (&LATENCY, "max", 1000),
        (&LATENCY, "p95", 1000),
        (&BYTES, "last", 1000),
        (&COUNTER, "rate", 1000),
    ] {
        let aggregate_of = Aggregate::from_name(aggregate).unwrap();
        let (p50, p99) = timed(200, |index| {
            let id = all[index % all.len()].id;
            let plan = QueryPlan::of(id, spec.name, (from, to), points, aggregate_of);
            assert!(!store.answer(&plan).unwrap().series.is_empty());
        });
        println!("  {} {aggregate}, {points} points: {p50:.2}, {p99:.2}", spec.name);
    }
    let week = Timestamp::from_seconds(START + (days - 7).max(0) * DAY);
    let mut plan = QueryPlan::of(all[0].id, LATENCY.name, (week, to), 1, Aggregate::Quantile(0.95));
    plan.sources = all.iter().map(|source| source.id.into()).collect();
    plan.grouping = Grouping::By(vec!["monitor".to_owned()]);
    let (p50, p99) = timed(20, |_| assert_eq!(store.answer(&plan).unwrap().series.len(), monitors));
    println!("  p95 over 7 days by monitor, {monitors} monitors: {p50:.1}, {p99:.1}");
    let (p50, p99) = timed(100, |index| {
        let query = ResultQuery::of(all[index % all.len()].id, (week, to), 100);
        assert_eq!(store.results(&query).unwrap().len(), 100);
    });
    println!("  the last 100 results: {p50:.2}, {p99:.2}");
    drop(store);

    println!("writes: 1,000 monitors, a day at {INTERVAL} s, batches of 4,000 checks");
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut many = sources(&store, 1000);
    let (cpu, wall) = fill(&store, &mut many, 1, Load::Full, 4000);
    let written = 1000.0 * CHECKS_A_DAY as f64 * READINGS as f64;
    println!(
        "  {:.0} samples a second of processor, {:.0} a second of wall time; peak {:.0} MB with all of the above",
        written / cpu,
        written / wall,
        peak_megabytes()
    );
}
