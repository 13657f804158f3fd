//! Who follows whom, and how far behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use wise_core::label::{OCCURRENCE, UniqueLabels};
use wise_core::{Absent, CheckContext, Failure, Labels, MetricSpec, Probe, Report, Timestamp};
use wise_database::{Delta, classes};

use crate::config::Role;
use crate::driver::Session;
use crate::error::optional;
use crate::evidence::{self, Course};
use crate::info::{Info, Standing};
use crate::metrics::replication as metric;
use crate::resp::Reply;
use crate::server::Server;
use crate::{cluster, sentinel};

/// Replicas listed at most.
const MAX_REPLICAS: usize = 50;
/// How long a replica that went away is missed.
const MISSED: Duration = Duration::from_secs(3600);
/// A primary pings its replicas so often unless it is configured otherwise.
const USUAL_PING: f64 = 10.0;
/// Pings that may be missing before a primary counts as silent.
const PINGS: f64 = 3.0;

/// Fields of a primary's INFO that are readings as they are.
static OF_PRIMARY: &[(&str, &MetricSpec)] = &[
    ("connected_slaves", &metric::REPLICAS),
    ("min_slaves_good_slaves", &metric::REPLICAS_GOOD),
    ("master_repl_offset", &metric::OFFSET),
    ("sync_full", &metric::FULL_SYNCS),
    ("sync_partial_ok", &metric::PARTIAL_SYNCS),
    ("sync_partial_err", &metric::PARTIAL_ERRORS),
];

/// The probe.
#[derive(Debug)]
pub(crate) struct ReplicationProbe {
    server: Arc<Server>,
    /// Role and primary at the last check.
    place: Option<String>,
    /// When each replica was last online.
    seen: HashMap<Labels, Timestamp>,
    written: Delta<&'static str>,
    last: Option<Timestamp>,
}

