//! What is written down, and the frame that every check has: one deadline, masked texts.

use std::future::Future;

use serde_json::{Value, json};
use wise_core::{CheckContext, Failure, Report};
use wise_database::Stages;

use crate::info::Info;
use crate::server::Server;

/// What of INFO says most about a failure.
const SHOWN: [&str; 27] = [
    "role",
    "loading",
    "uptime_in_seconds",
    "connected_clients",
    "maxclients",
    "blocked_clients",
    "used_memory",
    "maxmemory",
    "maxmemory_policy",
    "rdb_last_bgsave_status",
    "rdb_changes_since_last_save",
    "aof_enabled",
    "aof_last_write_status",
    "aof_last_bgrewrite_status",
    "master_host",
    "master_port",
    "master_link_status",
    "master_last_io_seconds_ago",
    "master_link_down_since_seconds",
    "master_sync_in_progress",
    "connected_slaves",
    "min_slaves_good_slaves",
    "slave0",
    "slave1",
    "slave2",
    "master0",
    "cluster_enabled",
];

/// What a check gathers beside its readings; outlives a check that was cut off.
#[derive(Debug, Default)]
pub(crate) struct Course {
    pub stages: Stages,
    pub info: Option<Info>,
    /// More to write down.
    pub more: serde_json::Map<String, Value>,
}

impl Course {
    pub(crate) fn note(&mut self, name: &str, value: Value) {
        self.more.insert(name.to_owned(), value);
    }
}

/// Runs a check under its deadline; `None` when it is missed.
pub(crate) async fn bounded(
    cx: &CheckContext,
    run: impl Future<Output = Result<(), Failure>>,
) -> Option<Result<(), Failure>> {
    let outcome = tokio::time::timeout(cx.timeout, run).await.ok();
    if !matches!(outcome, Some(Ok(()))) {
        // A connection that was dropped is closed when its task is next looked at: before the check ends.
        tokio::task::yield_now().await;
    }
    outcome
}

/// Puts outcome and evidence into the report, with every secret masked.
pub(crate) fn finish(
    server: &Server,
    cx: &CheckContext,
    course: &Course,
    outcome: Option<Result<(), Failure>>,
    report: &mut Report,
) {
    report.local = course.stages.trace.is_local();
    let outcome = outcome.unwrap_or_else(|| Err(course.stages.deadline_missed(cx.timeout)));
    report.failure = outcome.err().map(|mut failure| {
        failure.message = server.address.masker.mask(&failure.message).into_owned();
        failure
    });
    for (_, text) in &mut report.facts {
        *text = server.address.masker.mask(text).into_owned();
    }
    if report.failure.is_none() && !cx.detailed {
        return;
    }
    let mut evidence = course.stages.evidence();
    if let Some(info) = &course.info {
        let mut shown = info.summary(&SHOWN);
        shown["version"] = json!(info.version());
        shown["mode"] = json!(info.mode());
        evidence["info"] = shown;
    }
    for (name, value) in &course.more {
        evidence[name.as_str()] = value.clone();
    }
    server.address.masker.mask_json(&mut evidence);
    report.evidence = Some(evidence);
}
