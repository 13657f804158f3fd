//! Storage: sizes, growth, and what uses ids, log files and the archive up.

use std::time::Duration;

use serde_json::json;
use wise_core::{Absent, Failure, GrowthTracker, Labels, async_trait, common};

use crate::activity::GRANT;
use crate::config::Watched;
use crate::metrics::storage as metrics;
use crate::rows::Row;
use crate::session::{STATEMENT_LIMIT, Session};
use crate::tables::Tables;
use crate::{Run, Step};

/// Databases measured at most.
const MOST_DATABASES: usize = 100;
/// Ids are 32 bits wide, and half of them is always the past (PostgreSQL documentation, "Preventing Transaction ID
/// Wraparound Failures").
const IDS: f64 = 2_147_483_648.0;

#[derive(Debug)]
pub(crate) struct Storage {
    databases: GrowthTracker,
    cluster: GrowthTracker,
    tables: Tables,
}

impl Storage {
    pub(crate) fn new(watched: &Watched) -> Self {
        let past = || watched.past.clone();
        Self {
            databases: GrowthTracker::new(&metrics::DATABASE_SIZE, &metrics::DATABASE_GROWTH, None, past()),
            cluster: GrowthTracker::new(
                &metrics::CLUSTER_SIZE,
                &metrics::CLUSTER_GROWTH,
                Some(&metrics::CLUSTER_FULL_IN),
                past(),
            ),
            tables: Tables::new(past()),
        }
    }
}

/// Sizes only where they may be seen: one forbidden database would fail the whole statement.
const DATABASES: &str = "SELECT datname, datallowconn, datistemplate, \
     CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') \
     THEN pg_database_size(oid) END AS size, has_database_privilege(oid, 'CONNECT') AS may_connect, \
     age(datfrozenxid) AS xids, mxid_age(datminmxid) AS mxids FROM pg_database ORDER BY size DESC NULLS LAST";

#[async_trait]
impl Step<Watched> for Storage {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let watched = run.watched;
        let session = watched.server.kept(&mut run.stages).await?;
        // Reading sizes of many files takes long on a cold disk; one statement may take most of the deadline.
        let limit = run.cx.timeout.mul_f64(0.8).max(Duration::from_secs(1));
        session.limit_statements(limit).await?;
        run.report.local = session.is_local;
        run.stages.begin("databases");
        let rows = session.rows(DATABASES).await?;
        let mut total = Some(0.0);
        for row in rows.iter().take(MOST_DATABASES) {
            let labels = Labels::one("database", row.string("datname"));
            let size = row.number("size");
            match size {
                Some(size) => {
                    run.report.push_labelled(&metrics::DATABASE_SIZE, &labels, size);
                    self.databases.observe(run.cx.now, &labels, size, None, &mut run.report).await;
                }
                None => {
                    let why = Absent::NoPermission(GRANT.to_owned());
                    run.report.push_absent(&metrics::DATABASE_SIZE, &labels, why);
                }
            }
            total = total.zip(size).map(|(total, size)| total + size);
        }
        // The smallest database can run out of ids as well as the largest.
        for row in &rows {
            let labels = Labels::one("database", row.string("datname"));
            for (column, metric) in [("xids", &metrics::XID_USED), ("mxids", &metrics::MXID_USED)] {
                if let Some(age) = row.number(column) {
                    run.report.push_labelled(metric, &labels, age / IDS);
                }
            }
        }
        self.databases.retain(|labels| {
            rows.iter().any(|row| *labels == Labels::one("database", row.string("datname")))
        });
        self.cluster(total.filter(|_| rows.len() <= MOST_DATABASES), run).await;
        run.stages.begin("log");
        log(&session, run).await?;
        if watched.settings.statements {
            run.stages.begin("statements");
            statements(&session, run).await?;
        }
        self.tables.begin();
        let mut problems = Vec::new();
        for row in rows.iter().take(MOST_DATABASES) {
            let name = row.string("datname");
            if is_wanted(&name, row, watched) {
                run.stages.begin("tables");
                if let Err(failure) = self.tables.read(&name, &session, run).await {
                    problems.push((name, failure));
                }
            }
        }
        run.stages.end();
        session.limit_statements(STATEMENT_LIMIT).await?;
        session.keep().await;
        self.tables.finish();
        if !problems.is_empty() {
            let all: Vec<_> = problems
                .iter()
                .map(|(name, f)| json!({"database": name, "class": f.class.name, "message": f.message}))
                .collect();
            run.evidence.insert("failed_databases".to_owned(), all.into());
        }
        problems.into_iter().next().map_or(Ok(()), |(name, mut failure)| {
            failure.message = format!("the tables of {name}: {}", failure.message);
            Err(failure)
        })
    }
}

impl Storage {
    async fn cluster(&mut self, total: Option<f64>, run: &mut Run<'_>) {
        let Some(total) = total else {
            let why = Absent::NoPermission(GRANT.to_owned());
            run.report.push_absent(&metrics::CLUSTER_SIZE, &Labels::default(), why);
            return;
        };
        let quota = run.watched.settings.quota;
        run.report.push(&metrics::CLUSTER_SIZE, total);
        run.report.push_some(&metrics::CLUSTER_USED, quota.map(|quota| total / quota));
        self.cluster.observe(run.cx.now, &Labels::default(), total, quota, &mut run.report).await;
    }
}