impl ReplicationProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, place: None, seen: HashMap::new(), written: Delta::default(), last: None }
    }

    async fn run(
        &mut self,
        cx: &CheckContext,
        course: &mut Course,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let server = self.server.clone();
        let (session, info) = server.connection("default", cx.timeout, &mut course.stages).await?;
        let info = course.info.insert(info).clone();
        let standing = info.standing();
        report.push(&metric::ROLE, standing.code());
        self.note_place(&info, report);
        course.stages.begin("query");
        // All that can be read is read before something is said to be wrong.
        let mut problems = vec![wrong_role(server.expected_role, standing)];
        match standing {
            Standing::Sentinel => problems.push(sentinel::read(&session, &info, course, report).await?),
            Standing::Primary => problems.push(self.primary(cx.now, &info, report)),
            Standing::Replica => problems.push(replica(&session, &info, report).await?),
        }
        if info.mode() == "cluster" {
            problems.push(cluster::read(&session, course, report).await?);
        }
        course.stages.end();
        server.give_back(session).await;
        problems.into_iter().flatten().next().map_or(Ok(()), Err)
    }

    /// Says when the role, or the primary that is followed, is another than before.
    fn note_place(&mut self, info: &Info, report: &mut Report) {
        let primary = match info.standing() {
            Standing::Replica => {
                format!(
                    "{}:{}",
                    info.get("master_host").unwrap_or("?"),
                    info.get("master_port").unwrap_or("?")
                )
            }
            _ => String::new(),
        };
        let place = format!("{} {primary}", info.standing().name());
        let place = place.trim_end().to_owned();
        if let Some(before) = &self.place {
            report.push(&metric::ROLE_CHANGED, f64::from(u8::from(*before != place)));
        }
        if self.place.as_ref() != Some(&place) {
            report.facts.push(("redis.replication", place.replace("replica ", "replica of ")));
            self.seen.clear();
            self.written.clear();
            self.place = Some(place);
        }
    }

    fn primary(&mut self, now: Timestamp, info: &Info, report: &mut Report) -> Option<Failure> {
        for (field, metric) in OF_PRIMARY {
            if let Some(value) = info.number(field) {
                report.push(metric, value);
            }
        }
        self.backlog(now, info, report);
        let offset = info.number("master_repl_offset");
        let mut online = 0_u32;
        // Two replicas may announce one address, or come from behind one: nothing else tells them apart.
        let mut unique = UniqueLabels::default();
        for (address, replica) in info.replicas() {
            let is_online = replica.get("state") == Some("online");
            online += u32::from(is_online);
            let labels = unique.of(Labels::one("replica", address));
            if is_online && (self.seen.len() < MAX_REPLICAS || self.seen.contains_key(&labels)) {
                self.seen.insert(labels.clone(), now);
            }
            if !self.seen.contains_key(&labels) && self.seen.len() >= MAX_REPLICAS {
                continue;
            }
            report.push_labelled(&metric::REPLICA_ONLINE, &labels, f64::from(u8::from(is_online)));
            // Until it is online, offset and lag are zero, which says nothing.
            if !is_online {
                continue;
            }
            if let (Some(written), Some(taken)) = (offset, replica.number("offset")) {
                report.push_labelled(&metric::REPLICA_LAG, &labels, (written - taken).max(0.0));
            }
            if let Some(age) = replica.number("lag").filter(|age| *age >= 0.0) {
                report.push_labelled(&metric::REPLICA_ACK_AGE, &labels, age);
            }
        }
        self.seen.retain(|_, last| now.since(*last) < MISSED);
        let lost: Vec<String> =
            self.seen.iter().filter(|(_, last)| **last != now).map(|(labels, _)| shown(labels)).collect();
        report.push(&metric::REPLICAS_ONLINE, f64::from(online));
        report.push(&metric::REPLICAS_LOST, lost.len() as f64);
        let expected = self.server.expected_replicas?;
        (online < expected).then(|| {
            let names = if lost.is_empty() { String::new() } else { format!("; lost: {}", lost.join(", ")) };
            let text = format!("{online} of {expected} replicas are online{names}");
            Failure::new(&classes::REPLICATION, text).code("replicas_missing")
        })
    }

    /// How long the backlog lasts at the pace of the interval.
    fn backlog(&mut self, now: Timestamp, info: &Info, report: &mut Report) {
        let last = self.last.replace(now);
        let Some(held) = info.number("repl_backlog_histlen").filter(|_| info.is("repl_backlog_active", "1"))
        else {
            return;
        };
        report.push(&metric::BACKLOG, held);
        let written = info.number("master_repl_offset").and_then(|offset| self.written.add("offset", offset));
        if let (Some(written), Some(last)) = (written, last)
            && written > 0.0
        {
            let window = held / written * now.since(last).as_secs_f64();
            report.push_estimate(&metric::BACKLOG_SECONDS, &Labels::default(), window);
        }
    }
}

fn wrong_role(expected: Option<Role>, found: Standing) -> Option<Failure> {
    let expected = match expected? {
        Role::Primary => Standing::Primary,
        Role::Replica => Standing::Replica,
        Role::Sentinel => Standing::Sentinel,
    };
    (expected != found).then(|| {
        let text = format!("the server is a {}, and a {} is expected", found.name(), expected.name());
        Failure::new(&classes::WRONG_ROLE, text).code(found.name())
    })
}

async fn replica(session: &Session, info: &Info, report: &mut Report) -> Result<Option<Failure>, Failure> {
    // Its name has changed with Redis 5; a server knows both, or the one of its time.
    let ping = session.ask(&["CONFIG", "GET", "repl-ping-*"]).await;
    let ping = optional(ping, "config|get")?.ok();
    let ping = ping.as_ref().and_then(|reply| reply.list().get(1)?.number()).unwrap_or(USUAL_PING);
    Ok(judge_replica(info, ping, report))
}

