//! Checks, trees of files that look like a machine, and servers that misbehave.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wise_core::{
    BuildContext, CheckContext, Clock, FieldErrors, Monitor, Probe, ReadingValue, Report, SecretLookup,
    SystemClock,
};

/// Deadline of checks that are expected to answer.
pub const PATIENT: Duration = Duration::from_secs(10);
/// Deadline of checks that are expected to run into it.
pub const SHORT: Duration = Duration::from_millis(600);

struct NoSecrets;

impl SecretLookup for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are none".to_owned())
    }
}

pub fn context() -> BuildContext {
    BuildContext::new(Arc::new(NoSecrets)).with(Arc::new(wise_net::Net::new(Arc::new(wise_net::AllowAll))))
}

pub fn try_build(settings: Value) -> Result<Arc<dyn Monitor>, FieldErrors> {
    (wise_monitor_server::PLUGIN.build)(settings, &context())
}

pub fn probe(settings: Value, name: &str) -> Box<dyn Probe> {
    try_build(settings).unwrap().probe(name).unwrap()
}

pub async fn run(probe: &mut Box<dyn Probe>, timeout: Duration, detailed: bool) -> Report {
    let started = tokio::time::Instant::now();
    let report = probe.check(&CheckContext { timeout, now: SystemClock.now(), detailed }).await;
    let took = started.elapsed();
    assert!(took <= timeout + Duration::from_millis(100), "the check took {took:?} of {timeout:?}");
    let problems = wise_core::conformance::report_problems(&wise_monitor_server::PLUGIN, &report);
    assert!(problems.is_empty(), "{}", problems.join("; "));
    for reading in &report.readings {
        let name = reading.metric.name();
        if let ReadingValue::Exact(value) | ReadingValue::Estimate(value) = reading.value {
            assert!(value >= 0.0 || name.contains("celsius") || name.contains("expires"), "{reading:?}");
            if name.ends_with("used_ratio") || name.contains(".pressure.") {
                assert!(value <= 1.0 || name.ends_with("of_limit_ratio"), "{reading:?}");
            }
        }
    }
    report
}

/// One check of one probe.
pub async fn check(settings: Value, name: &str, timeout: Duration) -> Report {
    run(&mut probe(settings, name), timeout, false).await
}

/// A reading by name, and by the value of its label where it has one.
pub fn reading(report: &Report, name: &str, label: &str) -> Option<f64> {
    let found = report.readings.iter().find(|reading| {
        let pairs = reading.labels.pairs();
        reading.metric.name() == name
            && (pairs.is_empty() && label.is_empty() || pairs.iter().any(|pair| pair.1 == label))
    });
    found?.value.number()
}

/// Fractions are not exact.
#[track_caller]
pub fn assert_near(found: Option<f64>, wanted: f64) {
    assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-9), "{found:?} instead of {wanted}");
}

pub fn fact<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    report.facts.iter().find(|fact| fact.0 == name).map(|fact| fact.1.as_str())
}

/// Class and code of the failure.
pub fn class(report: &Report) -> (&str, &str) {
    let failure = report.failure.as_ref().unwrap_or_else(|| panic!("the check passed: {report:?}"));
    (failure.class.name, failure.code.as_deref().unwrap_or(""))
}

/// A folder with the files of a machine.
pub struct Tree(pub TempDir);

impl Tree {
    /// A small machine of two cores, made up.
    pub fn machine() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.write("proc/loadavg", "0.50 1.00 1.50 2/345 6789\n");
        tree.write("proc/uptime", "100000.50 150000.00\n");
        tree.write("proc/stat", &stat(100, 1000));
        tree.write(
            "proc/meminfo",
            "MemTotal: 1000000 kB\nMemFree: 100000 kB\nMemAvailable: 400000 kB\nBuffers: 1000 kB\nCached: 250000 kB\n\
             Shmem: 5000 kB\nSwapTotal: 200000 kB\nSwapFree: 150000 kB\n",
        );
        tree.write("proc/vmstat", "pswpin 10\npswpout 20\npgmajfault 30\noom_kill 1\n");
        tree.write("proc/diskstats", &disk("sda", 100, 1000));
        tree.write("proc/net/dev", &net(1000, 100));
        tree.write("proc/sys/fs/file-nr", "700\t0\t1000\n");
        tree.write("proc/sys/net/netfilter/nf_conntrack_count", "80\n");
        tree.write("proc/sys/net/netfilter/nf_conntrack_max", "100\n");
        tree.write("proc/sys/kernel/pid_max", "4096\n");
        tree.write("proc/sys/kernel/threads-max", "9000\n");
        tree.write("proc/sys/kernel/hostname", "made-up\n");
        tree.write("proc/sys/kernel/osrelease", "6.6.6\n");
        tree.write("proc/self/mountinfo", "27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n");
        tree.write("proc/self/cgroup", "0::/\n");
        tree.write("proc/42/stat", "");
        tree.write("sys/devices/system/cpu/online", "0-1\n");
        tree.write("sys/block/sda/size", "1\n");
        tree.write("sys/class/net/eth0/operstate", "up\n");
        tree.write("sys/class/net/eth0/speed", "1000\n");
        tree
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders it is in.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Settings that watch this tree.
    pub fn settings(&self) -> Value {
        let at = |folder: &str| self.path().join(folder).to_str().unwrap().to_owned();
        json!({"proc_path": at("proc"), "sys_path": at("sys"), "rootfs_path": self.path().to_str().unwrap()})
    }
}

/// /proc/stat in which both cores have used and idled so many ticks.
pub fn stat(used: u64, idle: u64) -> String {
    let core = format!("{used} 0 0 {idle} 0 0 0 0 0 0");
    format!(
        "cpu {} 0 0 {} 0 0 0 0 0 0\ncpu0 {core}\ncpu1 {core}\nintr 5 1\nctxt 6\nbtime 1700000000\nprocesses 7\nprocs_running 1\nprocs_blocked 0\n",
        used * 2,
        idle * 2
    )
}

/// /proc/diskstats of one disk with one partition: so many reads, so many milliseconds in them and of being busy.
pub fn disk(name: &str, reads: u64, milliseconds: u64) -> String {
    let numbers = format!("{reads} 0 {} {milliseconds} 0 0 0 0 0 {milliseconds} {milliseconds}", reads * 8);
    format!("   8 0 {name} {numbers}\n   8 1 {name}1 {numbers}\n   7 0 loop0 {numbers}\n")
}

/// /proc/net/dev of one interface beside the loopback.
pub fn net(bytes: u64, packets: u64) -> String {
    let numbers = format!("{bytes} {packets} 0 0 0 0 0 0 {bytes} {packets} 0 0 0 0 0 0");
    format!("Inter-|\n face |\n    lo: {numbers}\n  eth0: {numbers}\n veth1: {numbers}\n")
}

/// Serves each connection with `behave`, until the test's runtime ends.
pub async fn serve<F, Fut>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behave = Arc::new(behave);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let behave = behave.clone();
            tokio::spawn(async move { behave(stream).await });
        }
    });
    address
}

/// Serves the same bytes to everybody, after reading the head of the request.
pub async fn answer(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes: Arc<Vec<u8>> = Arc::new(bytes.into());
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(&bytes).await.ok();
            linger(&mut stream).await;
        }
    })
    .await
}

/// Waits until the client has gone, so that nothing of the answer is cut off.
pub async fn linger(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
}

/// Reads up to the empty line, and answers what was read.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// An answer with a body.
pub fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