fn is_wanted(name: &str, row: &Row, watched: &Watched) -> bool {
    let is_listed = match &watched.settings.databases {
        Some(list) => list.iter().any(|wanted| wanted == name),
        None => !row.is("datistemplate") && row.is("may_connect"),
    };
    is_listed && row.is("datallowconn") && watched.settings.top_tables > 0
}

/// The write-ahead log and its archive.
async fn log(session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
    match session.rows("SELECT coalesce(sum(size), 0) AS size FROM pg_ls_waldir()").await {
        Ok(rows) => run.report.push_some(&metrics::WAL_DIR, rows.first().and_then(|row| row.number("size"))),
        Err(failure) => missing(failure, &metrics::WAL_DIR, &Labels::default(), run)?,
    }
    let rows = session
        .rows(
            "SELECT current_setting('archive_mode') <> 'off' AS archives, \
             last_failed_time IS NOT NULL AND (last_archived_time IS NULL OR last_failed_time > last_archived_time) AS failing, \
             extract(epoch FROM clock_timestamp() - last_archived_time) AS age FROM pg_stat_archiver",
        )
        .await?;
    let Some(row) = rows.first().filter(|row| row.is("archives")) else { return Ok(()) };
    run.report.push(&metrics::ARCHIVE_FAILING, f64::from(u8::from(row.is("failing"))));
    run.report.push_some(&metrics::ARCHIVE_AGE, row.number("age").map(|age| age.max(0.0)));
    if session.version >= 120_000 {
        let ready = "SELECT count(*) AS ready FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
        match session.rows(ready).await {
            Ok(rows) => {
                run.report
                    .push_some(&metrics::ARCHIVE_READY, rows.first().and_then(|row| row.number("ready")));
            }
            Err(failure) => missing(failure, &metrics::ARCHIVE_READY, &Labels::default(), run)?,
        }
    }
    Ok(())
}

/// A right or a function that is missing costs its reading, and nothing else.
pub(crate) fn missing(
    failure: Failure,
    metric: &'static wise_core::MetricSpec,
    labels: &Labels,
    run: &mut Run<'_>,
) -> Result<(), Failure> {
    let why = match failure.code.as_deref() {
        Some("42501") => Absent::NoPermission(GRANT.to_owned()),
        Some("42883" | "42P01" | "42703" | "0A000" | "55000") => Absent::Unsupported,
        _ if failure.class.name == common::PERMISSION.name => Absent::NoPermission(GRANT.to_owned()),
        _ => return Err(failure),
    };
    run.report.push_absent(metric, labels, why);
    Ok(())
}

/// The statements that take most time, where the extension is installed.
async fn statements(session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
    let rows = session
        .rows("SELECT quote_ident(extnamespace::regnamespace::text) AS home FROM pg_extension WHERE extname = 'pg_stat_statements'")
        .await?;
    let Some(home) = rows.first().and_then(|row| row.text("home")) else { return Ok(()) };
    let time = if session.version >= 130_000 { "total_exec_time" } else { "total_time" };
    // Without the texts the server reads no file.
    let totals = format!(
        "SELECT sum(calls) AS calls, sum({time}) / 1000 AS seconds FROM {home}.pg_stat_statements(false)"
    );
    let rows = match session.rows(&totals).await {
        Ok(rows) => rows,
        // Installed, and not in shared_preload_libraries.
        Err(failure) => return missing(failure, &metrics::STATEMENTS_CALLS, &Labels::default(), run),
    };
    if let Some(row) = rows.first() {
        run.report.push_some(&metrics::STATEMENTS_CALLS, row.number("calls"));
        run.report.push_some(&metrics::STATEMENTS_TIME, row.number("seconds"));
    }
    let top = format!(
        "SELECT queryid, coalesce(d.datname, '') AS datname, sum(calls) AS calls, sum({time}) / 1000 AS seconds, \
         left(max(query), 1000) AS query FROM {home}.pg_stat_statements s LEFT JOIN pg_database d ON d.oid = s.dbid \
         WHERE queryid IS NOT NULL GROUP BY 1, 2 ORDER BY sum({time}) DESC LIMIT 10"
    );
    let mut shown = Vec::new();
    for row in session.rows(&top).await? {
        let labels = Labels::new([
            ("queryid".to_owned(), row.string("queryid")),
            ("database".to_owned(), row.string("datname")),
        ]);
        for (column, metric) in [("calls", &metrics::STATEMENT_CALLS), ("seconds", &metrics::STATEMENT_TIME)]
        {
            if let Some(number) = row.number(column) {
                run.report.push_labelled(metric, &labels, number);
            }
        }
        shown.push(json!({"queryid": row.text("queryid"), "database": row.text("datname"),
            "calls": row.number("calls"), "seconds": row.number("seconds"),
            "query": wise_database::shape(row.text("query").unwrap_or(""))}));
    }
    if !shown.is_empty() {
        run.evidence.insert("statements".to_owned(), shown.into());
    }
    Ok(())
}
