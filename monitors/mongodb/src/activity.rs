//! Activity: connections, operations, queues, cache, and what the counters say since the last check.

use bson::{Document, doc};
use wise_core::{Absent, Failure, Labels, MetricSpec, Report, async_trait};
use wise_database::Delta;

use crate::config::Watched;
use crate::document::{as_number, is, number, part};
use crate::metrics::activity as metrics;
use crate::operations;
use crate::session::COMMAND_LIMIT;
use crate::{Run, Step};

/// Fewer pages in an interval make a hit ratio of noise.
const LEAST_PAGES: f64 = 1000.0;

#[derive(Debug, Default)]
pub(crate) struct Activity {
    latencies: Delta<(&'static str, bool)>,
    pages: Delta<bool>,
    recent: Delta<&'static str>,
    /// Whether this server has ever said how many connections are left.
    tells_available: bool,
}

/// Numbers that are passed on as they are.
const PLAIN: [(&[&str], &MetricSpec); 16] = [
    (&["connections", "active"], &metrics::CONNECTIONS_ACTIVE),
    (&["connections", "totalCreated"], &metrics::CONNECTIONS_CREATED),
    (&["connections", "rejected"], &metrics::CONNECTIONS_REJECTED),
    (&["wiredTiger", "cache", "bytes currently in the cache"], &metrics::CACHE_BYTES),
    (&["wiredTiger", "cache", "pages evicted by application threads"], &metrics::APP_EVICTIONS),
    (&["metrics", "cursor", "open", "total"], &metrics::CURSORS),
    (&["metrics", "cursor", "timedOut"], &metrics::CURSORS_TIMED_OUT),
    (&["metrics", "operation", "writeConflicts"], &metrics::WRITE_CONFLICTS),
    (&["metrics", "operation", "scanAndOrder"], &metrics::SORTS),
    (&["metrics", "queryExecutor", "collectionScans", "total"], &metrics::SCANS),
    (&["extra_info", "page_faults"], &metrics::PAGE_FAULTS),
    (&["network", "bytesIn"], &metrics::NETWORK_IN),
    (&["network", "bytesOut"], &metrics::NETWORK_OUT),
    (&["network", "numRequests"], &metrics::REQUESTS),
    (&["metrics", "getLastError", "wtimeouts"], &metrics::WRITE_TIMEOUTS),
    (&["transactions", "currentOpen"], &metrics::TRANSACTIONS),
];

/// Documents whose numbers are told apart by a label: where, the label, the names, the metric.
type Group =
    (&'static [&'static str], &'static str, &'static [(&'static str, &'static str)], &'static MetricSpec);

const OPERATIONS: &[(&str, &str)] = &[
    ("insert", "insert"),
    ("query", "query"),
    ("update", "update"),
    ("delete", "delete"),
    ("getmore", "getmore"),
    ("command", "command"),
];
const KINDS: &[(&str, &str)] = &[("readers", "reads"), ("writers", "writes")];

const GROUPS: [Group; 7] = [
    (&["opcounters"], "type", OPERATIONS, &metrics::OPERATIONS),
    (&["opcountersRepl"], "type", OPERATIONS, &metrics::REPLICATED),
    (
        &["asserts"],
        "type",
        &[("regular", "regular"), ("warning", "warning"), ("msg", "msg"), ("user", "user")],
        &metrics::ASSERTS,
    ),
    (
        &["metrics", "document"],
        "state",
        &[("returned", "returned"), ("inserted", "inserted"), ("updated", "updated"), ("deleted", "deleted")],
        &metrics::DOCUMENTS,
    ),
    (
        &["metrics", "queryExecutor"],
        "type",
        &[("scanned", "keys"), ("scannedObjects", "documents")],
        &metrics::SCANNED,
    ),
    (&["globalLock", "currentQueue"], "type", KINDS, &metrics::QUEUE),
    (&["globalLock", "activeClients"], "type", KINDS, &metrics::CLIENTS),
];

/// Sections of `serverStatus` that are not looked at here.
const UNUSED: [&str; 7] = [
    "repl",
    "electionMetrics",
    "tcmalloc",
    "sharding",
    "shardingStatistics",
    "logicalSessionRecordCache",
    "oplogTruncation",
];

#[async_trait]
impl Step<Watched> for Activity {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let Some(session) = run.watched.server.kept(COMMAND_LIMIT, &mut run.stages).await? else {
            return arbiter(&[&metrics::CONNECTIONS_USED], run);
        };
        run.report.local = session.is_local;
        run.stages.begin("activity");
        let mut command = doc! {"serverStatus": 1};
        for section in UNUSED {
            command.insert(section, 0);
        }
        let status = session.command("admin", command).await?;
        let report = &mut run.report;
        self.connections(&status, report);
        for (path, metric) in PLAIN {
            report.push_some(metric, number(&status, path));
        }
        for (path, label, names, metric) in GROUPS {
            for (name, shown) in names {
                let value = part(&status, path).and_then(|group| number(group, &[name]));
                report.push_labelled_some(metric, &Labels::one(label, *shown), value);
            }
        }
        self.latencies(&status, report);
        tickets(&status, report);
        self.cache(&status, report);
        self.locks(&status, report);
        let megabytes = number(&status, &["mem", "resident"]).filter(|_| is(&status, &["mem", "supported"]));
        report.push_some(&metrics::MEMORY, megabytes.map(|megabytes| megabytes * 1024.0 * 1024.0));
        if is(&status, &["flowControl", "enabled"]) {
            let is_lagged = is(&status, &["flowControl", "isLagged"]);
            report.push(&metrics::FLOW_CONTROL, f64::from(u8::from(is_lagged)));
        }
        operations::read(&session, run).await?;
        run.stages.end();
        session.keep().await;
        Ok(())
    }
}

