//! Activity: what the status variables say, and who waits for whom.

use std::collections::HashMap;

use wise_core::{Absent, Failure, Labels, MetricSpec, Report, async_trait, common};
use wise_database::{Delta, Ratio};

use crate::blockers;
use crate::config::Watched;
use crate::metrics::activity as metrics;
use crate::session::Session;
use crate::table::Table;
use crate::{Run, Step};

const LEAST_READS: f64 = 1000.0;
const LEAST_LOCKS: f64 = 100.0;
const GRANT: &str = "GRANT PROCESS ON *.* TO the monitor's user";
/// Kinds of statements that are counted one by one.
const COMMANDS: [&str; 8] =
    ["select", "insert", "update", "delete", "replace", "commit", "rollback", "call_procedure"];

#[derive(Debug, Default)]
pub(crate) struct Activity {
    hits: Ratio,
    table_locks: Ratio,
    recent: Delta<&'static str>,
}

#[async_trait]
impl Step<Watched> for Activity {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let mut session = run.watched.server.kept(&mut run.stages).await?;
        run.report.local = session.is_local;
        run.stages.begin("activity");
        let status = Status::new(&session.query("SHOW GLOBAL STATUS").await?);
        let limits = session
            .query("SELECT @@max_connections AS connections, @@open_files_limit AS files, @@long_query_time AS slow")
            .await?;
        let limit =
            |name: &str| limits.first().and_then(|row| row.number(&[name])).filter(|limit| *limit > 0.0);
        self.read(&status, limit("connections"), limit("files"), &mut run.report);
        if let Some(slow) = limit("slow") {
            run.note("long_query_time_seconds", slow);
        }
        transactions(&mut session, run).await?;
        self.innodb(&mut session, &status, run).await?;
        let is_blocked = status.number("Innodb_row_lock_current_waits").is_some_and(|waits| waits > 0.0);
        if is_blocked {
            let found = blockers::waiting(&mut session).await;
            run.is_notable = true;
            run.note("blocked_sessions", found);
        }
        let longest = session_times(&mut session, run).await?;
        let warning = metrics::LONGEST_QUERY.threshold.and_then(|threshold| threshold.warning);
        let is_long = longest.zip(warning).is_some_and(|(seconds, warning)| seconds >= warning);
        if is_long || is_blocked || run.cx.detailed {
            let found = blockers::longest(&mut session).await;
            run.is_notable |= is_long;
            run.note("longest_sessions", found);
        }
        run.stages.end();
        session.keep().await;
        Ok(())
    }
}

/// The status variables.
#[derive(Debug)]
pub(crate) struct Status(HashMap<String, String>);

