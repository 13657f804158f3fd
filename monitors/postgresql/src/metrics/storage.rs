//! What the storage probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    DATABASE_SIZE = MetricSpec::gauge(
        "postgresql.database.size_bytes", "bytes", "Database size", "Size of each database (pg_database_size)")
        .resolution(1.0);
    DATABASE_GROWTH = MetricSpec::gauge(
        "postgresql.database.growth_per_day_bytes", "bytes", "Database growth a day",
        "Growth of each database a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)").resolution(1.0);
    CLUSTER_SIZE = MetricSpec::gauge(
        "postgresql.cluster.size_bytes", "bytes", "Size of all databases", "Sum of the sizes of all databases")
        .resolution(1.0);
    CLUSTER_GROWTH = MetricSpec::gauge(
        "postgresql.cluster.growth_per_day_bytes", "bytes", "Growth of all databases a day",
        "Growth of all databases a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)").resolution(1.0);
    CLUSTER_FULL_IN = MetricSpec::gauge(
        "postgresql.cluster.full_in_days", "days", "Quota reached in",
        "Days until all databases together reach quota_bytes at the present growth")
        .resolution(0.001)
        .threshold(Threshold::below(Some(7.0), Some(1.0)).hysteresis(0.2).checks(2));
    CLUSTER_USED = MetricSpec::gauge(
        "postgresql.cluster.quota_used_ratio", "ratio", "Quota used", "Size of all databases ÷ quota_bytes")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.02));
    TABLE_TOTAL = MetricSpec::gauge(
        "postgresql.table.total_bytes", "bytes", "Table size",
        "Size of the largest tables with indexes and TOAST; an estimate while the table is locked, or never analysed")
        .resolution(1.0);
    TABLE_HEAP = MetricSpec::gauge(
        "postgresql.table.heap_bytes", "bytes", "Table without indexes", "Main fork of the largest tables")
        .resolution(1.0);
    TABLE_INDEX = MetricSpec::gauge(
        "postgresql.table.index_bytes", "bytes", "Indexes of the table", "Indexes of the largest tables").resolution(1.0);
    TABLE_TOAST = MetricSpec::gauge(
        "postgresql.table.toast_bytes", "bytes", "TOAST of the table", "Out-of-line values of the largest tables")
        .resolution(1.0);
    TABLE_ROWS = MetricSpec::gauge(
        "postgresql.table.rows_count", "count", "Rows",
        "Estimated rows of the largest tables (reltuples, or live rows of the statistics)").resolution(1.0);
    TABLE_GROWTH = MetricSpec::gauge(
        "postgresql.table.growth_per_day_bytes", "bytes", "Table growth a day",
        "Growth of the largest tables a day over the last 24 hours, 7 days and 30 days").resolution(1.0);
    TABLE_DEAD = MetricSpec::gauge(
        "postgresql.table.dead_ratio", "ratio", "Dead rows",
        "Share of dead rows of the largest tables with 10,000 dead rows or more, from the statistics")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.3), None).checks(3));
    TABLE_VACUUM = MetricSpec::gauge(
        "postgresql.table.last_vacuum_age_seconds", "seconds", "Last vacuum",
        "Time since the largest tables were last vacuumed, by hand or by autovacuum; absent when never").resolution(1.0);
    TABLE_ANALYZE = MetricSpec::gauge(
        "postgresql.table.last_analyze_age_seconds", "seconds", "Last analyze",
        "Time since the largest tables were last analysed, by hand or by autovacuum; absent when never").resolution(1.0);
    TABLE_BLOAT = MetricSpec::gauge(
        "postgresql.table.bloat_bytes", "bytes", "Free space in the table",
        "Dead and free space within the largest tables (pgstattuple_approx), every two hours; only with `bloat`")
        .resolution(1.0);
    TABLE_BLOAT_RATIO = MetricSpec::gauge(
        "postgresql.table.bloat_ratio", "ratio", "Share of free space",
        "Share of dead and free space within the largest tables over 100 MB (pgstattuple_approx); only with `bloat`")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.7), None));
    TABLES_OMITTED = MetricSpec::gauge(
        "postgresql.table.omitted_count", "count", "Tables not listed",
        "Tables of each database beyond the largest, which are not measured one by one").resolution(1.0);
    XID_USED = MetricSpec::gauge(
        "postgresql.wraparound.xid_used_ratio", "ratio", "Transaction ids used",
        "Age of the oldest unfrozen transaction id of each database ÷ 2^31; at 1 the server stops taking writes")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.6), Some(0.8)).hysteresis(0.05));
    MXID_USED = MetricSpec::gauge(
        "postgresql.wraparound.mxid_used_ratio", "ratio", "Multixact ids used",
        "Age of the oldest multixact id of each database ÷ 2^31")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.6), Some(0.8)).hysteresis(0.05));
    SEQUENCE_USED = MetricSpec::gauge(
        "postgresql.sequence.used_ratio", "ratio", "Sequence used",
        "Share of their range that the fullest five sequences of each database have used, without those that cycle")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.02));
    INDEX_INVALID = MetricSpec::gauge(
        "postgresql.index.invalid_count", "count", "Invalid indexes",
        "Indexes that no query uses because their build failed, by database; without those being built")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0).checks(2));
    WAL_DIR = MetricSpec::gauge("postgresql.wal.dir_bytes", "bytes", "WAL on disk", "Size of the files in pg_wal")
        .resolution(1.0);
    ARCHIVE_READY = MetricSpec::gauge(
        "postgresql.archive.ready_count", "count", "WAL files to archive",
        "WAL files that wait to be archived; only with archive_mode")
        .resolution(1.0)
        .threshold(Threshold::above(Some(10.0), Some(100.0)).checks(2));
    ARCHIVE_FAILING = MetricSpec::gauge(
        "postgresql.archive.failing_state", "state", "Archiving fails",
        "1 when the last try to archive a WAL file failed; only with archive_mode")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    ARCHIVE_AGE = MetricSpec::gauge(
        "postgresql.archive.last_age_seconds", "seconds", "Last archived file",
        "Time since a WAL file was last archived; only with archive_mode").resolution(1.0);
    STATEMENT_CALLS = MetricSpec::counter(
        "postgresql.statement.calls_total", "total", "Calls of a statement",
        "Calls of the ten statements that took most time (pg_stat_statements)").resolution(1.0);
    STATEMENT_TIME = MetricSpec::counter(
        "postgresql.statement.seconds_total", "total", "Time of a statement",
        "Seconds in the ten statements that took most time (pg_stat_statements)");
    STATEMENTS_CALLS = MetricSpec::counter(
        "postgresql.statements.calls_total", "total", "Calls of all statements",
        "Calls of all statements in pg_stat_statements; falls when entries are evicted").resolution(1.0);
    STATEMENTS_TIME = MetricSpec::counter(
        "postgresql.statements.seconds_total", "total", "Time of all statements",
        "Seconds in all statements of pg_stat_statements; falls when entries are evicted");
}
