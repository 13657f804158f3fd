//! The largest tables of a database.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use wise_core::{Absent, Failure, GrowthTracker, Labels, Past, Reading};
use wise_database::{Reusable, Stages, classes};

use crate::Run;
use crate::metrics::storage as metrics;
use crate::rows::{Row, Rows};
use crate::session::Session;

/// How often free space is measured: it reads pages.
const BLOAT_EVERY: Duration = Duration::from_secs(7200);
/// Tables outside of these sizes are not looked at for free space: small ones do not matter, huge ones cost too much.
const BLOAT_SIZES: (u64, u64) = (1_000_000, 50_000_000_000);
/// A share of free space is told from this size on.
const BLOAT_RATIO_FROM: f64 = 1e8;
/// Fewer dead rows are normal.
const LEAST_DEAD: f64 = 10_000.0;

#[derive(Debug)]
pub(crate) struct Tables {
    growth: GrowthTracker,
    /// The tables of this round.
    seen: HashSet<Labels>,
    last_bloat: Option<Instant>,
    is_bloat_due: bool,
    /// What the last round found: it stands until the next, so that an alarm does not end for want of asking.
    bloat: Vec<Reading>,
}

/// Estimates need no lock: the largest tables are found by them. Only those are measured, and of those only the ones
/// that no one has locked exclusively, because measuring would wait for the lock.
fn largest(limit: u32) -> String {
    format!(
        "WITH t AS (SELECT c.oid, n.nspname, c.relname, c.reltuples, c.reltoastrelid, s.n_live_tup, s.n_dead_tup, \
         extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum)) AS vacuumed, \
         extract(epoch FROM clock_timestamp() - greatest(s.last_analyze, s.last_autoanalyze)) AS analysed, \
         (c.relpages + coalesce((SELECT sum(i.relpages) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         WHERE x.indrelid = c.oid), 0) + coalesce((SELECT o.relpages FROM pg_class o WHERE o.oid = c.reltoastrelid), 0))::bigint \
         * current_setting('block_size')::int AS estimate, count(*) OVER () AS tables \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid \
         WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'), \
         top AS (SELECT * FROM t ORDER BY greatest(estimate, n_live_tup * 60) DESC, relname LIMIT {limit}), \
         free AS (SELECT oid FROM top WHERE NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = top.oid \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.mode = 'AccessExclusiveLock')) \
         SELECT top.*, CASE WHEN free.oid IS NOT NULL THEN pg_total_relation_size(free.oid) END AS total, \
         CASE WHEN free.oid IS NOT NULL THEN pg_relation_size(free.oid) END AS heap, \
         CASE WHEN free.oid IS NOT NULL THEN pg_indexes_size(free.oid) END AS indexes, \
         CASE WHEN free.oid IS NOT NULL AND reltoastrelid <> 0 THEN pg_total_relation_size(reltoastrelid) END AS toast \
         FROM top LEFT JOIN free USING (oid) ORDER BY greatest(estimate, n_live_tup * 60) DESC, relname"
    )
}

const INDEXES: &str = "SELECT count(*) AS invalid FROM pg_index i WHERE NOT i.indisvalid \
     AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation IN (i.indexrelid, i.indrelid) AND l.granted \
     AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'AccessExclusiveLock'))";

/// Sequences that cycle never run out; those of other owners hide their value.
const SEQUENCES: &str = "SELECT schemaname, sequencename, CASE WHEN increment_by > 0 \
     THEN (last_value::numeric - min_value) / nullif(max_value::numeric - min_value, 0) \
     ELSE (max_value::numeric - last_value) / nullif(max_value::numeric - min_value, 0) END AS used \
     FROM pg_sequences WHERE NOT cycle AND last_value IS NOT NULL ORDER BY used DESC NULLS LAST LIMIT 5";

const HIDDEN_SEQUENCES: &str = "SELECT count(*) FILTER (WHERE CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT, USAGE') END) AS hidden FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'S' AND NOT pg_is_other_temp_schema(n.oid)";

impl Tables {
    pub(crate) fn new(past: Option<Past>) -> Self {
        Self {
            growth: GrowthTracker::new(&metrics::TABLE_TOTAL, &metrics::TABLE_GROWTH, None, past),
            seen: HashSet::new(),
            last_bloat: None,
            is_bloat_due: false,
            bloat: Vec::new(),
        }
    }