impl Status {
    pub(crate) fn new(table: &Table) -> Self {
        let pair = |cells: &[Option<String>]| Some((cells.first()?.clone()?, cells.get(1)?.clone()?));
        Self(table.rows().filter_map(|row| pair(row.cells())).collect())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl Activity {
    /// Everything that stands in the status variables. Pure, so that recorded answers of other versions can be tried.
    pub(crate) fn read(
        &mut self,
        status: &Status,
        most_connections: Option<f64>,
        most_files: Option<f64>,
        report: &mut Report,
    ) {
        let plain: [(&'static MetricSpec, &str); 18] = [
            (&metrics::CONNECTIONS_USED, "Threads_connected"),
            (&metrics::CONNECTIONS_REFUSED, "Connection_errors_max_connections"),
            (&metrics::CONNECTIONS_MADE, "Connections"),
            (&metrics::ABORTED_CONNECTS, "Aborted_connects"),
            (&metrics::ABORTED_CLIENTS, "Aborted_clients"),
            (&metrics::ACCESS_DENIED, "Access_denied_errors"),
            (&metrics::QUESTIONS, "Questions"),
            (&metrics::SLOW, "Slow_queries"),
            (&metrics::BYTES_RECEIVED, "Bytes_received"),
            (&metrics::BYTES_SENT, "Bytes_sent"),
            (&metrics::ROW_WAITS, "Innodb_row_lock_waits"),
            (&metrics::BLOCKED, "Innodb_row_lock_current_waits"),
            (&metrics::LOG_WAITS, "Innodb_log_waits"),
            (&metrics::DATA_READ, "Innodb_data_read"),
            (&metrics::DATA_WRITTEN, "Innodb_data_written"),
            (&metrics::OPEN_FILES, "Open_files"),
            (&metrics::OPENED_TABLES, "Opened_tables"),
            (&metrics::FULL_JOINS, "Select_full_join"),
        ];
        for (metric, name) in plain {
            report.push_some(metric, status.number(name));
        }
        report.push_some(&metrics::TMP_TABLES, status.number("Created_tmp_tables"));
        report.push_some(&metrics::TMP_DISK_TABLES, status.number("Created_tmp_disk_tables"));
        let of_most = |name: &str| status.number(name).zip(most_connections).map(|(used, most)| used / most);
        report.push_some(&metrics::CONNECTIONS_RATIO, of_most("Threads_connected"));
        report.push_some(&metrics::CONNECTIONS_MOST, of_most("Max_used_connections"));
        let files = status.number("Open_files").zip(most_files).map(|(used, most)| used / most);
        report.push_some(&metrics::OPEN_FILES_RATIO, files);
        // Our own statement runs while it is counted.
        let running = status.number("Threads_running").map(|running| (running - 1.0).max(0.0));
        report.push_some(&metrics::RUNNING, running);
        report.push_some(
            &metrics::RUNNING_RATIO,
            running.zip(most_connections).map(|(some, most)| some / most),
        );
        for name in COMMANDS {
            if let Some(number) = status.number(&format!("Com_{name}")) {
                report.push_labelled(&metrics::COMMANDS, &Labels::one("command", name), number);
            }
        }
        report.push_some(&metrics::ROW_WAIT_TIME, status.number("Innodb_row_lock_time").map(|ms| ms / 1e3));
        // MariaDB has dropped InnoDB's own counters: those of the handlers count every engine's rows.
        let sum = |names: [&str; 3]| {
            names.into_iter().map(|name| status.number(name)).try_fold(0.0, |sum, number| Some(sum + number?))
        };
        let changed = sum(["Innodb_rows_inserted", "Innodb_rows_updated", "Innodb_rows_deleted"])
            .or_else(|| sum(["Handler_write", "Handler_update", "Handler_delete"]));
        report.push_some(
            &metrics::ROWS_READ,
            status.number("Innodb_rows_read").or_else(|| status.number("Rows_read")),
        );
        report.push_some(&metrics::ROWS_CHANGED, changed);
        let (asked, read) =
            (status.number("Innodb_buffer_pool_read_requests"), status.number("Innodb_buffer_pool_reads"));
        if let Some((asked, read)) = asked.zip(read) {
            report.push_some(&metrics::HIT_RATIO, self.hits.of((asked - read).max(0.0), read, LEAST_READS));
        }
        let pages = status.number("Innodb_buffer_pool_pages_total").filter(|pages| *pages > 0.0);
        for (metric, name) in [
            (&metrics::BUFFER_POOL_USED, "Innodb_buffer_pool_pages_data"),
            (&metrics::BUFFER_POOL_DIRTY, "Innodb_buffer_pool_pages_dirty"),
        ] {
            report.push_some(metric, status.number(name).zip(pages).map(|(some, all)| some / all));
        }
        let (waited, at_once) = (status.number("Table_locks_waited"), status.number("Table_locks_immediate"));
        if let Some((waited, at_once)) = waited.zip(at_once) {
            report.push_some(&metrics::TABLE_WAIT_RATIO, self.table_locks.of(waited, at_once, LEAST_LOCKS));
        }
        galera(status, report);
    }

    async fn innodb(
        &mut self,
        session: &mut Session,
        status: &Status,
        run: &mut Run<'_>,
    ) -> Result<(), Failure> {
        let wanted = "SELECT name, count FROM information_schema.innodb_metrics \
                      WHERE name IN ('trx_rseg_history_len', 'lock_deadlocks')";
        let found = if status.number("Innodb_history_list_length").is_some()
            && status.number("Innodb_deadlocks").is_some()
        {
            Ok(Table::default())
        } else {
            session.query(wanted).await
        };
        let (history, deadlocks) = match found {
            Ok(table) => {
                let count = |name: &str| {
                    let row = table.rows().find(|row| row.text(&["name"]) == Some(name));
                    row.and_then(|row| row.number(&["count"]))
                };
                (
                    status.number("Innodb_history_list_length").or_else(|| count("trx_rseg_history_len")),
                    status.number("Innodb_deadlocks").or_else(|| count("lock_deadlocks")),
                )
            }
            Err(failure) => {
                let why = missing(failure, GRANT)?;
                run.report.push_absent(&metrics::HISTORY, &Labels::default(), why);
                (None, status.number("Innodb_deadlocks"))
            }
        };
        run.report.push_some(&metrics::HISTORY, history);
        run.report.push_some(&metrics::DEADLOCKS, deadlocks);
        let recent = deadlocks.and_then(|total| self.recent.add("deadlocks", total));
        run.report.push_some(&metrics::DEADLOCKS_RECENT, recent);
        Ok(())
    }
}

fn galera(status: &Status, report: &mut Report) {
    let is_member = status.number("wsrep_cluster_size").is_some_and(|size| size > 0.0);
    // A node without a provider has the variables too, with OFF and Disconnected.
    let has_provider = status.text("wsrep_provider_name").is_some_and(|name| !name.is_empty());
    if !is_member && !has_provider && status.text("wsrep_connected") != Some("ON") {
        return;
    }
    let is = |name: &str, wanted: &str| {
        status.text(name).map(|text| f64::from(u8::from(text.eq_ignore_ascii_case(wanted))))
    };
    report.push_some(&metrics::GALERA_READY, is("wsrep_ready", "ON"));
    report.push_some(&metrics::GALERA_PRIMARY, is("wsrep_cluster_status", "Primary"));
    report.push_some(&metrics::GALERA_SYNCED, status.number("wsrep_local_state"));
    report.push_some(&metrics::GALERA_SIZE, status.number("wsrep_cluster_size"));
    report.push_some(&metrics::GALERA_QUEUE, status.number("wsrep_local_recv_queue"));
    report.push_some(&metrics::GALERA_PAUSED, status.number("wsrep_flow_control_paused"));
}

/// Why a reading is missing; other failures stay failures.
pub(crate) fn missing(failure: Failure, grant: &str) -> Result<Absent, Failure> {
    match failure.code.as_deref() {
        _ if failure.class.name == common::PERMISSION.name => Ok(Absent::NoPermission(grant.to_owned())),
        // Access to a database of the server's own denied; unknown table, column or variable; not supported.
        Some("1044") => Ok(Absent::NoPermission(grant.to_owned())),
        Some("1109" | "1146" | "1054" | "1193" | "1064" | "1235") => Ok(Absent::Unsupported),
        _ => Err(failure),
    }
}

async fn transactions(session: &mut Session, run: &mut Run<'_>) -> Result<(), Failure> {
    let oldest = "SELECT TIMESTAMPDIFF(SECOND, MIN(trx_started), NOW()) AS seconds FROM information_schema.innodb_trx \
                  WHERE trx_mysql_thread_id <> CONNECTION_ID() \
                  AND COALESCE(trx_query, '') NOT LIKE 'SELECT /*!40001 SQL_NO_CACHE */%'";
    match session.query(oldest).await {
        Ok(table) => {
            let seconds = table.first().and_then(|row| row.number(&["seconds"])).unwrap_or(0.0);
            run.report.push(&metrics::LONGEST_TX, seconds.max(0.0));
        }
        Err(failure) => {
            let why = missing(failure, GRANT)?;
            run.report.push_absent(&metrics::LONGEST_TX, &Labels::default(), why);
        }
    }
    Ok(())
}

/// The list of sessions: from MySQL 8.0.22 in a form that takes no global lock.
pub(crate) fn sessions(session: &Session) -> &'static str {
    if session.flavour.is_mysql_from((8, 0, 22)) && session.flavour.has_performance_schema {
        "performance_schema.processlist"
    } else {
        "information_schema.processlist"
    }
}

/// What is a client's statement, and neither replication, a background thread nor a dump, which takes hours by design.
pub(crate) const CLIENTS: &str = "COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID', 'Slave_IO', \
     'Slave_SQL', 'Slave_worker', 'Connect') AND USER NOT IN ('system user', 'event_scheduler') AND ID <> CONNECTION_ID() \
     AND COALESCE(INFO, '') NOT LIKE 'SELECT /*!40001 SQL_NO_CACHE */%'";

async fn session_times(session: &mut Session, run: &mut Run<'_>) -> Result<Option<f64>, Failure> {
    // Without PROCESS only our own sessions are listed: the longest of these would look like the longest of all.
    let rights = session.query("SHOW GRANTS").await?;
    let may_see = rights.rows().any(|row| {
        let text = row.cells().first().and_then(|cell| cell.as_deref()).unwrap_or("");
        let is_global = text.contains(" ON *.* ");
        is_global && (text.contains("PROCESS") || text.contains("ALL PRIVILEGES"))
    });
    if !may_see {
        let why = Absent::NoPermission(GRANT.to_owned());
        run.report.push_absent(&metrics::LONGEST_QUERY, &Labels::default(), why);
        return Ok(None);
    }
    let time = if session.flavour.is_mariadb { "TIME_MS / 1000" } else { "TIME" };
    let table = session
        .query(&format!("SELECT MAX({time}) AS seconds FROM {} WHERE {CLIENTS}", sessions(session)))
        .await?;
    let seconds = table.first().and_then(|row| row.number(&["seconds"])).unwrap_or(0.0).max(0.0);
    run.report.push(&metrics::LONGEST_QUERY, seconds);
    Ok(Some(seconds))
}

#[cfg(test)]
mod tests {
    use wise_core::Report;

    use super::*;
    use crate::table::table;

    fn status(pairs: &[(&str, &str)]) -> Status {
        let rows: Vec<[Option<&str>; 2]> =
            pairs.iter().map(|(name, value)| [Some(*name), Some(*value)]).collect();
        let rows: Vec<&[Option<&str>]> = rows.iter().map(|row| &row[..]).collect();
        Status::new(&table(&["Variable_name", "Value"], &rows))
    }

    fn number(report: &Report, metric: &MetricSpec) -> Option<f64> {
        report.readings.iter().find(|r| r.metric.name() == metric.name).and_then(|r| r.value.number())
    }

    #[test]
    fn a_galera_node_is_read_and_a_plain_server_has_none_of_it() {
        let mut report = Report::default();
        let plain =
            status(&[("wsrep_ready", "OFF"), ("wsrep_connected", "OFF"), ("wsrep_cluster_size", "0")]);
        Activity::default().read(&plain, None, None, &mut report);
        assert_eq!(report.readings, []);
        let node = status(&[
            ("wsrep_ready", "OFF"),
            ("wsrep_connected", "ON"),
            ("wsrep_cluster_status", "non-Primary"),
            ("wsrep_local_state", "0"),
            ("wsrep_cluster_size", "1"),
            ("wsrep_flow_control_paused", "0.25"),
        ]);
        Activity::default().read(&node, None, None, &mut report);
        assert_eq!(number(&report, &metrics::GALERA_READY), Some(0.0));
        assert_eq!(number(&report, &metrics::GALERA_PRIMARY), Some(0.0));
        assert_eq!(number(&report, &metrics::GALERA_PAUSED), Some(0.25));
    }

    #[test]
    fn what_a_server_does_not_tell_is_no_reading() {
        let mut report = Report::default();
        let odd = status(&[("Threads_connected", "NULL"), ("Slow_queries", ""), ("Questions", "12")]);
        Activity::default().read(&odd, Some(100.0), None, &mut report);
        assert_eq!(number(&report, &metrics::QUESTIONS), Some(12.0));
        assert_eq!(report.readings.len(), 1, "{:?}", report.readings);
    }

    #[test]
    fn ratios_are_of_the_interval() {
        let mut activity = Activity::default();
        let at = |asked: &str, read: &str| {
            status(&[("Innodb_buffer_pool_read_requests", asked), ("Innodb_buffer_pool_reads", read)])
        };
        let mut report = Report::default();
        activity.read(&at("1000000", "1000"), None, None, &mut report);
        assert_eq!(number(&report, &metrics::HIT_RATIO), None);
        activity.read(&at("1002000", "2000"), None, None, &mut report);
        assert_eq!(number(&report, &metrics::HIT_RATIO), Some(0.5));
    }
}
