//! What the activity probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    CONNECTIONS_USED = MetricSpec::gauge(
        "postgresql.connections.used_count", "count", "Connections",
        "Client sessions, without background processes and standbys, from pg_stat_activity")
        .resolution(1.0);
    CONNECTIONS_USABLE = MetricSpec::gauge(
        "postgresql.connections.usable_count", "count", "Usable connections",
        "max_connections without the slots reserved for superusers and pg_use_reserved_connections")
        .resolution(1.0);
    CONNECTIONS_RATIO = MetricSpec::gauge(
        "postgresql.connections.used_ratio", "ratio", "Connections used",
        "Share of the usable connections that is taken")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.8), Some(0.95)).checks(2));
    CONNECTIONS_STATE = MetricSpec::gauge(
        "postgresql.connections.by_state_count", "count", "Connections by state",
        "Client sessions by state, without those of the monitor")
        .resolution(1.0);
    CONNECTIONS_DATABASE = MetricSpec::gauge(
        "postgresql.connections.by_database_count", "count", "Connections by database",
        "Client sessions by database, without those of the monitor; the 50 largest")
        .resolution(1.0);
    WAITING = MetricSpec::gauge(
        "postgresql.connections.waiting_count", "count", "Sessions that wait",
        "Client sessions that wait, by wait_event_type; Client is the normal wait for the next statement")
        .resolution(1.0);
    OLDEST_TX = MetricSpec::gauge(
        "postgresql.transaction.oldest_seconds", "seconds", "Oldest transaction",
        "Age of the oldest open transaction of a client session (xact_start), without pg_dump")
        .resolution(0.001)
        .threshold(Threshold::above(Some(1800.0), None));
    LONGEST_QUERY = MetricSpec::gauge(
        "postgresql.query.longest_seconds", "seconds", "Longest query",
        "Age of the longest statement that runs in a client session (query_start), without pg_dump")
        .resolution(0.001)
        .threshold(Threshold::above(Some(300.0), None));
    IDLE_IN_TX = MetricSpec::gauge(
        "postgresql.transaction.idle_longest_seconds", "seconds", "Longest idle in transaction",
        "Time since the longest idle session with an open transaction did something (state_change)")
        .resolution(0.001)
        .threshold(Threshold::above(Some(300.0), Some(3600.0)));
    XMIN_AGE = MetricSpec::gauge(
        "postgresql.xmin.oldest_age_count", "count", "Oldest xmin",
        "Transactions that vacuum must keep, by what holds it back: session, slot, prepared or standby")
        .resolution(1.0);
    PREPARED = MetricSpec::gauge(
        "postgresql.prepared.oldest_seconds", "seconds", "Oldest prepared transaction",
        "Age of the oldest transaction of PREPARE TRANSACTION; zero when there is none")
        .resolution(0.001)
        .threshold(Threshold::above(Some(300.0), Some(3600.0)));
    SYNC_REP = MetricSpec::gauge(
        "postgresql.replication.sync_waiting_count", "count", "Commits that wait for a standby",
        "Sessions whose commit waits for a synchronous standby (wait event SyncRep)")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), Some(10.0)).checks(3));
    LOCKS = MetricSpec::gauge("postgresql.locks.held_count", "count", "Locks", "Rows of pg_locks").resolution(1.0);
    LOCKS_RATIO = MetricSpec::gauge(
        "postgresql.locks.used_ratio", "ratio", "Lock table used",
        "Locks ÷ (max_locks_per_transaction × (max_connections + max_prepared_transactions))")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.5), Some(0.8)));
    BLOCKED = MetricSpec::gauge(
        "postgresql.locks.blocked_count", "count", "Blocked sessions", "Sessions that wait for a lock of another")
        .resolution(1.0)
        .threshold(Threshold::above(Some(10.0), None).checks(2));
    LONGEST_WAIT = MetricSpec::gauge(
        "postgresql.locks.longest_wait_seconds", "seconds", "Longest wait for a lock",
        "Longest wait for a lock now, without advisory locks: pg_locks.waitstart, before PostgreSQL 14 the age of the statement")
        .resolution(0.001)
        .threshold(Threshold::above(Some(60.0), Some(300.0)));
    DEADLOCKS = MetricSpec::counter(
        "postgresql.deadlocks_total", "total", "Deadlocks", "Deadlocks by database (pg_stat_database)")
        .resolution(1.0);
    DEADLOCKS_RECENT = MetricSpec::gauge(
        "postgresql.deadlocks.recent_count", "count", "Deadlocks since the last check",
        "Deadlocks in all databases since the check before")
        .resolution(1.0)
        .threshold(Threshold::above(Some(5.0), None).hysteresis(0.0));
    COMMITS = MetricSpec::counter(
        "postgresql.transactions.committed_total", "total", "Commits", "Committed transactions by database")
        .resolution(1.0);
    ROLLBACKS = MetricSpec::counter(
        "postgresql.transactions.rolled_back_total", "total", "Rollbacks", "Rolled back transactions by database")
        .resolution(1.0);
    ROLLBACK_RATIO = MetricSpec::gauge(
        "postgresql.transactions.rollback_ratio", "ratio", "Rollbacks",
        "Share of transactions rolled back since the last check, where there were 100 or more")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.1), None).checks(3));
    HIT_RATIO = MetricSpec::gauge(
        "postgresql.cache.hit_ratio", "ratio", "Cache hits",
        "Share of blocks found in shared buffers since the last check, where there were 1,000 or more")
        .resolution(0.0001);
    BLOCKS_HIT = MetricSpec::counter(
        "postgresql.blocks.hit_total", "total", "Blocks found", "Blocks found in shared buffers, by database")
        .resolution(1.0);
    BLOCKS_READ = MetricSpec::counter(
        "postgresql.blocks.read_total", "total", "Blocks read", "Blocks read from the system, by database")
        .resolution(1.0);
    ROWS_RETURNED = MetricSpec::counter(
        "postgresql.rows.returned_total", "total", "Rows scanned", "Rows that scans returned, by database")
        .resolution(1.0);
    ROWS_FETCHED = MetricSpec::counter(
        "postgresql.rows.fetched_total", "total", "Rows fetched", "Rows fetched through indexes, by database")
        .resolution(1.0);
    ROWS_INSERTED = MetricSpec::counter(
        "postgresql.rows.inserted_total", "total", "Rows inserted", "Rows inserted, by database").resolution(1.0);
    ROWS_UPDATED = MetricSpec::counter(
        "postgresql.rows.updated_total", "total", "Rows updated", "Rows updated, by database").resolution(1.0);
    ROWS_DELETED = MetricSpec::counter(
        "postgresql.rows.deleted_total", "total", "Rows deleted", "Rows deleted, by database").resolution(1.0);
    TEMP_BYTES = MetricSpec::counter(
        "postgresql.temp.bytes_total", "total", "Temporary files",
        "Bytes written to temporary files, by database: sorts and hashes larger than work_mem").resolution(1.0);
    TEMP_FILES = MetricSpec::counter(
        "postgresql.temp.files_total", "total", "Temporary files made", "Temporary files made, by database")
        .resolution(1.0);
    CONFLICTS = MetricSpec::counter(
        "postgresql.conflicts_total", "total", "Recovery conflicts",
        "Statements cancelled on a standby because replay needed what they used, by database").resolution(1.0);
    CHECKSUM_FAILURES = MetricSpec::counter(
        "postgresql.checksum_failures_total", "total", "Checksum failures",
        "Pages whose checksum was wrong, by database; only with data checksums, from PostgreSQL 12").resolution(1.0);
    CHECKSUM_FAILED = MetricSpec::gauge(
        "postgresql.checksum_failures.recent_count", "count", "Checksum failures since the last check",
        "Pages whose checksum was wrong, found since the check before: storage is damaged")
        .resolution(1.0)
        .threshold(Threshold::above(None, Some(1.0)).hysteresis(0.0));
    CHECKPOINTS_TIMED = MetricSpec::counter(
        "postgresql.checkpoints.timed_total", "total", "Checkpoints by time", "Checkpoints that were due by time")
        .resolution(1.0);
    CHECKPOINTS_REQUESTED = MetricSpec::counter(
        "postgresql.checkpoints.requested_total", "total", "Checkpoints by request",
        "Checkpoints that were asked for, mostly because max_wal_size was reached").resolution(1.0);
    CHECKPOINTS_RATIO = MetricSpec::gauge(
        "postgresql.checkpoints.requested_ratio", "ratio", "Checkpoints by request",
        "Share of the checkpoints of the last hour that were asked for, where there were 5 or more")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.5), None));
    CHECKPOINT_WRITE = MetricSpec::counter(
        "postgresql.checkpoints.write_seconds_total", "total", "Checkpoint write time",
        "Seconds spent writing in checkpoints");
    CHECKPOINT_SYNC = MetricSpec::counter(
        "postgresql.checkpoints.sync_seconds_total", "total", "Checkpoint sync time",
        "Seconds spent in fsync in checkpoints");
}
