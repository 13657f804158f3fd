//! Storage: sizes, growth, binary logs, disks and auto-increment columns.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use wise_core::{Absent, Failure, GrowthTracker, Labels, Reading, ReadingValue, async_trait};
use wise_database::Reusable;

use crate::activity::missing;
use crate::config::Watched;
use crate::metrics::storage as metrics;
use crate::session::Session;
use crate::tables::{NOT_OWN, Tables, read_files, read_tables};
use crate::{Run, Step};

/// How often auto-increment columns are looked at: it reads the definition of every table.
const AUTO_INCREMENT_EVERY: Duration = Duration::from_secs(86_400);
/// Databases listed at most.
const MOST_DATABASES: usize = 100;

#[derive(Debug)]
pub(crate) struct Storage {
    databases: GrowthTracker,
    server: GrowthTracker,
    tables: GrowthTracker,
    last_auto_increment: Option<Instant>,
    auto_increment: Vec<(Labels, ReadingValue)>,
}

impl Storage {
    pub(crate) fn new(watched: &Watched) -> Self {
        let past = || watched.past.clone();
        Self {
            databases: GrowthTracker::new(&metrics::DATABASE_SIZE, &metrics::DATABASE_GROWTH, None, past()),
            server: GrowthTracker::new(
                &metrics::SERVER_SIZE,
                &metrics::SERVER_GROWTH,
                Some(&metrics::SERVER_FULL_IN),
                past(),
            ),
            tables: GrowthTracker::new(&metrics::TABLE_FILE, &metrics::TABLE_GROWTH, None, past()),
            last_auto_increment: None,
            auto_increment: Vec::new(),
        }
    }
}

#[async_trait]
impl Step<Watched> for Storage {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let limit = run.cx.timeout.mul_f64(0.8).max(Duration::from_secs(1));
        let mut session = run.watched.server.login(None, limit, &mut run.stages).await?;
        run.report.local = session.is_local;
        run.stages.begin("tables");
        if session.flavour.is_mysql_from((8, 0, 0)) {
            // Sizes in information_schema are up to a day old otherwise.
            session.query("SET SESSION information_schema_stats_expiry = 0").await?;
        }
        let mut tables = Tables::default();
        let files = read_files(&mut session, &mut tables).await?;
        read_tables(&mut session, &mut tables).await?;
        self.sizes(&tables, files, run).await;
        run.stages.begin("binlogs");
        binlogs(&mut session, run).await?;
        run.stages.begin("disks");
        disks(&mut session, run).await?;
        if self.last_auto_increment.is_none_or(|last| last.elapsed() >= AUTO_INCREMENT_EVERY) {
            run.stages.begin("auto_increment");
            self.auto_increment = auto_increment(&mut session).await?;
            self.last_auto_increment = Some(Instant::now());
        }
        // Those of the last round stand until the next: an alarm must not end for want of asking.
        for (labels, value) in &self.auto_increment {
            let reading = Reading::new(&metrics::AUTO_INCREMENT, labels, value.clone());
            run.report.readings.push(reading);
        }
        run.stages.end();
        session.close().await;
        Ok(())
    }
}

impl Storage {
    async fn sizes(&mut self, tables: &Tables, files: Option<Absent>, run: &mut Run<'_>) {
        let mut databases: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for table in tables.all() {
            let sum = databases.entry(table.database.as_str()).or_default();
            sum.0 += table.size();
            sum.1 += 1.0;
        }
        let total: f64 = databases.values().map(|(size, _)| size).sum();
        let mut largest: Vec<_> = databases.into_iter().collect();
        largest.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
        for (name, (size, count)) in largest.into_iter().take(MOST_DATABASES) {
            let labels = Labels::one("database", name);
            run.report.push_labelled(&metrics::DATABASE_SIZE, &labels, size);
            run.report.push_labelled(&metrics::TABLES, &labels, count);
            self.databases.observe(run.cx.now, &labels, size, None, &mut run.report).await;
        }
        if let Some(why) = files {
            run.report.push_absent(&metrics::TABLE_FILE, &Labels::default(), why);
        }
        // Without any right to see tables the sum would be an untrue zero.
        if tables.is_empty() {
            let why = Absent::NoPermission("GRANT PROCESS, SELECT ON *.* TO the monitor's user".to_owned());
            run.report.push_absent(&metrics::SERVER_SIZE, &Labels::default(), why);
        } else if tables.is_cut() {
            run.report.push_absent(&metrics::SERVER_SIZE, &Labels::default(), Absent::NotKnown);
        } else {
            let quota = run.watched.settings.quota;
            run.report.push(&metrics::SERVER_SIZE, total);
            run.report.push_some(&metrics::SERVER_USED, quota.map(|quota| total / quota));
            self.server.observe(run.cx.now, &Labels::default(), total, quota, &mut run.report).await;
        }
        let top = tables.largest(run.watched.settings.top_tables as usize);
        let mut seen = Vec::new();
        for table in top {
            let labels = Labels::new([
                ("database".to_owned(), table.database.clone()),
                ("table".to_owned(), table.name.clone()),
            ]);
            let report = &mut run.report;
            if let Some(bytes) = table.file {
                report.push_labelled(&metrics::TABLE_FILE, &labels, bytes);
                self.tables.observe(run.cx.now, &labels, bytes, None, report).await;
            }
            let values = [
                (&metrics::TABLE_DATA, table.data),
                (&metrics::TABLE_INDEX, table.index),
                (&metrics::TABLE_FREE, table.free),
                (&metrics::TABLE_ROWS, table.rows),
            ];
            for (metric, value) in values {
                if let Some(value) = value {
                    report.push_estimate(metric, &labels, value);
                }
            }
            seen.push(labels);
        }
        self.tables.retain(|labels| seen.contains(labels));
    }
}