    /// Begins a round.
    pub(crate) fn begin(&mut self) {
        self.seen.clear();
        self.is_bloat_due = self.last_bloat.is_none_or(|last| last.elapsed() >= BLOAT_EVERY);
        if self.is_bloat_due {
            self.bloat.clear();
        }
    }

    /// Ends a round: tables that are gone are forgotten.
    pub(crate) fn finish(&mut self) {
        if self.is_bloat_due {
            self.last_bloat = Some(Instant::now());
        }
        let seen = &self.seen;
        self.growth.retain(|labels| seen.contains(labels));
    }

    /// Measures the tables of one database. `home` is a session of another database, or of this one.
    pub(crate) async fn read(
        &mut self,
        database: &str,
        home: &Session,
        run: &mut Run<'_>,
    ) -> Result<(), Failure> {
        let here = home.rows("SELECT current_database() AS name").await?;
        let is_home = here.first().is_some_and(|row| row.text("name") == Some(database));
        if is_home {
            return self.read_from(database, home, run).await;
        }
        let limit = run.cx.timeout.mul_f64(0.8);
        // The stages of a second login would hide those of the first.
        let session = run.watched.server.login(Some(database), limit, &mut Stages::default()).await?;
        let outcome = self.read_from(database, &session, run).await;
        session.close().await;
        outcome
    }

    async fn read_from(
        &mut self,
        database: &str,
        session: &Session,
        run: &mut Run<'_>,
    ) -> Result<(), Failure> {
        let limit = run.watched.settings.top_tables;
        let rows = match session.rows(&largest(limit)).await {
            // Someone took the lock between our looking and our measuring.
            Err(failure) if failure.class.name == classes::LOCKED.name => {
                session
                    .rows(&largest(limit).replace(
                        "free AS (SELECT oid FROM top WHERE",
                        "free AS (SELECT oid FROM top WHERE false AND",
                    ))
                    .await?
            }
            other => other?,
        };
        self.tables(database, &rows, run).await;
        if run.watched.settings.bloat && self.is_bloat_due {
            let first = run.report.readings.len();
            bloat(session, database, &rows, run).await?;
            self.bloat.extend(run.report.readings[first..].iter().cloned());
        } else {
            let of_it = |reading: &&Reading| {
                reading.labels.pairs().iter().any(|(name, value)| name == "database" && value == database)
            };
            run.report.readings.extend(self.bloat.iter().filter(of_it).cloned());
        }
        let labels = Labels::one("database", database);
        let indexes = session.rows(INDEXES).await?;
        if let Some(count) = indexes.first().and_then(|row| row.number("invalid")) {
            run.report.push_labelled(&metrics::INDEX_INVALID, &labels, count);
        }
        let hidden = session.rows(HIDDEN_SEQUENCES).await?;
        if hidden.first().and_then(|row| row.number("hidden")).is_some_and(|hidden| hidden > 0.0) {
            let grant =
                "GRANT SELECT ON ALL SEQUENCES IN SCHEMA … TO the monitor's role, or GRANT pg_read_all_data";
            let why = Absent::NoPermission(grant.to_owned());
            run.report.push_absent(&metrics::SEQUENCE_USED, &labels, why);
        }
        for row in session.rows(SEQUENCES).await? {
            if let Some(used) = row.number("used") {
                let labels = labels
                    .with("schema", row.string("schemaname"))
                    .with("sequence", row.string("sequencename"));
                run.report.push_labelled(&metrics::SEQUENCE_USED, &labels, used);
            }
        }
        Ok(())
    }

    async fn tables(&mut self, database: &str, rows: &Rows, run: &mut Run<'_>) {
        for row in rows {
            let labels = labels(database, row);
            self.seen.insert(labels.clone());
            self.table(&labels, row, run).await;
        }
        let all = rows.first().and_then(|row| row.number("tables")).unwrap_or(0.0);
        let omitted = (all - rows.len() as f64).max(0.0);
        run.report.push_labelled(&metrics::TABLES_OMITTED, &Labels::one("database", database), omitted);
    }

