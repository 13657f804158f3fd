//! Activity: sessions, transactions, locks, and what the statistics say since the last check.

use std::time::Duration;

use wise_core::{Absent, Failure, Labels, MetricSpec, async_trait};
use wise_database::{Delta, Ratio};

use crate::blockers;
use crate::config::Watched;
use crate::metrics::activity as metrics;
use crate::rows::{Row, Rows};
use crate::session::{APPLICATION, Session};
use crate::{Run, Step};

/// Databases and states listed at most.
const MOST_GROUPS: usize = 50;
/// Fewer blocks in an interval make a hit ratio of noise.
const LEAST_BLOCKS: f64 = 1000.0;
const LEAST_TRANSACTIONS: f64 = 100.0;
const LEAST_CHECKPOINTS: f64 = 5.0;
const CHECKPOINT_WINDOW: Duration = Duration::from_secs(3600);
pub(crate) const GRANT: &str = "GRANT pg_monitor TO the monitor's role";

#[derive(Debug, Default)]
pub(crate) struct Activity {
    hits: Ratio,
    rollbacks: Ratio,
    recent: Delta<&'static str>,
    checkpoints: Ratio,
    /// That of the last full hour.
    checkpoint_ratio: Option<f64>,
    checkpoints_since: Option<tokio::time::Instant>,
    /// What other roles' sessions do is hidden from ours.
    is_hidden: bool,
}

/// Sessions that are not ours. A role without pg_monitor sees NULL in most columns of other roles' sessions.
const OTHERS: &str = "coalesce(backend_type, 'client backend') = 'client backend' AND NOT (usename = current_user AND application_name = '@app')";

/// Dumps take hours by design; what they hold back shows in the age of xmin.
const NOT_DUMP: &str = "coalesce(application_name, '') NOT IN ('pg_dump', 'pg_dumpall')";

fn statements(version: u32) -> String {
    let checksums = if version >= 120_000 { "checksum_failures" } else { "NULL" };
    let waited = if version >= 140_000 {
        "(SELECT extract(epoch FROM clock_timestamp() - min(waitstart)) FROM pg_locks WHERE NOT granted AND locktype NOT IN ('advisory', 'virtualxid'))"
    } else {
        "(SELECT extract(epoch FROM clock_timestamp() - min(query_start)) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND wait_event NOT IN ('advisory', 'virtualxid'))"
    };
    let checkpoints = if version >= 170_000 {
        "SELECT num_timed AS timed, num_requested AS requested, write_time, sync_time FROM pg_stat_checkpointer"
    } else {
        "SELECT checkpoints_timed AS timed, checkpoints_req AS requested, checkpoint_write_time AS write_time, \
         checkpoint_sync_time AS sync_time FROM pg_stat_bgwriter"
    };
    format!(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used, \
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type IS NULL) AS hidden, \
         (SELECT sum(numbackends) FROM pg_stat_database) AS backends, \
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable, \
         (SELECT count(*) FROM pg_locks) AS locks, \
         current_setting('max_locks_per_transaction')::bigint * (current_setting('max_connections')::int \
         + current_setting('max_prepared_transactions')::int) AS most_locks, {waited} AS waited, \
         (SELECT extract(epoch FROM clock_timestamp() - min(prepared)) FROM pg_prepared_xacts) AS prepared;\
         SELECT coalesce(state, 'unknown') AS state, coalesce(wait_event_type, '') AS wait, datname, count(*) AS count, \
         count(*) FILTER (WHERE wait_event = 'SyncRep') AS sync_rep, \
         count(*) FILTER (WHERE backend_type IS NULL) AS hidden, \
         extract(epoch FROM max(clock_timestamp() - xact_start) FILTER (WHERE {not_dump})) AS tx, \
         extract(epoch FROM max(clock_timestamp() - query_start) FILTER (WHERE state = 'active' AND {not_dump})) AS query, \
         extract(epoch FROM max(clock_timestamp() - state_change) FILTER (WHERE state LIKE 'idle in transaction%' AND {not_dump})) AS idle \
         FROM pg_stat_activity WHERE {others} GROUP BY 1, 2, 3;\
         SELECT coalesce(datname, '') AS datname, xact_commit, xact_rollback, blks_hit, blks_read, tup_returned, \
         tup_fetched, tup_inserted, tup_updated, tup_deleted, temp_bytes, temp_files, deadlocks, conflicts, \
         {checksums} AS checksum_failures FROM pg_stat_database ORDER BY xact_commit DESC;\
         SELECT 'session' AS holder, max(age(backend_xmin)) AS age FROM pg_stat_activity WHERE {others} \
         UNION ALL SELECT 'slot', greatest(max(age(xmin)), max(age(catalog_xmin))) FROM pg_replication_slots \
         UNION ALL SELECT 'prepared', max(age(transaction)) FROM pg_prepared_xacts \
         UNION ALL SELECT 'standby', max(age(backend_xmin)) FROM pg_stat_replication;\
         {checkpoints}",
        others = OTHERS.replace("@app", APPLICATION),
        not_dump = NOT_DUMP,
    )
}