fn judge_replica(info: &Info, ping: f64, report: &mut Report) -> Option<Failure> {
    let none = Labels::default();
    let is_up = info.is("master_link_status", "up");
    report.push(&metric::LINK_UP, f64::from(u8::from(is_up)));
    let is_syncing = info.is("master_sync_in_progress", "1");
    report.push(&metric::SYNCING, f64::from(u8::from(is_syncing)));
    if is_syncing && let Some(left) = info.positive("master_sync_left_bytes") {
        report.push(&metric::SYNC_LEFT, left);
    }
    if let Some(read_only) = info.number("slave_read_only") {
        report.push(&metric::READ_ONLY, read_only);
    }
    let silence = info.positive("master_last_io_seconds_ago");
    match silence {
        Some(age) => report.push(&metric::LAST_IO, age),
        None => report.push_absent(&metric::LAST_IO, &none, Absent::NotKnown),
    }
    let primary =
        format!("{}:{}", info.get("master_host").unwrap_or("?"), info.get("master_port").unwrap_or("?"));
    let broken = |code: &'static str, text: String| Failure::new(&classes::REPLICATION, text).code(code);
    if is_up {
        report.push(&metric::LINK_DOWN, 0.0);
        // The link counts as up until repl-timeout, however silent the primary is.
        let silence = silence.filter(|age| *age >= ping * PINGS)?;
        let text =
            format!("the primary {primary} has been silent for {silence} s, and the link still counts as up");
        return Some(broken("primary_silent", text));
    }
    match info.positive("master_link_down_since_seconds") {
        Some(down) => report.push(&metric::LINK_DOWN, down),
        None => report.push_absent(&metric::LINK_DOWN, &none, Absent::NotKnown),
    }
    if is_syncing {
        return Some(broken(
            "syncing",
            format!("the replica takes everything from {primary}, and is not up to date"),
        ));
    }
    Some(match info.positive("master_link_down_since_seconds") {
        Some(down) => {
            broken("link_down", format!("the link to the primary {primary} has been down for {down} s"))
        }
        None => broken(
            "never_linked",
            format!(
                "there never was a link to the primary {primary}: look at its address, masteruser and masterauth"
            ),
        ),
    })
}

#[async_trait]
impl Probe for ReplicationProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let server = self.server.clone();
        let mut course = Course::default();
        let mut report = Report::default();
        let outcome = evidence::bounded(cx, self.run(cx, &mut course, &mut report)).await;
        if let Some(info) = course.info.as_ref().filter(|info| info.standing() == Standing::Primary) {
            let replicas: Vec<_> = info.with_prefix("slave").take(MAX_REPLICAS).collect();
            course.note("replicas", json!(replicas));
        }
        evidence::finish(&server, cx, &course, outcome, &mut report);
        report
    }
}

/// `10.0.0.2:6379`, with its number where several announce that.
fn shown(labels: &Labels) -> String {
    let value = |wanted: &str| {
        labels.pairs().iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    let address = value("replica").unwrap_or_default();
    value(OCCURRENCE).map_or_else(|| address.to_owned(), |occurrence| format!("{address} ({occurrence})"))
}

/// The text of a field of a flat list; empty when there is none.
pub(crate) fn text_of(reply: &Reply, field: &str) -> String {
    reply.field(field).and_then(Reply::text).unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(fields: &str) -> (Option<String>, Report) {
        let info = Info::read(&format!(
            "redis_version:7.0.15\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n{fields}"
        ))
        .unwrap();
        let mut report = Report::default();
        let failure = judge_replica(&info, 10.0, &mut report);
        (failure.and_then(|failure| failure.code).map(std::borrow::Cow::into_owned), report)
    }

    #[test]
    fn a_silent_primary_is_no_healthy_one() {
        let up = "master_link_status:up\r\nmaster_sync_in_progress:0\r\n";
        assert_eq!(judge(&format!("{up}master_last_io_seconds_ago:2\r\n")).0, None);
        let (code, report) = judge(&format!("{up}master_last_io_seconds_ago:31\r\n"));
        assert_eq!(code.as_deref(), Some("primary_silent"));
        assert!(report.readings.iter().any(|r| r.metric.name() == "redis.replica.last_io_age_seconds"));
    }

    #[test]
    fn a_link_that_never_was_has_no_age() {
        let down =
            "master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\n";
        let (code, report) = judge(&format!("{down}master_link_down_since_seconds:-1\r\n"));
        assert_eq!(code.as_deref(), Some("never_linked"));
        let absent = report.readings.iter().filter(|r| r.value.number().is_none()).count();
        assert_eq!(absent, 2, "the age of the link and that of the last word");
        let (code, _) = judge(&format!("{down}master_link_down_since_seconds:12\r\n"));
        assert_eq!(code.as_deref(), Some("link_down"));
        let syncing = down.replace("progress:0", "progress:1");
        assert_eq!(judge(&format!("{syncing}master_sync_left_bytes:100\r\n")).0.as_deref(), Some("syncing"));
    }
}
