//! `cargo xtask bench`: what a check costs, with the real binary against a local nginx; and `cargo xtask bench monitors`:
//! what the other kinds cost beside the exporters that others use; `cargo xtask bench store`: what history costs;
//! `cargo xtask bench mongodb`: what the store in MongoDB costs beside the embedded one.

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::run::build_dist;
use crate::setup;
use crate::shell::{command, run, target};
use crate::test::stopwatch;

/// How long is measured, after the warm-up.
const WINDOW: Duration = Duration::from_secs(30);
const WARM_UP: Duration = Duration::from_secs(15);
/// Clock ticks a second in /proc/PID/stat; fixed on Linux for user space.
const TICKS: f64 = 100.0;

pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.split_first() {
        Some((first, _)) if first == "monitors" => {
            setup::for_comparison()?;
            build_dist()?;
            example("wise-e2e", "compare", &["--locked"], &[])
        }
        Some((first, rest)) if first == "start" => {
            setup::for_tests()?;
            build_dist()?;
            example("wise-e2e", "start", &["--locked", "--release"], rest)
        }
        Some((first, rest)) if first == "store" => {
            setup::for_comparison()?;
            example("wise-storage", "store_bench", &["--locked", "--release"], rest)
        }
        Some((first, rest)) if first == "mongodb" => {
            setup::for_tests()?;
            example("wise-storage", "mongodb_bench", &["--locked", "--release"], rest)
        }
        _ => websites(arguments),
    }
}

/// Runs an example of a package; those that need it find the `dist` binary.
fn example(package: &str, name: &str, options: &[&str], arguments: &[String]) -> anyhow::Result<()> {
    let mut all = vec!["run"];
    all.extend(options);
    all.extend(["-p", package, "--example", name, "--"]);
    all.extend(arguments.iter().map(String::as_str));
    run(command("cargo", &all).env("WISE_BINARY", target().join("dist/wise-monitoring")))
}

fn websites(arguments: &[String]) -> anyhow::Result<()> {
    setup::for_tests()?;
    build_dist()?;
    let mut sizes: Vec<usize> =
        arguments.iter().map(|text| text.parse()).collect::<Result<_, _>>().context("N is a number")?;
    if sizes.is_empty() {
        sizes = vec![1000, 4000];
    }
    println!(
        "\nmonitors  due/s  stored/s  cpu ms/check  user  system  rss MB  delay p50 ms  p99 ms  late  dropped  nginx ms/check"
    );
    for size in sizes {
        println!("{}", measure(size)?);
    }
    Ok(())
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn measure(size: usize) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let nginx = start_nginx(folder.path(), port)?;
    let monitors = folder.path().join("monitors");
    fs::create_dir_all(&monitors)?;
    let mut text = String::new();
    for index in 0..size {
        write!(
            text,
            "[[monitor]]\nname = \"site-{index}\"\nkind = \"website\"\ninterval = \"1s\"\nsettings = {{ url = \"http://127.0.0.1:{port}/?{index}\" }}\n"
        )?;
    }
    fs::write(monitors.join("bench.toml"), text)?;
    let listen = free_port()?;
    let server = Process(
        Command::new(target().join("dist/wise-monitoring"))
            .current_dir(folder.path())
            .args(["--monitors", "monitors"])
            .env("WISE_SERVER__LISTEN", format!("127.0.0.1:{listen}"))
            .env("WISE_LOG__LEVEL", "error")
            .stdout(Stdio::null())
            .spawn()?,
    );
    let pid = server.0.id();
    wait_until_ready(listen)?;
    thread_sleep(WARM_UP);
    let (before, cpu_before, nginx_before) = (metrics(listen)?, cpu(pid)?, nginx_cpu(&nginx)?);
    let clock = stopwatch();
    thread_sleep(WINDOW);
    let (after, cpu_after, nginx_after) = (metrics(listen)?, cpu(pid)?, nginx_cpu(&nginx)?);
    let seconds = clock().as_secs_f64();
    let difference =
        |name: &str| value(&after, name).zip(value(&before, name)).map(|(a, b)| a - b).unwrap_or(f64::NAN);
    let stored = difference("wise_store_results_stored_total");
    let per_check = |ticks: f64| ticks / TICKS * 1e3 / stored;
    let (user, system) = (cpu_after.0 - cpu_before.0, cpu_after.1 - cpu_before.1);
    let quantile = |q: f64| quantile(&before, &after, q) * 1e3;
    Ok(format!(
        "{size:8}  {:5}  {:8.1}  {:12.4}  {:4.3}  {:6.3}  {:6.1}  {:12.2}  {:6.2}  {:4}  {:7}  {:14.4}",
        size,
        stored / seconds,
        per_check(user + system),
        per_check(user),
        per_check(system),
        rss(pid)?,
        quantile(0.5),
        quantile(0.99),
        difference("wise_scheduler_checks_late_total"),
        difference("wise_scheduler_ticks_dropped_total"),
        per_check(nginx_after - nginx_before),
    ))
}