#[async_trait]
impl Step<Watched> for Activity {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let session = run.watched.server.kept(&mut run.stages).await?;
        run.report.local = session.is_local;
        run.stages.begin("activity");
        let sets = session.run(&statements(session.version)).await?;
        let [totals, sessions, databases, xmin, checkpoints] = <[Rows; 5]>::try_from(sets)
            .map_err(|_| Failure::new(&wise_core::common::PROTOCOL, "answers are missing").code("no_rows"))?;
        let has_waiting = self.totals(totals.first(), run);
        sessions_of(&sessions, run);
        self.databases(&databases, run);
        for row in &xmin {
            if let (Some(holder), Some(age)) = (row.text("holder"), row.number("age")) {
                run.report.push_labelled(&metrics::XMIN_AGE, &Labels::one("holder", holder), age);
            }
        }
        self.checkpoints(checkpoints.first(), run);
        let is_waiting = sessions.iter().any(|row| row.text("wait") == Some("Lock"));
        self.locks(&session, has_waiting || is_waiting, run).await?;
        run.stages.end();
        session.keep().await;
        Ok(())
    }
}

impl Activity {
    /// Answers whether anybody waits for a lock.
    fn totals(&mut self, row: Option<&Row>, run: &mut Run<'_>) -> bool {
        let Some(row) = row else { return false };
        let report = &mut run.report;
        // Without pg_monitor only the statistics of the databases tell how many there are.
        let is_hidden = row.number("hidden").is_some_and(|hidden| hidden > 0.0);
        let used = row.number(if is_hidden { "backends" } else { "used" });
        let usable = row.number("usable").filter(|usable| *usable > 0.0);
        match used {
            Some(used) if is_hidden => {
                report.push_estimate(&metrics::CONNECTIONS_USED, &Labels::default(), used);
            }
            other => report.push_some(&metrics::CONNECTIONS_USED, other),
        }
        report.push_some(&metrics::CONNECTIONS_USABLE, usable);
        report.push_some(&metrics::CONNECTIONS_RATIO, used.zip(usable).map(|(used, usable)| used / usable));
        let locks = row.number("locks");
        report.push_some(&metrics::LOCKS, locks);
        let most = row.number("most_locks").filter(|most| *most > 0.0);
        report.push_some(&metrics::LOCKS_RATIO, locks.zip(most).map(|(locks, most)| locks / most));
        report.push(&metrics::PREPARED, row.number("prepared").unwrap_or(0.0).max(0.0));
        let waited = row.number("waited");
        if is_hidden {
            report.push_absent(
                &metrics::LONGEST_WAIT,
                &Labels::default(),
                Absent::NoPermission(GRANT.to_owned()),
            );
            report.push_absent(&metrics::BLOCKED, &Labels::default(), Absent::NoPermission(GRANT.to_owned()));
        } else {
            report.push(&metrics::LONGEST_WAIT, waited.unwrap_or(0.0).max(0.0));
        }
        self.is_hidden = is_hidden;
        waited.is_some()
    }

