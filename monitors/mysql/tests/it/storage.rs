use serde_json::json;
use wise_core::ReadingValue;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{SmallDisk, Watch, find, value};

use crate::{SOON, assert_baseline, server, watch};

#[tokio::test]
async fn databases_and_their_largest_tables_are_measured() {
    let server = server(&[]);
    server.sql(
        "CREATE DATABASE `my-shop`; CREATE TABLE `my-shop`.`order lines` (id int AUTO_INCREMENT PRIMARY KEY, note char(200), KEY (note)); \
         INSERT INTO `my-shop`.`order lines` (note) SELECT REPEAT('x', 200) FROM seq_1_to_20000; \
         CREATE TABLE `my-shop`.tiny (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO `my-shop`.tiny VALUES (126); \
         CREATE TABLE `my-shop`.wide (id bigint unsigned AUTO_INCREMENT PRIMARY KEY); INSERT INTO `my-shop`.wide VALUES (9223372036854775807); \
         CREATE TABLE `my-shop`.aria (n int) ENGINE=Aria; ANALYZE TABLE `my-shop`.`order lines`",
    );
    let mut watch =
        Watch::new(&REGISTERED, json!({"url": server.url(), "top_tables": 2, "quota_bytes": 1_000_000_000}));
    let report = watch.check("storage").await;
    assert_eq!(report.failure, None);
    let lines = [("database", "my-shop"), ("table", "order lines")];
    let file = value(&report, "mysql.table.file_bytes", &lines);
    assert!(file > 5e6, "{file}");
    let rows = find(&report, "mysql.table.rows_count", &lines).unwrap();
    let ReadingValue::Estimate(rows) = rows.value else { panic!("InnoDB estimates rows: {rows:?}") };
    assert!((10_000.0..40_000.0).contains(&rows), "{rows}");
    let size = value(&report, "mysql.database.size_bytes", &[("database", "my-shop")]);
    assert!(size >= file);
    assert_eq!(value(&report, "mysql.database.tables_count", &[("database", "my-shop")]), 4.0);
    assert!(
        find(&report, "mysql.table.data_bytes", &[("table", "aria")]).is_none(),
        "not among the two largest"
    );
    let all = value(&report, "mysql.server.size_bytes", &[]);
    assert!((value(&report, "mysql.server.quota_used_ratio", &[]) - all / 1e9).abs() < 1e-9 && all >= size);
    let tiny = value(&report, "mysql.auto_increment.used_ratio", &[("table", "tiny")]);
    assert!(tiny > 0.95, "{tiny}");
    let wide = value(&report, "mysql.auto_increment.used_ratio", &[("table", "wide")]);
    assert!((wide - 0.5).abs() < 0.01, "{wide}");
    let again = watch.check("storage").await;
    let kept = value(&again, "mysql.auto_increment.used_ratio", &[("table", "tiny")]);
    assert!(kept > 0.95, "looked at once a day, and told until then");
    assert!(find(&report, "mysql.binlog.total_bytes", &[]).is_none(), "no binary log, no size of it");
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn deleted_rows_do_not_shrink_a_file() {
    let server = server(&[]);
    server.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY, note char(200)); \
         INSERT INTO shop.t SELECT seq, REPEAT('x', 200) FROM seq_1_to_20000",
    );
    let mut watch = watch(&server);
    let labels = [("database", "shop"), ("table", "t")];
    let before = value(&watch.check("storage").await, "mysql.table.file_bytes", &labels);
    server.sql("DELETE FROM shop.t WHERE id > 1000");
    let report = watch.check("storage").await;
    assert!(value(&report, "mysql.table.file_bytes", &labels) >= before);
}

#[tokio::test]
async fn a_table_that_is_locked_for_a_change_holds_up_no_check() {
    let server = server(&[]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY)");
    let mut holder = server.session();
    holder.send("LOCK TABLES shop.t WRITE; SELECT 'held';");
    assert_eq!(holder.line(), "held");
    let mut watch = watch(&server);
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    assert!(value(&report, "mysql.table.file_bytes", &[("table", "t")]) > 0.0);
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn a_full_disk_has_its_class_and_the_probes_go_on() {
    let Some(disk) = SmallDisk::mount(4, "mysql") else { return };
    let server = server(&[&format!("--tmpdir={}", disk.path().display()), "--sort-buffer-size=32768"]);
    let sql = "SELECT CONCAT(REPEAT('y', 200), seq) AS t, seq AS n FROM seq_1_to_100000 ORDER BY 1 DESC LIMIT 90000, 1";
    let settings =
        json!({"url": server.url(), "queries": [{"name": "sorting", "sql": sql, "database": "mysql"}]});
    let mut watch = Watch::new(&REGISTERED, settings);
    let (class, code, message) = watch.failure("queries", SOON).await;
    assert_eq!(class, "writes_fail", "{code} {message}");
    for probe in ["availability", "activity", "storage"] {
        assert_eq!(watch.check(probe).await.failure, None, "{probe}");
    }
}
