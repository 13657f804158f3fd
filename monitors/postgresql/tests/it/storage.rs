use serde_json::json;
use wise_core::{Absent, ReadingValue};
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{SmallDisk, Watch, absent, find, value};

use crate::{SOON, assert_baseline, server, watch};

#[tokio::test]
async fn databases_and_their_largest_tables_are_measured() {
    let server = server(&[]);
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql(
        "shop",
        "CREATE TABLE orders (id serial PRIMARY KEY, note text); INSERT INTO orders (note) SELECT repeat('x', 100) FROM \
         generate_series(1, 20000); CREATE TABLE small (n int); CREATE TABLE tiny (n int); ANALYZE",
    );
    let mut watch =
        Watch::new(&REGISTERED, json!({"url": server.url(), "top_tables": 2, "quota_bytes": 1_000_000_000}));
    let report = watch.check("storage").await;
    assert_eq!(report.failure, None);
    let size = value(&report, "postgresql.database.size_bytes", &[("database", "shop")]);
    assert!(size > 5e6, "{size}");
    let orders = [("database", "shop"), ("schema", "public"), ("table", "orders")];
    let total = value(&report, "postgresql.table.total_bytes", &orders);
    let (heap, index) = (
        value(&report, "postgresql.table.heap_bytes", &orders),
        value(&report, "postgresql.table.index_bytes", &orders),
    );
    assert!(heap > 2e6 && index > 1e5 && total >= heap + index, "{total} {heap} {index}");
    let rows = find(&report, "postgresql.table.rows_count", &orders).unwrap();
    assert_eq!(rows.value, ReadingValue::Estimate(20_000.0), "an estimate says that it is one");
    assert_eq!(value(&report, "postgresql.table.omitted_count", &[("database", "shop")]), 1.0);
    assert!(value(&report, "postgresql.table.last_analyze_age_seconds", &orders) < 60.0);
    let cluster = value(&report, "postgresql.cluster.size_bytes", &[]);
    let used = value(&report, "postgresql.cluster.quota_used_ratio", &[]);
    assert!(cluster > size && (used - cluster / 1e9).abs() < 1e-9);
    assert!(value(&report, "postgresql.wal.dir_bytes", &[]) >= 16e6);
    assert!(value(&report, "postgresql.wraparound.xid_used_ratio", &[("database", "shop")]) < 0.01);
    let why = absent(&report, "postgresql.sequence.used_ratio", &[("database", "shop")]);
    assert!(matches!(why, Absent::NoPermission(_)), "{why:?}");
    server.sql("shop", "GRANT SELECT ON SEQUENCE orders_id_seq TO mon");
    let report = watch.check("storage").await;
    let sequence = [("database", "shop"), ("schema", "public"), ("sequence", "orders_id_seq")];
    assert!(value(&report, "postgresql.sequence.used_ratio", &sequence) > 0.0);
    assert_eq!(value(&report, "postgresql.index.invalid_count", &[("database", "shop")]), 0.0);
    assert_baseline(&server, 1).await;
}

#[tokio::test]
async fn a_table_that_was_never_analysed_has_no_row_count() {
    let server = server(&[("autovacuum", "off"), ("track_counts", "off")]);
    server.sql("postgres", "CREATE TABLE fresh AS SELECT generate_series(1, 1000) AS n");
    let mut watch = watch(&server);
    let report = watch.check("storage").await;
    let labels = [("table", "fresh")];
    assert_eq!(absent(&report, "postgresql.table.rows_count", &labels), Absent::NotKnown);
    assert!(value(&report, "postgresql.table.total_bytes", &labels) > 30_000.0);
}

