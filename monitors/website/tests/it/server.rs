//! Servers on free ports, each with one way to behave, and checks against them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wise_core::{
    BuildContext, CheckContext, Clock, FieldErrors, ProbeSpec, Report, SecretLookup, SystemClock,
};

/// Deadline of checks that are expected to answer.
pub const PATIENT: Duration = Duration::from_secs(10);
/// Deadline of checks that are expected to run into it.
pub const SHORT: Duration = Duration::from_millis(600);

/// Serves each connection with `behave`, until the test's runtime ends.
pub async fn serve<F, Fut>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    serve_on("127.0.0.1:0", behave).await
}

/// As [`serve`], on an address of the test's choice.
pub async fn serve_on<F, Fut>(address: &str, behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
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

/// A plain answer with a body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub struct Environment;

impl SecretLookup for Environment {
    fn env(&self, name: &str) -> Option<String> {
        (name == "TEST_TOKEN").then(|| "tok-123456".to_owned())
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Builds a monitor and checks it once.
pub async fn check(settings: Value, timeout: Duration) -> Report {
    try_build(settings.clone()).unwrap_or_else(|errors| panic!("{settings}: {errors}"));
    let monitor = (wise_monitor_website::PLUGIN.build)(settings, &context()).unwrap();
    let mut probe = monitor.probe(ProbeSpec::AVAILABILITY).unwrap();
    let report = probe.check(&CheckContext { timeout, now: SystemClock.now(), detailed: false }).await;
    let problems = wise_core::conformance::report_problems(&wise_monitor_website::PLUGIN, &report);
    assert!(problems.is_empty(), "{}", problems.join("; "));
    report
}

/// Checks a URL with nothing else set.
pub async fn check_url(url: impl std::fmt::Display, timeout: Duration) -> Report {
    check(json!({"url": url.to_string()}), timeout).await
}

pub fn context() -> BuildContext {
    BuildContext::new(Arc::new(Environment)).with(Arc::new(wise_net::Net::new(Arc::new(wise_net::AllowAll))))
}

pub fn try_build(settings: Value) -> Result<(), FieldErrors> {
    (wise_monitor_website::PLUGIN.build)(settings, &context()).map(|_| ())
}

/// Class and code of the failure.
pub fn class(report: &Report) -> (&str, &str) {
    let failure = report.failure.as_ref().unwrap_or_else(|| panic!("the check passed: {report:?}"));
    (failure.class.name, failure.code.as_deref().unwrap_or(""))
}

/// The evidence of a failed check.
pub fn evidence(report: &Report) -> &Value {
    report.evidence.as_ref().expect("a failed check has evidence")
}

/// A reading by name.
pub fn reading(report: &Report, name: &str) -> Option<f64> {
    report.readings.iter().find(|reading| reading.metric.name() == name)?.value.number()
}