fn start_nginx(folder: &std::path::Path, port: u16) -> anyhow::Result<Process> {
    let path = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {path}/nginx.pid; error_log {path}/error.log crit;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n\
         uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
         server {{ listen 127.0.0.1:{port} backlog=8192; location / {{ return 200 \"hello\\n\"; }} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let child =
        Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(folder).stderr(Stdio::null()).spawn();
    let process = Process(child.context("nginx does not start")?);
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(process);
        }
        thread_sleep(Duration::from_millis(50));
    }
    bail!("nginx does not listen")
}

#[expect(clippy::disallowed_methods, reason = "a measurement waits for the time to pass")]
fn thread_sleep(time: Duration) {
    thread::sleep(time);
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn get(port: u16, path: &str) -> anyhow::Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    if !head.contains(" 200 ") {
        bail!("{path}: {}", head.lines().next().unwrap_or(""));
    }
    Ok(body.to_owned())
}

fn wait_until_ready(port: u16) -> anyhow::Result<()> {
    for _ in 0..600 {
        if get(port, "/health/ready").is_ok() {
            return Ok(());
        }
        thread_sleep(Duration::from_millis(100));
    }
    bail!("the server is not ready after a minute")
}

/// The server's own metrics; those of its monitors are left out.
fn metrics(port: u16) -> anyhow::Result<Vec<(String, f64)>> {
    let text = get(port, "/metrics")?;
    let own =
        text.lines().filter(|line| line.starts_with("wise_scheduler") || line.starts_with("wise_store"));
    Ok(own
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(n, v)| Some((n.to_owned(), v.parse().ok()?)))
        .collect())
}

fn value(metrics: &[(String, f64)], name: &str) -> Option<f64> {
    metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// A quantile of the start delays between two readings of the histogram: the upper bound of its bucket.
fn quantile(before: &[(String, f64)], after: &[(String, f64)], q: f64) -> f64 {
    let prefix = "wise_scheduler_start_delay_seconds_bucket{le=\"";
    let buckets: Vec<(f64, f64)> = after
        .iter()
        .filter_map(|(name, count)| {
            let bound = name.strip_prefix(prefix)?.trim_end_matches("\"}");
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, count - value(before, name).unwrap_or(0.0)))
        })
        .collect();
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    buckets.iter().find(|(_, count)| *count >= total * q).map_or(f64::NAN, |(bound, _)| *bound)
}

fn cpu(pid: u32) -> anyhow::Result<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    let number =
        |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).context("no stat");
    // Fields 14 and 15 of proc(5), counted behind the name.
    Ok((number(11)?, number(12)?))
}

fn nginx_cpu(nginx: &Process) -> anyhow::Result<f64> {
    cpu(nginx.0.id()).map(|(user, system)| user + system)
}

fn rss(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
