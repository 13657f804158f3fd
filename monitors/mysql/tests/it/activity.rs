use serde_json::json;
use wise_core::Absent;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{Watch, absent, evidence, find, number, value};

use crate::{SOON, server, watch};

#[tokio::test]
async fn status_variables_become_readings() {
    let server = server(&["--max-connections=20"]);
    let mut watch = watch(&server);
    // Sessions of the start take a moment to end.
    let is_quiet =
        |report: &wise_core::Report| number(report, "mysql.threads.running_count", &[]) == Some(0.0);
    let report = watch.check_until("our own does not count", "activity", SOON, is_quiet).await;
    assert_eq!(report.failure, None);
    let used = value(&report, "mysql.connections.used_count", &[]);
    assert!((1.0..5.0).contains(&used), "{used}");
    assert!((value(&report, "mysql.connections.used_ratio", &[]) - used / 20.0).abs() < 1e-9);
    assert_eq!(value(&report, "mysql.query.longest_seconds", &[]), 0.0, "nor is our own the longest");
    assert!(value(&report, "mysql.commands_total", &[("command", "select")]) > 0.0);
    for metric in [
        "mysql.queries.total",
        "mysql.innodb.history_list_count",
        "mysql.innodb.buffer_pool_used_ratio",
        "mysql.deadlocks_total",
        "mysql.files.open_count",
        "mysql.rows.changed_total",
    ] {
        assert!(value(&report, metric, &[]) >= 0.0);
    }
    let mut fresh = crate::watch(&server);
    let first = fresh.check_within("activity", SOON).await;
    assert!(find(&first, "mysql.innodb.buffer_pool_hit_ratio", &[]).is_none(), "a ratio needs an interval");
    assert!(find(&report, "mysql.galera.ready_state", &[]).is_none(), "no cluster, no state of it");
    assert_eq!(value(&report, "mysql.queries.slow_total", &[]), 0.0);
}

#[tokio::test]
async fn blocked_sessions_are_counted_and_their_blocker_is_named() {
    let server = server(&[]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.stock (id int PRIMARY KEY, n int); INSERT INTO shop.stock VALUES (1, 1)");
    let mut holder = server.session();
    holder.send("BEGIN; UPDATE shop.stock SET n = 7 WHERE id = 1; SELECT 'held';");
    assert_eq!(holder.line(), "held");
    let mut waiter = server.session();
    waiter.send("UPDATE shop.stock SET n = 424242 WHERE id = 1;");
    let mut watch = watch(&server);
    let is_blocked = |report: &wise_core::Report| evidence(report).contains("blocked_by");
    let report = watch.check_until("blocked", "activity", SOON, is_blocked).await;
    assert_eq!(value(&report, "mysql.locks.blocked_count", &[]), 1.0);
    let shown = evidence(&report);
    assert!(
        shown.contains("UPDATE shop.stock SET n = ? WHERE id = ?") && !shown.contains("424242"),
        "{shown}"
    );
    holder.send("COMMIT;");
    let is_free = |report: &wise_core::Report| number(report, "mysql.locks.blocked_count", &[]) == Some(0.0);
    assert_eq!(watch.check_until("free", "activity", SOON, is_free).await.failure, None);
}

#[tokio::test]
async fn a_long_query_and_an_open_transaction_are_timed() {
    let server = server(&[]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY) ENGINE=InnoDB");
    let mut open = server.session();
    open.send("BEGIN; INSERT INTO shop.t VALUES (1); SELECT 'open';");
    assert_eq!(open.line(), "open");
    let mut long = server.session();
    long.send("SELECT SLEEP(30);");
    let mut watch = watch(&server);
    let is_wanted = |report: &wise_core::Report| {
        number(report, "mysql.query.longest_seconds", &[]).is_some_and(|seconds| seconds > 0.2)
            && number(report, "mysql.transaction.longest_seconds", &[]).is_some_and(|seconds| seconds >= 1.0)
    };
    let report = watch.check_until("long", "activity", SOON, is_wanted).await;
    assert!(evidence(&report).contains("SLEEP(?)"));
}

#[tokio::test]
async fn deadlocks_are_counted() {
    let server = server(&[]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.d (id int PRIMARY KEY, n int); INSERT INTO shop.d VALUES (1, 1), (2, 2)");
    let mut watch = watch(&server);
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
    let (mut one, mut two) = (server.session(), server.session());
    one.send("BEGIN; UPDATE shop.d SET n = 0 WHERE id = 1; SELECT 'held';");
    two.send("BEGIN; UPDATE shop.d SET n = 0 WHERE id = 2; SELECT 'held';");
    assert_eq!((one.line(), two.line()), ("held".to_owned(), "held".to_owned()));
    one.send("UPDATE shop.d SET n = 0 WHERE id = 2;");
    two.send("UPDATE shop.d SET n = 0 WHERE id = 1;");
    let is_wanted =
        |report: &wise_core::Report| number(report, "mysql.deadlocks.recent_count", &[]) == Some(1.0);
    let report = watch.check_until("a deadlock", "activity", SOON, is_wanted).await;
    assert_eq!(value(&report, "mysql.deadlocks_total", &[]), 1.0);
}

#[tokio::test]
async fn what_a_plain_user_may_not_see_is_absent_and_never_zero() {
    let server = server(&["--log-bin", "--server-id=1"]);
    server.sql("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'plain-pw'; CREATE DATABASE shop; CREATE TABLE shop.t (n int)");
    let url = server.url().replace("mon:s3cret-pw", "plain:plain-pw");
    let mut watch = Watch::new(&REGISTERED, json!({"url": url}));
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(report.failure, None);
    for metric in ["mysql.query.longest_seconds", "mysql.transaction.longest_seconds"] {
        let why = absent(&report, metric, &[]);
        assert!(
            matches!(&why, Absent::NoPermission(grant) if grant.contains("PROCESS")),
            "{metric}: {why:?}"
        );
    }
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    for metric in ["mysql.server.size_bytes", "mysql.table.file_bytes", "mysql.binlog.total_bytes"] {
        assert!(matches!(absent(&report, metric, &[]), Absent::NoPermission(_)), "{metric}");
    }
    let report = watch.check_within("replication", SOON).await;
    let failure = report.failure.as_ref().unwrap();
    assert_eq!(failure.class.name, "permission");
    assert!(failure.message.contains("GRANT SLAVE MONITOR"), "{}", failure.message);
    assert!(matches!(absent(&report, "mysql.replica.channels_count", &[]), Absent::NoPermission(_)));
}
