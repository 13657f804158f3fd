//! What the activity probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    CONNECTIONS_USED = MetricSpec::gauge(
        "mysql.connections.used_count", "count", "Connections", "Open connections (Threads_connected), ours included")
        .resolution(1.0);
    CONNECTIONS_RATIO = MetricSpec::gauge(
        "mysql.connections.used_ratio", "ratio", "Connections used", "Threads_connected ÷ max_connections")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.8), Some(0.95)).checks(2));
    CONNECTIONS_MOST = MetricSpec::gauge(
        "mysql.connections.most_used_ratio", "ratio", "Most connections used",
        "Max_used_connections ÷ max_connections since the server started").resolution(0.0001);
    CONNECTIONS_REFUSED = MetricSpec::counter(
        "mysql.connections.refused_total", "total", "Connections refused",
        "Connections refused because all were taken (Connection_errors_max_connections)").resolution(1.0);
    CONNECTIONS_MADE = MetricSpec::counter(
        "mysql.connections.made_total", "total", "Connections made", "Tries to connect, successful or not (Connections)")
        .resolution(1.0);
    ABORTED_CONNECTS = MetricSpec::counter(
        "mysql.connections.aborted_connects_total", "total", "Logins broken off",
        "Logins that failed or were broken off (Aborted_connects)").resolution(1.0);
    ABORTED_CLIENTS = MetricSpec::counter(
        "mysql.connections.aborted_clients_total", "total", "Sessions broken off",
        "Sessions that ended without goodbye (Aborted_clients)").resolution(1.0);
    ACCESS_DENIED = MetricSpec::counter(
        "mysql.connections.access_denied_total", "total", "Logins denied",
        "Logins with wrong credentials (Access_denied_errors, MariaDB)").resolution(1.0);
    RUNNING = MetricSpec::gauge(
        "mysql.threads.running_count", "count", "Running threads",
        "Sessions that run a statement now, without ours (Threads_running)")
        .resolution(1.0);
    RUNNING_RATIO = MetricSpec::gauge(
        "mysql.threads.running_ratio", "ratio", "Running threads, share",
        "Threads_running without ours ÷ max_connections")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.6), None).checks(3));
    QUESTIONS = MetricSpec::counter(
        "mysql.queries.total", "total", "Statements", "Statements sent by clients (Questions)").resolution(1.0);
    SLOW = MetricSpec::counter(
        "mysql.queries.slow_total", "total", "Slow statements",
        "Statements slower than long_query_time (Slow_queries); counted even without a slow log").resolution(1.0);
    COMMANDS = MetricSpec::counter(
        "mysql.commands_total", "total", "Statements by kind",
        "Statements by kind: select, insert, update, delete, replace, commit, rollback (Com_*)").resolution(1.0);
    BYTES_RECEIVED = MetricSpec::counter(
        "mysql.network.received_bytes_total", "total", "Received", "Bytes received from clients").resolution(1.0);
    BYTES_SENT = MetricSpec::counter(
        "mysql.network.sent_bytes_total", "total", "Sent", "Bytes sent to clients").resolution(1.0);
    LONGEST_QUERY = MetricSpec::gauge(
        "mysql.query.longest_seconds", "seconds", "Longest statement",
        "Time of the longest statement that runs, without replication and background threads")
        .resolution(0.001)
        .threshold(Threshold::above(Some(300.0), None));
    LONGEST_TX = MetricSpec::gauge(
        "mysql.transaction.longest_seconds", "seconds", "Longest transaction",
        "Age of the oldest InnoDB transaction")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1800.0), None));
    HISTORY = MetricSpec::gauge(
        "mysql.innodb.history_list_count", "count", "History list",
        "Undo records that purge must keep (trx_rseg_history_len): long transactions hold it back")
        .resolution(1.0)
        .threshold(Threshold::above(Some(50_000.0), None).checks(3));
    ROW_WAITS = MetricSpec::counter(
        "mysql.locks.row_waits_total", "total", "Waits for row locks", "Waits for row locks (Innodb_row_lock_waits)")
        .resolution(1.0);
    ROW_WAIT_TIME = MetricSpec::counter(
        "mysql.locks.row_wait_seconds_total", "total", "Time waiting for row locks",
        "Seconds spent waiting for row locks (Innodb_row_lock_time)");
    BLOCKED = MetricSpec::gauge(
        "mysql.locks.blocked_count", "count", "Blocked sessions",
        "Transactions that wait for a row lock now (Innodb_row_lock_current_waits)")
        .resolution(1.0)
        .threshold(Threshold::above(Some(10.0), None).checks(2));
    DEADLOCKS = MetricSpec::counter(
        "mysql.deadlocks_total", "total", "Deadlocks", "InnoDB deadlocks (Innodb_deadlocks, or lock_deadlocks)")
        .resolution(1.0);
    DEADLOCKS_RECENT = MetricSpec::gauge(
        "mysql.deadlocks.recent_count", "count", "Deadlocks since the last check", "Deadlocks since the check before")
        .resolution(1.0)
        .threshold(Threshold::above(Some(5.0), None).hysteresis(0.0));
    TABLE_WAIT_RATIO = MetricSpec::gauge(
        "mysql.locks.table_wait_ratio", "ratio", "Waits for table locks",
        "Share of table locks that were waited for since the last check, where there were 100 or more")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.25), None).checks(3));
    HIT_RATIO = MetricSpec::gauge(
        "mysql.innodb.buffer_pool_hit_ratio", "ratio", "Buffer pool hits",
        "Share of page reads answered from the buffer pool since the last check, where there were 1,000 or more")
        .resolution(0.0001);
    BUFFER_POOL_USED = MetricSpec::gauge(
        "mysql.innodb.buffer_pool_used_ratio", "ratio", "Buffer pool used", "Share of the pages that hold data")
        .resolution(0.0001);
    BUFFER_POOL_DIRTY = MetricSpec::gauge(
        "mysql.innodb.buffer_pool_dirty_ratio", "ratio", "Dirty pages", "Share of the pages that wait to be written")
        .resolution(0.0001);
    LOG_WAITS = MetricSpec::counter(
        "mysql.innodb.log_waits_total", "total", "Waits for the log buffer",
        "Waits because the log buffer was too small (Innodb_log_waits)").resolution(1.0);
    DATA_READ = MetricSpec::counter(
        "mysql.innodb.read_bytes_total", "total", "Read", "Bytes that InnoDB read (Innodb_data_read)").resolution(1.0);
    DATA_WRITTEN = MetricSpec::counter(
        "mysql.innodb.written_bytes_total", "total", "Written", "Bytes that InnoDB wrote (Innodb_data_written)")
        .resolution(1.0);
    ROWS_READ = MetricSpec::counter(
        "mysql.rows.read_total", "total", "Rows read", "Rows read from InnoDB tables; from all tables in newer MariaDB").resolution(1.0);
    ROWS_CHANGED = MetricSpec::counter(
        "mysql.rows.changed_total", "total", "Rows changed", "Rows inserted, updated and deleted in InnoDB tables; in all tables in newer MariaDB")
        .resolution(1.0);
    OPEN_FILES = MetricSpec::gauge(
        "mysql.files.open_count", "count", "Open files", "Files that the server has open").resolution(1.0);
    OPEN_FILES_RATIO = MetricSpec::gauge(
        "mysql.files.used_ratio", "ratio", "Open files used", "Open_files ÷ open_files_limit")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.8), Some(0.95)));
    OPENED_TABLES = MetricSpec::counter(
        "mysql.tables.opened_total", "total", "Tables opened",
        "Tables opened because they were not in the table cache (Opened_tables)").resolution(1.0);
    TMP_TABLES = MetricSpec::counter(
        "mysql.tmp_tables.made_total", "total", "Temporary tables", "Temporary tables made").resolution(1.0);
    TMP_DISK_TABLES = MetricSpec::counter(
        "mysql.tmp_tables.on_disk_total", "total", "Temporary tables on disk", "Temporary tables made on disk")
        .resolution(1.0);
    FULL_JOINS = MetricSpec::counter(
        "mysql.select.full_join_total", "total", "Joins without an index", "Joins that read a whole table")
        .resolution(1.0);
    GALERA_READY = MetricSpec::gauge(
        "mysql.galera.ready_state", "state", "Galera ready", "1 when the node takes statements (wsrep_ready)")
        .resolution(1.0)
        .threshold(Threshold::below(None, Some(0.0)).hysteresis(0.0));
    GALERA_PRIMARY = MetricSpec::gauge(
        "mysql.galera.primary_state", "state", "Galera component",
        "1 when the node is in the primary component (wsrep_cluster_status)")
        .resolution(1.0)
        .threshold(Threshold::below(None, Some(0.0)).hysteresis(0.0));
    GALERA_SYNCED = MetricSpec::gauge(
        "mysql.galera.local_state", "state", "Galera node state",
        "wsrep_local_state: 1 joining, 2 donor, 3 joined, 4 synced")
        .resolution(1.0)
        .threshold(Threshold::below(Some(3.0), None).hysteresis(0.0).checks(3));
    GALERA_SIZE = MetricSpec::gauge(
        "mysql.galera.cluster_size_count", "count", "Galera members", "wsrep_cluster_size").resolution(1.0);
    GALERA_QUEUE = MetricSpec::gauge(
        "mysql.galera.receive_queue_count", "count", "Galera queue", "Write sets that wait to be applied")
        .resolution(1.0);
    GALERA_PAUSED = MetricSpec::gauge(
        "mysql.galera.paused_ratio", "ratio", "Galera flow control",
        "Share of time that replication stood still for flow control since the status was last reset")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.1), None).checks(3));
}