impl Activity {
    fn connections(&mut self, status: &Document, report: &mut Report) {
        let used = number(status, &["connections", "current"]);
        let available = number(status, &["connections", "available"]);
        report.push_some(&metrics::CONNECTIONS_USED, used);
        // Some servers always say 0. That is no full server: a real one has said otherwise before, or also tells how many
        // are active.
        self.tells_available |= available.is_some_and(|available| available > 0.0)
            || number(status, &["connections", "active"]).is_some();
        match used.zip(available.filter(|_| self.tells_available)) {
            Some((used, available)) if used + available > 0.0 => {
                report.push(&metrics::CONNECTIONS_USABLE, used + available);
                report.push(&metrics::CONNECTIONS_RATIO, used / (used + available));
            }
            _ => {
                for metric in [&metrics::CONNECTIONS_USABLE, &metrics::CONNECTIONS_RATIO] {
                    report.push_absent(metric, &Labels::default(), Absent::NotKnown);
                }
            }
        }
    }

    fn latencies(&mut self, status: &Document, report: &mut Report) {
        let Some(latencies) = part(status, &["opLatencies"]) else {
            report.push_absent(&metrics::LATENCY, &Labels::default(), Absent::Unsupported);
            return;
        };
        for kind in ["reads", "writes", "commands"] {
            let mut added =
                |name, is_time| self.latencies.add((kind, is_time), number(latencies, &[kind, name])?);
            let (micros, operations) = (added("latency", true), added("ops", false));
            let mean = micros.zip(operations).filter(|(_, operations)| *operations > 0.0);
            let mean = mean.map(|(micros, operations)| micros / operations / 1e6);
            report.push_labelled_some(&metrics::LATENCY, &Labels::one("type", kind), mean);
        }
    }

    fn cache(&mut self, status: &Document, report: &mut Report) {
        let Some(cache) = part(status, &["wiredTiger", "cache"]) else {
            for metric in [&metrics::CACHE_USED, &metrics::CACHE_DIRTY] {
                report.push_absent(metric, &Labels::default(), Absent::Unsupported);
            }
            return;
        };
        let most = number(cache, &["maximum bytes configured"]).filter(|most| *most > 0.0);
        for (name, metric) in [
            ("bytes currently in the cache", &metrics::CACHE_USED),
            ("tracked dirty bytes in the cache", &metrics::CACHE_DIRTY),
        ] {
            report.push_some(metric, number(cache, &[name]).zip(most).map(|(bytes, most)| bytes / most));
        }
        let mut added = |name, is_read| self.pages.add(is_read, number(cache, &[name])?);
        let read = added("pages read into cache", true);
        let requested = added("pages requested from the cache", false);
        if let Some((read, requested)) =
            read.zip(requested).filter(|(_, requested)| *requested >= LEAST_PAGES)
        {
            // Reading ahead may read more pages than were asked for.
            report.push(&metrics::CACHE_HITS, 1.0 - (read / requested).min(1.0));
        }
    }

    fn locks(&mut self, status: &Document, report: &mut Report) {
        let Some(locks) = part(status, &["locks"]) else { return };
        let counts = locks.values().filter_map(|lock| lock.as_document()?.get_document("deadlockCount").ok());
        let deadlocks: f64 = counts.flat_map(Document::values).filter_map(as_number).sum();
        report.push(&metrics::DEADLOCKS, deadlocks);
        report.push_some(&metrics::DEADLOCKS_RECENT, self.recent.add("deadlocks", deadlocks));
    }
}

/// From 8.0 on tickets are elsewhere, and have the same names.
fn tickets(status: &Document, report: &mut Report) {
    let found = part(status, &["queues", "execution"])
        .or_else(|| part(status, &["wiredTiger", "concurrentTransactions"]));
    let Some(tickets) = found else {
        for metric in [&metrics::TICKETS_OUT, &metrics::TICKETS_AVAILABLE] {
            report.push_absent(metric, &Labels::default(), Absent::Unsupported);
        }
        return;
    };
    for (name, kind) in [("read", "reads"), ("write", "writes")] {
        for (field, metric) in [("out", &metrics::TICKETS_OUT), ("available", &metrics::TICKETS_AVAILABLE)] {
            report.push_labelled_some(metric, &Labels::one("type", kind), number(tickets, &[name, field]));
        }
    }
}

/// What probes that have to log in can say about an arbiter.
pub(crate) fn arbiter(metrics: &[&'static MetricSpec], run: &mut Run<'_>) -> Result<(), Failure> {
    for metric in metrics {
        run.report.push_absent(metric, &Labels::default(), Absent::Unsupported);
    }
    run.note("arbiter", "arbiters have no users and no data: the other members tell how it is");
    Ok(())
}
