//! What the server does: connections, commands, memory, persistence.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join4;
use serde_json::{Value, json};
use wise_core::{Absent, CheckContext, Failure, Labels, MetricSpec, Probe, Report, Timestamp};
use wise_database::{Delta, Ratio, classes};

use crate::error::optional;
use crate::evidence::{self, Course};
use crate::info::{Info, Standing};
use crate::metrics::activity as metric;
use crate::resp::Reply;
use crate::server::Server;
use crate::statistics::{self, CommandTimes};

/// Look-ups in an interval below which a ratio is noise.
const FEW_LOOKUPS: f64 = 100.0;
/// Lost memory below which fragmentation is of no interest: small servers have a ratio of ten.
const MUCH_LOST: f64 = 100.0 * 1024.0 * 1024.0;
/// Entries of the slow log that are written down.
const SHOWN_SLOW: usize = 5;
/// Before the first save the server gives its own start as the time of the last one; they may differ by a moment.
const ABOUT_THE_SAME: f64 = 2.0;

/// Fields of INFO that are readings as they are.
static PLAIN: &[(&str, &MetricSpec)] = &[
    ("connected_clients", &metric::CONNECTIONS),
    ("total_connections_received", &metric::CONNECTIONS_RECEIVED),
    ("rejected_connections", &metric::CONNECTIONS_REJECTED),
    ("blocked_clients", &metric::BLOCKED),
    ("total_commands_processed", &metric::COMMANDS),
    ("total_error_replies", &metric::ERROR_REPLIES),
    ("acl_access_denied_auth", &metric::AUTH_DENIED),
    ("used_cpu_sys", &metric::CPU_SYSTEM),
    ("used_cpu_user", &metric::CPU_USER),
    ("total_net_input_bytes", &metric::RECEIVED),
    ("total_net_output_bytes", &metric::SENT),
    ("keyspace_hits", &metric::HITS),
    ("keyspace_misses", &metric::MISSES),
    ("evicted_keys", &metric::EVICTED),
    ("expired_keys", &metric::EXPIRED),
    ("used_memory", &metric::MEMORY_USED),
    ("used_memory_rss", &metric::MEMORY_RSS),
    ("used_memory_peak", &metric::MEMORY_PEAK),
    ("rdb_changes_since_last_save", &metric::RDB_CHANGES),
];

/// The probe.
#[derive(Debug)]
pub(crate) struct ActivityProbe {
    server: Arc<Server>,
    hits: Ratio,
    counters: Delta<&'static str>,
    commands: CommandTimes,
    /// Id of the newest entry of the slow log, if any was seen; `None` before the first check.
    newest_slow: Option<Option<f64>>,
    /// Counters of another process say nothing.
    run_id: String,
}