async fn binlogs(session: &mut Session, run: &mut Run<'_>) -> Result<(), Failure> {
    let enabled = session.query("SELECT @@log_bin AS log_bin").await?;
    if enabled.first().is_none_or(|row| row.text(&["log_bin"]) != Some("1")) {
        return Ok(());
    }
    match session.query("SHOW BINARY LOGS").await {
        Ok(table) => {
            run.report.push(&metrics::BINLOG_COUNT, table.rows.len() as f64);
            let bytes = table.rows().filter_map(|row| row.number(&["File_size"])).sum();
            run.report.push(&metrics::BINLOG_BYTES, bytes);
        }
        Err(failure) => {
            let grant = if session.flavour.is_mariadb { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
            let why = missing(failure, &format!("GRANT {grant} ON *.* TO the monitor's user"))?;
            run.report.push_absent(&metrics::BINLOG_BYTES, &Labels::default(), why);
        }
    }
    let names =
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days')";
    let table = session.query(names).await?;
    let value = |name: &str| {
        let row = table.rows().find(|row| row.text(&["Variable_name"]) == Some(name));
        row.and_then(|row| row.number(&["Value"]))
    };
    let expire = value("binlog_expire_logs_seconds").or_else(|| Some(value("expire_logs_days")? * 86_400.0));
    run.report.push_some(&metrics::BINLOG_EXPIRE, expire);
    Ok(())
}

/// MariaDB's plugin `disks`; nothing else tells.
async fn disks(session: &mut Session, run: &mut Run<'_>) -> Result<(), Failure> {
    if !session.flavour.is_mariadb {
        return Ok(());
    }
    let plugin = "SELECT 1 AS found FROM information_schema.plugins WHERE plugin_name = 'DISKS' AND plugin_status = 'ACTIVE'";
    if session.query(plugin).await?.rows.is_empty() {
        return Ok(());
    }
    let statement = "SELECT Path, Total, Used, Available FROM information_schema.disks \
                     WHERE @@datadir LIKE CONCAT(Path, '%') ORDER BY LENGTH(Path) DESC LIMIT 1";
    match session.query(statement).await {
        Ok(table) => {
            // Kilobytes.
            let row = table.first();
            let number =
                |name: &str| row.and_then(|row| row.number(&[name])).map(|kilobytes| kilobytes * 1024.0);
            run.report.push_some(&metrics::DISK_AVAILABLE, number("Available"));
            if let (Some(used), Some(available)) = (number("Used"), number("Available"))
                && used + available > 0.0
            {
                run.report.push(&metrics::DISK_USED, used / (used + available));
            }
        }
        Err(failure) => {
            let why = missing(failure, "GRANT FILE ON *.* TO the monitor's user")?;
            run.report.push_absent(&metrics::DISK_AVAILABLE, &Labels::default(), why);
        }
    }
    Ok(())
}

async fn auto_increment(session: &mut Session) -> Result<Vec<(Labels, ReadingValue)>, Failure> {
    let statement = format!(
        "SELECT t.TABLE_SCHEMA AS db, t.TABLE_NAME AS tab, c.COLUMN_NAME AS col, (t.AUTO_INCREMENT - 1) / \
         (CASE c.DATA_TYPE WHEN 'tinyint' THEN 127 WHEN 'smallint' THEN 32767 WHEN 'mediumint' THEN 8388607 \
         WHEN 'int' THEN 2147483647 ELSE 9223372036854775807.0 END * IF(c.COLUMN_TYPE LIKE '%unsigned%', 2, 1)) AS used \
         FROM information_schema.tables t JOIN information_schema.columns c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA \
         AND c.TABLE_NAME = t.TABLE_NAME AND CAST(c.TABLE_SCHEMA AS BINARY) = CAST(t.TABLE_SCHEMA AS BINARY) \
         AND CAST(c.TABLE_NAME AS BINARY) = CAST(t.TABLE_NAME AS BINARY) AND c.EXTRA LIKE '%auto_increment%' \
         WHERE t.AUTO_INCREMENT IS NOT NULL AND {NOT_OWN} ORDER BY used DESC LIMIT 10"
    );
    match session.query(&statement).await {
        Ok(table) => Ok(table
            .rows()
            .filter_map(|row| {
                let labels = Labels::new([
                    ("database".to_owned(), row.string(&["db"])),
                    ("table".to_owned(), row.string(&["tab"])),
                    ("column".to_owned(), row.string(&["col"])),
                ]);
                Some((labels, ReadingValue::Exact(row.number(&["used"])?)))
            })
            .collect()),
        Err(failure) => {
            let why = missing(failure, "GRANT SELECT ON the tables TO the monitor's user")?;
            Ok(vec![(Labels::default(), ReadingValue::Absent(why))])
        }
    }
}