    fn databases(&mut self, rows: &Rows, run: &mut Run<'_>) {
        let counters: [(&str, &'static MetricSpec); 14] = [
            ("xact_commit", &metrics::COMMITS),
            ("xact_rollback", &metrics::ROLLBACKS),
            ("blks_hit", &metrics::BLOCKS_HIT),
            ("blks_read", &metrics::BLOCKS_READ),
            ("tup_returned", &metrics::ROWS_RETURNED),
            ("tup_fetched", &metrics::ROWS_FETCHED),
            ("tup_inserted", &metrics::ROWS_INSERTED),
            ("tup_updated", &metrics::ROWS_UPDATED),
            ("tup_deleted", &metrics::ROWS_DELETED),
            ("temp_bytes", &metrics::TEMP_BYTES),
            ("temp_files", &metrics::TEMP_FILES),
            ("deadlocks", &metrics::DEADLOCKS),
            ("conflicts", &metrics::CONFLICTS),
            ("checksum_failures", &metrics::CHECKSUM_FAILURES),
        ];
        // The row without a name has the shared objects.
        for row in rows.iter().filter(|row| !row.string("datname").is_empty()).take(MOST_GROUPS) {
            let labels = Labels::one("database", row.string("datname"));
            for (column, metric) in counters {
                if let Some(number) = row.number(column) {
                    run.report.push_labelled(metric, &labels, number);
                }
            }
        }
        let sum = |column: &str| rows.iter().filter_map(|row| row.number(column)).sum::<f64>();
        let hits = self.hits.of(sum("blks_hit"), sum("blks_read"), LEAST_BLOCKS);
        run.report.push_some(&metrics::HIT_RATIO, hits);
        let rollbacks = self.rollbacks.of(sum("xact_rollback"), sum("xact_commit"), LEAST_TRANSACTIONS);
        run.report.push_some(&metrics::ROLLBACK_RATIO, rollbacks);
        let deadlocks = self.recent.add("deadlocks", sum("deadlocks"));
        run.report.push_some(&metrics::DEADLOCKS_RECENT, deadlocks);
        if rows.iter().any(|row| row.number("checksum_failures").is_some()) {
            let failures = self.recent.add("checksums", sum("checksum_failures"));
            run.report.push_some(&metrics::CHECKSUM_FAILED, failures);
        }
    }

    fn checkpoints(&mut self, row: Option<&Row>, run: &mut Run<'_>) {
        let Some(row) = row else { return };
        let (timed, requested) = (row.number("timed"), row.number("requested"));
        run.report.push_some(&metrics::CHECKPOINTS_TIMED, timed);
        run.report.push_some(&metrics::CHECKPOINTS_REQUESTED, requested);
        run.report.push_some(&metrics::CHECKPOINT_WRITE, row.number("write_time").map(|ms| ms / 1e3));
        run.report.push_some(&metrics::CHECKPOINT_SYNC, row.number("sync_time").map(|ms| ms / 1e3));
        // There are a few an hour: a share over a shorter time means nothing.
        let is_due = self.checkpoints_since.is_none_or(|since| since.elapsed() >= CHECKPOINT_WINDOW);
        if let (true, Some(timed), Some(requested)) = (is_due, timed, requested) {
            self.checkpoints_since = Some(tokio::time::Instant::now());
            self.checkpoint_ratio = self.checkpoints.of(requested, timed, LEAST_CHECKPOINTS);
        }
        run.report.push_some(&metrics::CHECKPOINTS_RATIO, self.checkpoint_ratio);
    }

    async fn locks(&self, session: &Session, is_waiting: bool, run: &mut Run<'_>) -> Result<(), Failure> {
        let is_waiting = is_waiting && !self.is_hidden;
        if !is_waiting && !self.is_hidden {
            run.report.push(&metrics::BLOCKED, 0.0);
        }
        // Asking who blocks whom takes the lock manager's locks: only when someone waits.
        let found = if is_waiting { blockers::waiting(session).await? } else { Vec::new() };
        if is_waiting {
            run.report.push(&metrics::BLOCKED, found.len() as f64);
        }
        if !found.is_empty() {
            run.is_notable = true;
            run.evidence.insert("blocked_sessions".to_owned(), found.into());
        }
        let is_long = run.report.readings.iter().any(|reading| {
            let limit = match reading.metric.name() {
                name if name == metrics::LONGEST_QUERY.name => &metrics::LONGEST_QUERY,
                name if name == metrics::OLDEST_TX.name => &metrics::OLDEST_TX,
                name if name == metrics::IDLE_IN_TX.name => &metrics::IDLE_IN_TX,
                _ => return false,
            };
            let warning = limit.threshold.and_then(|threshold| threshold.warning);
            warning.zip(reading.value.number()).is_some_and(|(warning, value)| value >= warning)
        });
        if is_long || run.cx.detailed {
            let longest = blockers::longest(session).await?;
            run.is_notable |= is_long;
            run.evidence.insert("longest_sessions".to_owned(), longest.into());
        }
        Ok(())
    }
}

fn sessions_of(rows: &Rows, run: &mut Run<'_>) {
    let report = &mut run.report;
    let hidden: f64 = rows.iter().filter_map(|row| row.number("hidden")).sum();
    let grouped = |column: &str| {
        let mut groups: Vec<(String, f64)> = Vec::new();
        for row in rows {
            let (name, count) = (row.string(column), row.number("count").unwrap_or(0.0));
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => groups.push((name, count)),
            }
        }
        groups.sort_by(|a, b| b.1.total_cmp(&a.1));
        groups.truncate(MOST_GROUPS);
        groups
    };
    let most = |column: &str| {
        let values = rows.iter().filter_map(|row| row.number(column));
        values.fold(0.0, f64::max)
    };
    for (name, count) in grouped("datname") {
        report.push_labelled(&metrics::CONNECTIONS_DATABASE, &Labels::one("database", name), count);
    }
    let lasting =
        [(&metrics::OLDEST_TX, "tx"), (&metrics::LONGEST_QUERY, "query"), (&metrics::IDLE_IN_TX, "idle")];
    if hidden > 0.0 {
        // What is hidden may be the longest: a part would look like the whole.
        let why = || Absent::NoPermission(GRANT.to_owned());
        for metric in [&metrics::CONNECTIONS_STATE, &metrics::WAITING, &metrics::SYNC_REP] {
            report.push_absent(metric, &Labels::default(), why());
        }
        for (metric, _) in lasting {
            report.push_absent(metric, &Labels::default(), why());
        }
        return;
    }
    for (name, count) in grouped("state") {
        report.push_labelled(&metrics::CONNECTIONS_STATE, &Labels::one("state", name), count);
    }
    for (name, count) in grouped("wait").into_iter().filter(|(name, _)| !name.is_empty()) {
        report.push_labelled(&metrics::WAITING, &Labels::one("event", name), count);
    }
    report.push(&metrics::SYNC_REP, rows.iter().filter_map(|row| row.number("sync_rep")).sum());
    for (metric, column) in lasting {
        report.push(metric, most(column));
    }
}