impl ActivityProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            hits: Ratio::default(),
            counters: Delta::default(),
            commands: CommandTimes::default(),
            newest_slow: None,
            run_id: String::new(),
        }
    }

    async fn run(
        &mut self,
        cx: &CheckContext,
        course: &mut Course,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let server = self.server.clone();
        let (session, info) = server.connection("all", cx.timeout, &mut course.stages).await?;
        if info.standing() == Standing::Sentinel {
            // A Sentinel has no data; its own numbers are those of connections and commands.
            self.read(&server, cx.now, &info, &Ok(Reply::Nothing), report, course);
            connections(&info, Ok(Reply::Nothing), report);
            course.info = Some(info);
            server.give_back(session).await;
            return Ok(());
        }
        course.stages.begin("query");
        let has_limit = info.number("maxclients").is_some();
        let (slow, events, save, limit) = join4(
            session.ask(&["SLOWLOG", "GET", "5"]),
            session.ask(&["LATENCY", "LATEST"]),
            session.ask(&["CONFIG", "GET", "save"]),
            async {
                if has_limit {
                    Ok(Reply::Nothing)
                } else {
                    session.ask(&["CONFIG", "GET", "maxclients"]).await
                }
            },
        )
        .await;
        let slow = optional(slow, "slowlog|get")?;
        let events = optional(events, "latency|latest")?;
        let save = optional(save, "config|get")?;
        let limit = optional(limit, "config|get")?;
        course.stages.end();
        server.give_back(session).await;
        self.read(&server, cx.now, &info, &save, report, course);
        connections(&info, limit, report);
        match slow {
            Ok(reply) => {
                self.slow_log(&reply, report);
                course.note("slow_commands", shown_slow(&reply));
            }
            Err(why) => report.push_absent(&metric::SLOWLOG, &Labels::default(), why),
        }
        match events {
            Ok(reply) => statistics::events(&reply, report),
            Err(why) => report.push_absent(&metric::LATENCY_LATEST, &Labels::default(), why),
        }
        let full = out_of_memory(&info);
        course.info = Some(info);
        full.map_or(Ok(()), Err)
    }

    fn read(
        &mut self,
        server: &Server,
        now: Timestamp,
        info: &Info,
        save: &Result<Reply, Absent>,
        report: &mut Report,
        course: &mut Course,
    ) {
        let run_id = info.get("run_id").unwrap_or_default();
        if self.run_id != run_id {
            run_id.clone_into(&mut self.run_id);
            self.hits = Ratio::default();
            self.counters.clear();
            self.commands = CommandTimes::default();
            self.newest_slow = None;
        }
        levels(info, save, now, report);
        if let (Some(hits), Some(misses)) = (info.number("keyspace_hits"), info.number("keyspace_misses"))
            && let Some(ratio) = self.hits.of(hits, misses, FEW_LOOKUPS)
        {
            report.push(&metric::HIT_RATIO, ratio);
        }
        if let Some(rejected) = info.number("rejected_connections")
            && let Some(new) = self.counters.add("rejected", rejected)
        {
            report.push(&metric::CONNECTIONS_REJECTED_NEW, new);
        }
        statistics::errors(info, report);
        let top = self.commands.read(info, server.top_commands, report);
        course.note("top_commands", top);
    }

    fn slow_log(&mut self, reply: &Reply, report: &mut Report) {
        // Ids count from 0 and are never used again, not even after SLOWLOG RESET; only a restart begins again.
        let newest = reply.list().first().and_then(|entry| entry.list().first()).and_then(Reply::number);
        if let Some(id) = newest {
            report.push(&metric::SLOWLOG, id + 1.0);
        }
        let new = match (self.newest_slow, newest) {
            (None, _) => None,
            (Some(_), None) => Some(0.0),
            (Some(Some(before)), Some(id)) => Some((id - before).max(0.0)),
            (Some(None), Some(_)) => Some(reply.list().len() as f64),
        };
        // What a reset has removed was counted before.
        self.newest_slow = Some(newest.or(self.newest_slow.flatten()));
        if let Some(new) = new {
            report.push(&metric::SLOWLOG_NEW, new);
        }
    }
}

/// Entries as evidence: the command and how many arguments, never the arguments, which are users' data.
fn shown_slow(reply: &Reply) -> Value {
    let entry = |entry: &Reply| {
        let [id, time, micros, words, ..] = entry.list() else { return Value::Null };
        let name = words.list().first().and_then(Reply::text).unwrap_or_else(|| "?".into());
        json!({
            "id": id.number(),
            "time": time.number().map(|seconds| Timestamp::from_seconds(seconds as i64)),
            "milliseconds": micros.number().map(|micros| micros / 1e3),
            "command": wise_database::shorten(&name, 40),
            "arguments": words.list().len().saturating_sub(1),
        })
    };
    reply.list().iter().take(SHOWN_SLOW).map(entry).collect()
}

/// What needs no memory of earlier checks.
pub(crate) fn levels(info: &Info, save: &Result<Reply, Absent>, now: Timestamp, report: &mut Report) {
    for (field, metric) in PLAIN {
        if let Some(value) = info.number(field) {
            report.push(metric, value);
        }
    }
    memory(info, report);
    persistence(info, save, now, report);
}

