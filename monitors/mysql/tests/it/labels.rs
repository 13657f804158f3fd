//! Parts that differ in case, accents or bytes alone, and that are series of their own for all that.

use serde_json::json;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{MariaDb, Watch, find, value};

use crate::{SOON, server, watch};

#[tokio::test]
async fn tables_that_differ_in_case_or_accents_are_told_apart() {
    let server = server(&["--lower-case-table-names=0"]);
    server.sql(
        "CREATE DATABASE shop; CREATE DATABASE Shop; \
         CREATE TABLE shop.orders (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO shop.orders VALUES (126); \
         CREATE TABLE shop.Orders (ID tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO shop.Orders VALUES (1); \
         CREATE TABLE Shop.orders (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO Shop.orders VALUES (12); \
         CREATE TABLE shop.cafe (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO shop.cafe VALUES (50); \
         CREATE TABLE shop.`café` (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO shop.`café` VALUES (100); \
         CREATE TABLE shop.`caf@0p` (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO shop.`caf@0p` VALUES (25)",
    );
    let report = watch(&server).check("storage").await;
    assert_eq!(report.failure, None);
    let metric = "mysql.auto_increment.used_ratio";
    let used = |database, table, column| {
        value(&report, metric, &[("database", database), ("table", table), ("column", column)])
    };
    for (database, table, column, last) in [
        ("shop", "orders", "id", 126.0),
        ("shop", "Orders", "ID", 1.0),
        ("Shop", "orders", "id", 12.0),
        ("shop", "cafe", "id", 50.0),
        ("shop", "café", "id", 100.0),
        ("shop", "caf@0p", "id", 25.0),
    ] {
        let found = used(database, table, column);
        assert!((found - last / 127.0).abs() < 0.001, "{database}.{table}: {found}");
        let labels = [("database", database), ("table", table)];
        assert!(value(&report, "mysql.table.file_bytes", &labels) > 0.0, "{database}.{table} has a file");
        assert!(find(&report, "mysql.table.data_bytes", &labels).is_some(), "and is in the dictionary");
    }
    let listed = report.readings.iter().filter(|reading| reading.metric.name() == metric).count();
    assert_eq!(listed, 6, "each once");
    for (database, tables) in [("shop", 5.0), ("Shop", 1.0)] {
        let labels = [("database", database)];
        assert_eq!(value(&report, "mysql.database.tables_count", &labels), tables, "{database}");
    }
}

#[tokio::test]
async fn dots_and_partitions_in_names_move_nothing_between_database_and_table() {
    let server = server(&[]);
    server.sql(
        "CREATE DATABASE a; CREATE DATABASE `a.b`; CREATE TABLE a.`b.c` (n int); CREATE TABLE `a.b`.c (n int); \
         CREATE TABLE a.`p#P#p0` (n int); CREATE TABLE a.p (n int) PARTITION BY HASH (n) PARTITIONS 2; \
         CREATE TABLE a.`x/y` (n int)",
    );
    let report = watch(&server).check("storage").await;
    assert_eq!(report.failure, None);
    let file = |database, table| {
        value(&report, "mysql.table.file_bytes", &[("database", database), ("table", table)])
    };
    let one = file("a", "b.c");
    for (database, table) in [("a.b", "c"), ("a", "p#P#p0"), ("a", "x/y")] {
        assert_eq!(file(database, table), one, "{database} {table}");
    }
    assert_eq!(file("a", "p"), one * 2.0, "the sum of its partitions");
}

#[tokio::test]
async fn a_database_of_a_user_is_no_database_of_the_server_whatever_its_case() {
    let server = server(&["--lower-case-table-names=0"]);
    server.sql("CREATE DATABASE `MySQL`; CREATE TABLE `MySQL`.t (id tinyint AUTO_INCREMENT PRIMARY KEY); INSERT INTO `MySQL`.t VALUES (5)");
    let report = watch(&server).check("storage").await;
    let labels = [("database", "MySQL"), ("table", "t")];
    assert!(find(&report, "mysql.table.data_bytes", &labels).is_some());
    assert!(find(&report, "mysql.auto_increment.used_ratio", &labels).is_some());
    assert!(find(&report, "mysql.database.size_bytes", &[("database", "mysql")]).is_none());
}

#[tokio::test]
async fn two_channels_are_told_apart() {
    let primary = server(MariaDb::PRIMARY);
    primary.add_replication_user();
    // It gets its users from the primary.
    let replica = MariaDb::start(&["--server-id=2", "--log-bin", "--read-only"]);
    // The second never starts: a server takes no second channel from the same source.
    for (channel, port) in [("east", primary.port), ("west", 1)] {
        replica.sql(&format!(
            "CHANGE MASTER '{channel}' TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='repl', \
             MASTER_PASSWORD='repl-pw', MASTER_USE_GTID=slave_pos"
        ));
    }
    replica.sql("START SLAVE 'east'");
    let user = "SELECT COUNT(*) FROM mysql.user WHERE user = 'mon'";
    wise_testbed::eventually("the monitor's user has come", || match replica.sql(user).as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    })
    .await;
    let mut watch = watch(&replica);
    let running = "mysql.replica.sql_running_state";
    watch
        .check_until("east applies and west does not", "replication", SOON, |report| {
            value(report, running, &[("channel", "east")]) == 1.0
                && value(report, running, &[("channel", "west")]) == 0.0
        })
        .await;
}

#[tokio::test]
async fn rows_that_differ_in_bytes_alone_are_rows_of_their_own() {
    let server = server(&[]);
    let sql = "SELECT UNHEX('FF01') AS id, 1 AS n UNION ALL SELECT UNHEX('FE01'), 2 UNION ALL SELECT REPEAT('x', 300), 3 \
               UNION ALL SELECT CONCAT(REPEAT('x', 300), 'y'), 4";
    let queries = json!([{"name": "a", "sql": sql, "database": "mysql"}]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "queries": queries}));
    let report = watch.check("queries").await;
    assert_eq!(report.failure, None);
    assert_eq!(report.readings.len(), 4);
    assert_eq!(value(&report, "mysql.query.a.n", &[("id", "\u{fffd}ff\u{1}")]), 1.0);
    let queries = json!([{"name": "a", "sql": "SELECT 1 AS n, 2 AS n", "database": "mysql"}]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "queries": queries}));
    let (class, code, message) = watch.failure("queries", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("custom_query", "columns"), "{message}");
    assert!(message.contains("two columns are named `n`"), "{message}");
}