    async fn table(&mut self, labels: &Labels, row: &Row, run: &mut Run<'_>) {
        let report = &mut run.report;
        let estimate = row.number("estimate").unwrap_or(0.0);
        let size = match row.number("total") {
            Some(total) => {
                report.push_labelled(&metrics::TABLE_TOTAL, labels, total);
                total
            }
            None => {
                report.push_estimate(&metrics::TABLE_TOTAL, labels, estimate);
                estimate
            }
        };
        for (column, metric) in [
            ("heap", &metrics::TABLE_HEAP),
            ("indexes", &metrics::TABLE_INDEX),
            ("toast", &metrics::TABLE_TOAST),
        ] {
            if let Some(bytes) = row.number(column) {
                report.push_labelled(metric, labels, bytes);
            }
        }
        // -1 stands for "never analysed"; before PostgreSQL 14 that was 0, as of an empty table.
        let (tuples, live) =
            (row.number("reltuples").unwrap_or(-1.0), row.number("n_live_tup").unwrap_or(0.0));
        match (tuples > 0.0, live > 0.0) {
            (true, _) => report.push_estimate(&metrics::TABLE_ROWS, labels, tuples),
            (false, true) => report.push_estimate(&metrics::TABLE_ROWS, labels, live),
            (false, false) if size == 0.0 || tuples == 0.0 => {
                report.push_estimate(&metrics::TABLE_ROWS, labels, 0.0);
            }
            _ => report.push_absent(&metrics::TABLE_ROWS, labels, Absent::NotKnown),
        }
        if let Some(dead) = row.number("n_dead_tup")
            && live + dead > 0.0
        {
            let ratio = if dead >= LEAST_DEAD { dead / (live + dead) } else { 0.0 };
            report.push_labelled(&metrics::TABLE_DEAD, labels, ratio);
        }
        for (column, metric) in [("vacuumed", &metrics::TABLE_VACUUM), ("analysed", &metrics::TABLE_ANALYZE)]
        {
            if let Some(age) = row.number(column) {
                report.push_labelled(metric, labels, age.max(0.0));
            }
        }
        self.growth.observe(run.cx.now, labels, size, None, report).await;
    }
}

fn labels(database: &str, row: &Row) -> Labels {
    Labels::new([
        ("database".to_owned(), database.to_owned()),
        ("schema".to_owned(), row.string("nspname")),
        ("table".to_owned(), row.string("relname")),
    ])
}

async fn bloat(session: &Session, database: &str, rows: &Rows, run: &mut Run<'_>) -> Result<(), Failure> {
    let found = session
        .rows("SELECT quote_ident(extnamespace::regnamespace::text) AS home FROM pg_extension WHERE extname = 'pgstattuple'")
        .await?;
    let Some(home) = found.first().and_then(|row| row.text("home")) else {
        run.report.push_absent(
            &metrics::TABLE_BLOAT,
            &Labels::one("database", database),
            Absent::Unsupported,
        );
        return Ok(());
    };
    for row in rows {
        let heap = row.number("heap").unwrap_or(0.0);
        if heap < BLOAT_SIZES.0 as f64 || heap > BLOAT_SIZES.1 as f64 {
            continue;
        }
        let (Some(oid), labels) = (row.text("oid"), labels(database, row)) else { continue };
        let statement = format!(
            "SELECT approx_free_space + dead_tuple_len AS free FROM {home}.pgstattuple_approx({oid}::regclass)"
        );
        match session.rows(&statement).await {
            Ok(rows) => {
                if let Some(free) = rows.first().and_then(|row| row.number("free")) {
                    run.report.push_estimate(&metrics::TABLE_BLOAT, &labels, free);
                    if heap >= BLOAT_RATIO_FROM {
                        run.report.push_estimate(&metrics::TABLE_BLOAT_RATIO, &labels, free / heap);
                    }
                }
            }
            // Dropped or locked in the meantime.
            Err(failure)
                if matches!(failure.code.as_deref(), Some("42P01" | "55P03" | "57014" | "42809")) => {}
            Err(failure) => {
                let labels = Labels::one("database", database);
                return super::storage::missing(failure, &metrics::TABLE_BLOAT, &labels, run);
            }
        }
    }
    Ok(())
}