pub(crate) fn connections(info: &Info, limit: Result<Reply, Absent>, report: &mut Report) {
    let limit = match limit {
        Ok(reply) => {
            info.number("maxclients").or_else(|| reply.field("maxclients")?.number()).ok_or(Absent::NotKnown)
        }
        Err(why) => Err(why),
    };
    match limit {
        Ok(limit) if limit > 0.0 => {
            report.push(&metric::CONNECTIONS_LIMIT, limit);
            // Replicas and the cluster bus have their connections from the same limit.
            let open = ["connected_clients", "connected_slaves", "cluster_connections"];
            let open: f64 = open.iter().filter_map(|field| info.number(field)).sum();
            report.push(&metric::CONNECTIONS_USED, open / limit);
        }
        Ok(_) => {}
        Err(why) => report.push_absent(&metric::CONNECTIONS_USED, &Labels::default(), why),
    }
}

/// Memory that counts towards the limit.
fn counted_memory(info: &Info) -> Option<f64> {
    Some(info.number("used_memory")? - info.number("mem_not_counted_for_evict").unwrap_or(0.0))
}

fn memory(info: &Info, report: &mut Report) {
    if let Some(counted) = counted_memory(info) {
        match (info.number("maxmemory"), info.number("total_system_memory")) {
            (Some(limit), _) if limit > 0.0 => {
                report.push(&metric::MEMORY_LIMIT, limit);
                report.push(&metric::MEMORY_USED_RATIO, counted / limit);
                // A cache that evicts is full by design.
                if info.is("maxmemory_policy", "noeviction") {
                    report.push(&metric::MEMORY_NOEVICT_RATIO, counted / limit);
                }
            }
            (_, Some(system)) if system > 0.0 => report.push(&metric::MEMORY_OF_SYSTEM, counted / system),
            _ => {}
        }
    }
    let lost = info.number("mem_fragmentation_bytes");
    if let Some(lost) = lost {
        report.push(&metric::FRAGMENTATION_BYTES, lost);
    }
    if let (Some(lost), Some(ratio)) = (lost, info.number("mem_fragmentation_ratio")) {
        // A high ratio of little memory means nothing: it counts as none.
        let counts = lost > MUCH_LOST || ratio < 1.0;
        report.push(&metric::FRAGMENTATION, if counts { ratio } else { 1.0 });
    }
}

/// A server that evicts nothing refuses writes once its limit is reached.
pub(crate) fn out_of_memory(info: &Info) -> Option<Failure> {
    let limit = info.number("maxmemory").filter(|limit| *limit > 0.0)?;
    if !info.is("maxmemory_policy", "noeviction") || info.standing() != Standing::Primary {
        return None;
    }
    let counted = counted_memory(info)?;
    (counted > limit).then(|| {
        let text =
            format!("{counted} of {limit} bytes are used and nothing may be evicted: writes are refused");
        Failure::new(&classes::WRITES_FAIL, text).code("oom")
    })
}

fn persistence(info: &Info, save: &Result<Reply, Absent>, now: Timestamp, report: &mut Report) {
    let ok = |field: &str| info.get(field).map(|status| f64::from(u8::from(status == "ok")));
    if let Some(ok) = ok("rdb_last_bgsave_status") {
        report.push(&metric::RDB_OK, ok);
    }
    if info.get("rdb_current_bgsave_time_sec").is_some() {
        report.push(&metric::RDB_RUNNING, info.positive("rdb_current_bgsave_time_sec").unwrap_or(0.0));
    }
    last_save(info, save, now, report);
    if info.is("aof_enabled", "1") {
        for (field, metric) in [
            ("aof_last_write_status", &metric::AOF_OK),
            ("aof_last_bgrewrite_status", &metric::AOF_REWRITE_OK),
        ] {
            if let Some(ok) = ok(field) {
                report.push(metric, ok);
            }
        }
        for (field, metric) in [
            ("aof_rewrites_consecutive_failures", &metric::AOF_REWRITE_FAILURES),
            ("aof_delayed_fsync", &metric::DELAYED_FSYNC),
        ] {
            if let Some(value) = info.number(field) {
                report.push(metric, value);
            }
        }
    }
    if let Some(micros) = info.number("latest_fork_usec").filter(|micros| *micros > 0.0) {
        report.push(&metric::FORK, micros / 1e6);
    }
}