#[tokio::test]
async fn a_locked_table_is_estimated_and_not_waited_for() {
    let server = server(&[]);
    server.sql("postgres", "CREATE TABLE busy AS SELECT generate_series(1, 10000) AS n; ANALYZE busy");
    let mut holder = server.session("postgres");
    holder.send("BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE; SELECT 'held';");
    assert_eq!(holder.line(), "held");
    let mut watch = watch(&server);
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    let reading = find(&report, "postgresql.table.total_bytes", &[("table", "busy")]).unwrap();
    assert!(matches!(reading.value, ReadingValue::Estimate(bytes) if bytes > 300_000.0), "{reading:?}");
    assert!(find(&report, "postgresql.table.heap_bytes", &[("table", "busy")]).is_none());
    holder.send("COMMIT; SELECT 'done';");
    holder.line();
    let report = watch.check_within("storage", SOON).await;
    let reading = find(&report, "postgresql.table.total_bytes", &[("table", "busy")]).unwrap();
    assert!(matches!(reading.value, ReadingValue::Exact(_)), "{reading:?}");
}

#[tokio::test]
async fn failing_archiving_is_seen() {
    let server = server(&[("archive_mode", "on"), ("archive_command", "false"), ("wal_level", "replica")]);
    server.sql("postgres", "CREATE TABLE t AS SELECT 1 AS n; SELECT pg_switch_wal()");
    wise_testbed::until("archiving has failed", || {
        let failed = server.sql("postgres", "SELECT failed_count > 0 FROM pg_stat_archiver");
        if failed == "t" { Ok(()) } else { Err(failed) }
    });
    let mut watch = watch(&server);
    let report = watch.check("storage").await;
    assert_eq!(value(&report, "postgresql.archive.failing_state", &[]), 1.0);
    assert!(value(&report, "postgresql.archive.ready_count", &[]) >= 1.0);
}

#[tokio::test]
async fn extensions_are_used_where_they_are() {
    let server = server(&[("shared_preload_libraries", "pg_stat_statements")]);
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pgstattuple; \
         CREATE TABLE holes AS SELECT repeat('x', 1000) AS note, n FROM generate_series(1, 3000) AS n; \
         DELETE FROM holes WHERE n % 2 = 0",
    );
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "bloat": true}));
    let report = watch.check("storage").await;
    assert_eq!(report.failure, None);
    assert!(value(&report, "postgresql.statements.calls_total", &[]) > 0.0);
    assert!(value(&report, "postgresql.statement.seconds_total", &[("database", "postgres")]) > 0.0);
    assert!(value(&report, "postgresql.table.bloat_bytes", &[("table", "holes")]) > 500_000.0);
    server.sql("postgres", "TRUNCATE holes");
    let report = watch.check("storage").await;
    let kept = value(&report, "postgresql.table.bloat_bytes", &[("table", "holes")]);
    assert!(kept > 500_000.0, "measured every two hours, and told until then");
}

#[tokio::test]
async fn a_full_disk_has_its_class_and_the_probes_go_on() {
    let Some(disk) = SmallDisk::mount(8, "postgres") else { return };
    let server = server(&[("work_mem", "64kB")]);
    let path = disk.path().display();
    server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{path}'"));
    server.sql(
        "postgres",
        "GRANT CREATE ON TABLESPACE small TO mon; ALTER ROLE mon SET temp_tablespaces = 'small'",
    );
    server.sql("postgres", "CREATE TABLE filler (t text) TABLESPACE small");
    let filling = "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    assert!(server.try_sql("postgres", filling).unwrap_err().contains("No space left"));
    // There is no room for a second file: TRUNCATE would make one.
    server.sql("postgres", "DROP TABLE filler");
    server.sql("postgres", "CREATE TABLE filler (t text) TABLESPACE small");
    server.sql("postgres", "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 4000)");
    let sorting = "SELECT count(*) AS n FROM (SELECT DISTINCT repeat('y', 100) || i AS t FROM generate_series(1, 200000) AS i) AS s";
    let settings = json!({"url": server.url(), "queries": [{"name": "sorting", "sql": sorting}]});
    let mut watch = Watch::new(&REGISTERED, settings);
    let (class, code, message) = watch.failure("queries", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("writes_fail", "53100"), "{message}");
    for probe in ["availability", "activity", "storage"] {
        assert_eq!(watch.check(probe).await.failure, None, "{probe}");
    }
}
