//! What watching a server costs: the product's monitors beside Debian's exporters, on the same servers in the same run.
//! `cargo xtask bench monitors` runs it with the `dist` binary.
//!
//! An exporter is scraped so many times in a row. The product watches the same server with ten monitors whose probes are
//! all due every two seconds, and its processor time is divided by the rounds; what it spends without monitors is
//! subtracted. Both are asked what they put on the server: statements, and bytes sent.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wise_e2e::{Builder, free_port, until};
use wise_testbed::{MariaDb, Postgres, Redis};

const SCRAPES: u32 = 200;
const MONITORS: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(2);
const WINDOW: Duration = Duration::from_secs(30);
/// Clock ticks a second in /proc/PID/stat; fixed on Linux for user space.
const TICKS: f64 = 100.0;

/// Statements and bytes that a server has served so far.
type Load = (f64, f64);

fn main() {
    println!(
        "kind        who        CPU ms  wall ms  families or metrics  statements  bytes sent   (each for one full collection)"
    );
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (kind, run) in KINDS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == kind) {
            run();
        }
    }
}

/// What is compared; arguments name some of them.
const KINDS: [(&str, fn()); 4] =
    [("postgresql", postgresql), ("mysql", mysql), ("redis", redis), ("server", server)];

fn postgresql() {
    let postgres =
        Postgres::start(&[("shared_preload_libraries", "pg_stat_statements"), ("max_connections", "100")]);
    postgres.add_monitor_user();
    postgres.sql(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; CREATE TABLE t AS SELECT generate_series(1, 1000) AS n",
    );
    let port = free_port();
    let mut exporter = Command::new("prometheus-postgres-exporter");
    exporter
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .env("DATA_SOURCE_NAME", format!("{}?sslmode=disable", postgres.url()));
    let calls = || {
        let text = postgres
            .sql("postgres", "SELECT sum(calls) FROM pg_stat_statements WHERE userid = 'mon'::regrole");
        (text.parse().unwrap_or(0.0), f64::NAN)
    };
    compare(
        "postgresql",
        exporter,
        port,
        &json!({"url": postgres.url(), "tls": {"mode": "off"}}),
        ALL,
        calls,
    );
}

fn mysql() {
    let maria = MariaDb::start(&["--max-connections=100"]);
    maria.add_monitor_user();
    let port = free_port();
    let mut exporter = Command::new("prometheus-mysqld-exporter");
    exporter
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .env("DATA_SOURCE_NAME", format!("mon:s3cret-pw@(127.0.0.1:{})/", maria.port));
    let served = || {
        let number = |name: &str| {
            let text = maria.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
            text.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(f64::NAN)
        };
        (number("Questions"), number("Bytes_sent"))
    };
    compare("mysql", exporter, port, &json!({"url": maria.url(), "tls": {"mode": "off"}}), ALL, served);
}

fn redis() {
    let redis = Redis::start(&[]);
    let port = free_port();
    let mut exporter = Command::new("prometheus-redis-exporter");
    exporter
        .arg(format!("-web.listen-address=127.0.0.1:{port}"))
        .arg(format!("-redis.addr=redis://127.0.0.1:{}", redis.port));
    let served = || {
        let info = redis.run("INFO stats");
        let number = |name: &str| {
            let line = info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|n| n.parse().ok()).unwrap_or(f64::NAN)
        };
        (number("total_commands_processed"), number("total_net_output_bytes"))
    };
    compare("redis", exporter, port, &json!({"url": redis.url()}), ALL, served);
}

fn server() {
    let port = free_port();
    let mut exporter = Command::new("prometheus-node-exporter");
    exporter.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let probes = ["availability", "resources", "storage", "containers"];
    compare("server", exporter, port, &json!({}), probes, || (f64::NAN, f64::NAN));
}

const ALL: [&str; 4] = ["availability", "activity", "replication", "storage"];

