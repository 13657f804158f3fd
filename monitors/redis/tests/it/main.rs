//! The Redis monitor against real servers, healthy ones and every way in which one can fail.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod activity;
mod connections;
mod labels;
mod logins;
mod persistence;
mod queries;
mod replication;
mod sentinel;
mod settings;
mod storage;
mod stub;
mod tls;

use std::time::Duration;

use serde_json::{Value, json};
use wise_core::Report;
use wise_monitor_redis::PLUGIN;
use wise_testbed::{Redis, Watch, eventually, evidence};

/// A deadline that tests of faults use, so that missed deadlines take little time.
const SHORT: Duration = Duration::from_secs(2);

/// Class and code of a check that fails.
async fn class(watch: &mut Watch, probe: &str) -> (String, String) {
    let (class, code, _) = watch.failure(probe, SHORT).await;
    (class, code)
}

fn pair(class: &str, code: &str) -> (String, String) {
    (class.to_owned(), code.to_owned())
}

fn watch(url: &str) -> Watch {
    watch_with(url, json!({}))
}

/// A monitor of this URL with more settings.
fn watch_with(url: &str, more: Value) -> Watch {
    let mut settings = json!({"url": url});
    for (name, value) in more.as_object().unwrap() {
        settings[name.as_str()] = value.clone();
    }
    Watch::new(&PLUGIN, settings)
}

/// The check passes.
#[track_caller]
fn passes(report: &Report) {
    assert_eq!(report.failure, None, "{}", evidence(report));
}

/// Connections of ours that the server knows. The server is asked by a session of the tests' own.
fn ours(server: &Redis, options: &str) -> usize {
    let list = server.run(&format!("{options} CLIENT LIST"));
    assert!(list.contains("cmd=client"), "the list of clients: {list}");
    list.lines().filter(|line| !line.contains("cmd=client|list")).count()
}

/// Waits until the server has so many connections of ours at most.
async fn settles(server: &Redis, options: &str, most: usize) {
    // The tasks that hold them end on this runtime.
    let found = eventually("connections are closed", || {
        let found = ours(server, options);
        if found <= most { Ok(found) } else { Err(found) }
    })
    .await;
    assert!(found <= most);
}

/// Checks until one gives what is wanted: for what a server takes a while to notice.
async fn becomes(watch: &mut Watch, probe: &str, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let deadline = tokio::time::Instant::now() + wise_testbed::PATIENCE;
    // Asking all the time would take the machine from the servers.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        let report = watch.check_within(probe, SHORT).await;
        if wanted(&report) {
            return report;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what}: last {:?} with {}",
            report.failure,
            evidence(&report)
        );
    }
}

/// Whether the check failed with this class and code.
fn failed(report: &Report, class: &str, code: &str) -> bool {
    report.failure.as_ref().is_some_and(|failure| {
        failure.class.name == class && failure.code.as_deref().unwrap_or_default() == code
    })
}