/// Age of the last save, where there is one that someone wants and that is outdated.
fn last_save(info: &Info, save: &Result<Reply, Absent>, now: Timestamp, report: &mut Report) {
    let has_points = match save {
        Ok(reply) => reply.field("save").and_then(Reply::text).is_some_and(|points| !points.is_empty()),
        Err(why) => return report.push_absent(&metric::RDB_AGE, &Labels::default(), why.clone()),
    };
    if !has_points || info.number("rdb_changes_since_last_save").is_none_or(|changes| changes == 0.0) {
        return;
    }
    let (Some(saved), Some(uptime)) = (info.positive("rdb_last_save_time"), info.number("uptime_in_seconds"))
    else {
        return;
    };
    let age = (now.as_seconds_f64() - saved).max(0.0);
    let may_be_start =
        (age - uptime).abs() < ABOUT_THE_SAME && info.number("rdb_saves").is_none_or(|n| n == 0.0);
    if may_be_start {
        report.push_absent(&metric::RDB_AGE, &Labels::default(), Absent::NotKnown);
    } else {
        report.push(&metric::RDB_AGE, age);
    }
}

#[async_trait]
impl Probe for ActivityProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let server = self.server.clone();
        let mut course = Course::default();
        let mut report = Report::default();
        let outcome = evidence::bounded(cx, self.run(cx, &mut course, &mut report)).await;
        evidence::finish(&server, cx, &course, outcome, &mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Text(text.to_owned())
    }

    fn points(points: &str) -> Result<Reply, Absent> {
        Ok(Reply::List(vec![text("save"), text(points)]))
    }

    fn age(fields: &str, save: &Result<Reply, Absent>) -> Vec<(String, Option<f64>)> {
        let info = Info::read(&format!("redis_version:7.0.15\r\n{fields}")).unwrap();
        let mut report = Report::default();
        last_save(&info, save, Timestamp::from_seconds(10_000), &mut report);
        report.readings.iter().map(|r| (r.metric.name().to_owned(), r.value.number())).collect()
    }

    #[test]
    fn the_time_of_the_start_is_no_save() {
        let name = "redis.persistence.last_save_age_seconds".to_owned();
        let started =
            "rdb_changes_since_last_save:5\r\nrdb_last_save_time:9000\r\nuptime_in_seconds:1000\r\n";
        assert_eq!(age(started, &points("3600 1")), [(name.clone(), None)]);
        let saved = format!("{started}rdb_saves:1\r\n");
        assert_eq!(age(&saved, &points("3600 1")), [(name.clone(), Some(1000.0))]);
        assert_eq!(age(&saved, &points("")), [], "no one wants a save");
        let unchanged = saved.replace("last_save:5", "last_save:0");
        assert_eq!(age(&unchanged, &points("3600 1")), [], "nothing to save");
        let absent = Err(Absent::NoPermission("x".to_owned()));
        assert_eq!(age(&saved, &absent), [(name, None)]);
    }

    #[test]
    fn without_a_limit_the_machine_is_the_limit() {
        let names = |fields: &str| {
            let info = Info::read(&format!("redis_version:7\r\nused_memory:50\r\n{fields}")).unwrap();
            let mut report = Report::default();
            memory(&info, &mut report);
            report.readings.iter().map(|reading| reading.metric.name().to_owned()).collect::<Vec<_>>()
        };
        let limited = names("maxmemory:100\r\ntotal_system_memory:200\r\n");
        assert_eq!(limited, ["redis.memory.limit_bytes", "redis.memory.used_ratio"]);
        assert_eq!(names("maxmemory:0\r\ntotal_system_memory:200\r\n"), ["redis.memory.of_system_ratio"]);
        assert_eq!(names("maxmemory:0\r\n"), [""; 0], "absent, not zero");
    }
}