fn compare(
    kind: &str,
    exporter: Command,
    port: u16,
    settings: &Value,
    probes: [&str; 4],
    load: impl Fn() -> Load,
) {
    scrape_all(kind, exporter, port, &load);
    watch_all(kind, settings, probes, &load);
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn scrape_all(kind: &str, mut exporter: Command, port: u16, load: &impl Fn() -> Load) {
    let child = exporter.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = Process(child.unwrap_or_else(|error| panic!("{exporter:?}: {error}")));
    let text = until("the exporter answers", || match scrape(port) {
        Some(text) if text.contains("# TYPE") => Ok(text),
        other => Err(other.map(|text| text.len())),
    });
    for _ in 0..20 {
        scrape(port);
    }
    let (cpu_before, load_before, clock) = (cpu(process.0.id()), load(), stopwatch());
    for _ in 0..SCRAPES {
        assert!(scrape(port).is_some(), "the exporter answers");
    }
    let wall = clock().as_secs_f64() * 1e3 / f64::from(SCRAPES);
    let load_after = load();
    let spent = (cpu(process.0.id()) - cpu_before) / TICKS * 1e3 / f64::from(SCRAPES);
    let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
    let of = |after: f64, before: f64| (after - before) / f64::from(SCRAPES);
    row(
        kind,
        "exporter",
        spent,
        wall,
        families,
        (of(load_after.0, load_before.0), of(load_after.1, load_before.1)),
    );
}

fn watch_all(kind: &str, settings: &Value, probes: [&str; 4], load: &impl Fn() -> Load) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Builder::new(folder.path()).env("WISE_LOG__LEVEL", "error").start();
    let pid = server.child.id();
    // What the server spends by itself.
    pause(Duration::from_secs(5));
    let (before, clock) = (cpu(pid), stopwatch());
    pause(Duration::from_secs(10));
    let idle = (cpu(pid) - before) / clock().as_secs_f64();
    let schedule = json!({"interval": "2s", "timeout": "2s"});
    let schedules: serde_json::Map<String, Value> =
        probes[1..].iter().map(|probe| ((*probe).to_owned(), schedule.clone())).collect();
    let ids: Vec<String> = (0..MONITORS)
        .map(|index| {
            server.add(&json!({"name": format!("{kind} {index}"), "kind": kind, "interval": "2s", "settings": settings,
                "probes": schedules}))
        })
        .collect();
    for id in &ids {
        // A server that was just started may be degraded for that.
        until("the monitor is up", || {
            let monitor = server.get(&format!("/api/v1/monitors/{id}"));
            if monitor["status"] != "unknown" && monitor["down"] == false { Ok(()) } else { Err(monitor) }
        });
    }
    pause(INTERVAL * 3);
    let stored = || server.metric("wise_store_results_stored_total").expect("the metric");
    let (cpu_before, load_before, stored_before, clock) = (cpu(pid), load(), stored(), stopwatch());
    pause(WINDOW);
    let seconds = clock().as_secs_f64();
    let (spent, load_after) = (cpu(pid) - cpu_before - idle * seconds, load());
    let rounds = (stored() - stored_before) / probes.len() as f64;
    let readings = server.get(&format!("/api/v1/monitors/{}/readings", ids[0]));
    let metrics: std::collections::BTreeSet<&str> = readings["probes"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|probe| probe["readings"].as_array().into_iter().flatten())
        .filter_map(|reading| reading["metric"].as_str())
        .collect();
    // The probes run side by side: the slowest one is the time of the whole.
    let wall = probes
        .iter()
        .map(|probe| {
            let results = server.get(&format!("/api/v1/monitors/{}/results?limit=100", ids[0]));
            let times: Vec<f64> = results["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|result| result["probe"] == **probe)
                .filter_map(|result| result["duration_ms"].as_f64())
                .collect();
            times.iter().sum::<f64>() / times.len().max(1) as f64
        })
        .fold(0.0, f64::max);
    let of = |after: f64, before: f64| (after - before) / rounds;
    let served = (of(load_after.0, load_before.0), of(load_after.1, load_before.1));
    row(kind, "product", spent / TICKS * 1e3 / rounds, wall, metrics.len(), served);
}

fn row(kind: &str, who: &str, cpu: f64, wall: f64, count: usize, load: Load) {
    let shown = |number: f64| if number.is_nan() { "–".to_owned() } else { format!("{number:.0}") };
    println!(
        "{kind:<11} {who:<9} {cpu:7.2}  {wall:7.2}  {count:19}  {:>10}  {:>10}",
        shown(load.0),
        shown(load.1)
    );
}

fn scrape(port: u16) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Ticks of processor time of a process.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), counted behind the name.
    [11, 12].iter().map(|index| fields[*index].parse::<f64>().expect("a number")).sum()
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real processes runs on real time")]
fn stopwatch() -> impl Fn() -> Duration {
    let started = std::time::Instant::now();
    move || started.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "a measurement waits for the time to pass")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
