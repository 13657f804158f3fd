//! What the storage probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    DATABASE_SIZE = MetricSpec::gauge(
        "mysql.database.size_bytes", "bytes", "Database size",
        "Size of each database: of its files where PROCESS shows them, else data and indexes of its tables")
        .resolution(1.0);
    DATABASE_GROWTH = MetricSpec::gauge(
        "mysql.database.growth_per_day_bytes", "bytes", "Database growth a day",
        "Growth of each database a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)").resolution(1.0);
    SERVER_SIZE = MetricSpec::gauge(
        "mysql.server.size_bytes", "bytes", "Size of all databases", "Sum of the sizes of all databases").resolution(1.0);
    SERVER_GROWTH = MetricSpec::gauge(
        "mysql.server.growth_per_day_bytes", "bytes", "Growth of all databases a day",
        "Growth of all databases a day over the last 24 hours, 7 days and 30 days").resolution(1.0);
    SERVER_FULL_IN = MetricSpec::gauge(
        "mysql.server.full_in_days", "days", "Quota reached in",
        "Days until all databases together reach quota_bytes at the present growth")
        .resolution(0.001)
        .threshold(Threshold::below(Some(7.0), Some(1.0)).hysteresis(0.2).checks(2));
    SERVER_USED = MetricSpec::gauge(
        "mysql.server.quota_used_ratio", "ratio", "Quota used", "Size of all databases ÷ quota_bytes")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.02));
    TABLE_FILE = MetricSpec::gauge(
        "mysql.table.file_bytes", "bytes", "Table file",
        "Size of the file of the largest InnoDB tables: what it takes on the disk, free pages included").resolution(1.0);
    TABLE_DATA = MetricSpec::gauge(
        "mysql.table.data_bytes", "bytes", "Table data", "Data of the largest tables (data_length)").resolution(1.0);
    TABLE_INDEX = MetricSpec::gauge(
        "mysql.table.index_bytes", "bytes", "Table indexes", "Indexes of the largest tables (index_length)")
        .resolution(1.0);
    TABLE_FREE = MetricSpec::gauge(
        "mysql.table.free_bytes", "bytes", "Free in the table",
        "Space within the largest tables that can be used again (data_free)").resolution(1.0);
    TABLE_ROWS = MetricSpec::gauge(
        "mysql.table.rows_count", "count", "Rows",
        "Estimated rows of the largest tables: InnoDB's sample may be off by half").resolution(1.0);
    TABLE_GROWTH = MetricSpec::gauge(
        "mysql.table.growth_per_day_bytes", "bytes", "Table growth a day",
        "Growth of the largest tables a day over the last 24 hours, 7 days and 30 days").resolution(1.0);
    TABLES = MetricSpec::gauge(
        "mysql.database.tables_count", "count", "Tables", "Tables of each database that the user may see")
        .resolution(1.0);
    BINLOG_BYTES = MetricSpec::gauge(
        "mysql.binlog.total_bytes", "bytes", "Binary logs", "Size of the binary logs").resolution(1.0);
    BINLOG_COUNT = MetricSpec::gauge(
        "mysql.binlog.files_count", "count", "Binary log files", "Number of binary logs").resolution(1.0);
    BINLOG_EXPIRE = MetricSpec::gauge(
        "mysql.binlog.expire_seconds", "seconds", "Binary logs are kept for",
        "Time after which binary logs are removed; zero keeps them for ever").resolution(1.0);
    DISK_AVAILABLE = MetricSpec::gauge(
        "mysql.disk.available_bytes", "bytes", "Disk available",
        "Bytes available on the disk of the data folder, by MariaDB's plugin `disks`").resolution(1.0);
    DISK_USED = MetricSpec::gauge(
        "mysql.disk.used_ratio", "ratio", "Disk used",
        "Share used of the disk of the data folder, by MariaDB's plugin `disks`")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.02));
    AUTO_INCREMENT = MetricSpec::gauge(
        "mysql.auto_increment.used_ratio", "ratio", "Auto-increment used",
        "Share of their type's range that the fullest ten auto-increment columns have used, once a day")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.8), Some(0.95)).hysteresis(0.02));
}
