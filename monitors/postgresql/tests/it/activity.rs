use serde_json::json;
use wise_core::Absent;
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Watch, absent, evidence, find, number, value};

use crate::{SOON, server, watch};

#[tokio::test]
async fn connections_are_counted_without_the_monitors_own_load() {
    let server = server(&[("max_connections", "23")]);
    let mut watch = watch(&server);
    let mut session = server.session("postgres");
    session.send("SELECT 'here';");
    session.line();
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "postgresql.connections.usable_count", &[]), 20.0);
    let used = value(&report, "postgresql.connections.used_count", &[]);
    assert!(used >= 2.0, "the session and our own hold places: {used}");
    let ratio = value(&report, "postgresql.connections.used_ratio", &[]);
    assert!((ratio - used / 20.0).abs() < 1e-9);
    assert_eq!(value(&report, "postgresql.connections.by_state_count", &[("state", "idle")]), 1.0);
    assert!(
        find(&report, "postgresql.connections.by_state_count", &[("state", "active")]).is_none(),
        "not our own"
    );
    assert_eq!(value(&report, "postgresql.transaction.oldest_seconds", &[]), 0.0);
    for metric in [
        "postgresql.transactions.committed_total",
        "postgresql.deadlocks_total",
        "postgresql.blocks.hit_total",
    ] {
        assert!(value(&report, metric, &[("database", "postgres")]) >= 0.0);
    }
    assert!(find(&report, "postgresql.cache.hit_ratio", &[]).is_none(), "a ratio needs an interval");
}

#[tokio::test]
async fn blocked_sessions_are_counted_and_their_blocker_is_named() {
    let server = server(&[]);
    server.sql("postgres", "CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock VALUES (1, 1)");
    let mut holder = server.session("postgres");
    holder.send("BEGIN; UPDATE stock SET n = 7 WHERE id = 1; SELECT 'held';");
    assert_eq!(holder.line(), "held");
    let mut waiter = server.session("postgres");
    waiter.send("UPDATE stock SET n = 424242 WHERE id = 1;");
    let mut watch = watch(&server);
    let report = watch
        .check_until("reported", "activity", SOON, |report| {
            number(report, "postgresql.locks.blocked_count", &[]) == Some(1.0)
        })
        .await;
    assert!(value(&report, "postgresql.locks.longest_wait_seconds", &[]) > 0.0);
    assert!(value(&report, "postgresql.transaction.idle_longest_seconds", &[]) > 0.0);
    let shown = evidence(&report);
    assert!(shown.contains("UPDATE stock SET n = ? WHERE id = ?") && !shown.contains("424242"), "{shown}");
    assert!(shown.contains("idle in transaction"), "{shown}");
    holder.send("COMMIT;");
    let report = watch
        .check_until("reported", "activity", SOON, |report| {
            number(report, "postgresql.locks.blocked_count", &[]) == Some(0.0)
        })
        .await;
    assert_eq!(report.failure, None);
}

#[tokio::test]
async fn a_long_query_is_timed_and_shown() {
    let server = server(&[]);
    let mut session = server.session("postgres");
    session.send("SELECT pg_sleep(30);");
    let mut watch = watch(&server);
    let report = watch
        .check_until("reported", "activity", SOON, |report| {
            number(report, "postgresql.query.longest_seconds", &[]).is_some_and(|seconds| seconds > 0.2)
        })
        .await;
    assert!(value(&report, "postgresql.transaction.oldest_seconds", &[]) > 0.2);
    assert!(evidence(&report).contains("pg_sleep(?)"));
}

#[tokio::test]
async fn deadlocks_are_counted() {
    let server = server(&[("deadlock_timeout", "50ms")]);
    server.sql("postgres", "CREATE TABLE d (id int PRIMARY KEY, n int); INSERT INTO d VALUES (1, 1), (2, 2)");
    let mut watch = watch(&server);
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
    let (mut one, mut two) = (server.session("postgres"), server.session("postgres"));
    one.send("BEGIN; UPDATE d SET n = 0 WHERE id = 1; SELECT 'held';");
    two.send("BEGIN; UPDATE d SET n = 0 WHERE id = 2; SELECT 'held';");
    assert_eq!((one.line(), two.line()), ("held".to_owned(), "held".to_owned()));
    one.send("UPDATE d SET n = 0 WHERE id = 2;");
    two.send("UPDATE d SET n = 0 WHERE id = 1;");
    // A session passes its statistics on when its transaction is over.
    one.send("ROLLBACK;");
    two.send("ROLLBACK;");
    let report = watch
        .check_until("reported", "activity", SOON, |report| {
            number(report, "postgresql.deadlocks.recent_count", &[]) == Some(1.0)
        })
        .await;
    assert_eq!(value(&report, "postgresql.deadlocks_total", &[("database", "postgres")]), 1.0);
}

#[tokio::test]
async fn what_a_plain_role_may_not_see_is_absent_and_never_zero() {
    let server = server(&[]);
    server.sql("postgres", "CREATE ROLE plain LOGIN PASSWORD 'plain-pw'");
    let mut session = server.session("postgres");
    session.send("SELECT 'here';");
    session.line();
    let url = server.url().replace("mon:s3cret-pw", "plain:plain-pw");
    let mut watch = Watch::new(&REGISTERED, json!({"url": url}));
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(report.failure, None);
    for metric in ["postgresql.query.longest_seconds", "postgresql.transaction.oldest_seconds"] {
        let why = absent(&report, metric, &[]);
        assert!(
            matches!(&why, Absent::NoPermission(grant) if grant.contains("pg_monitor")),
            "{metric}: {why:?}"
        );
    }
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    assert!(matches!(absent(&report, "postgresql.wal.dir_bytes", &[]), Absent::NoPermission(_)));
    server.sql("postgres", "CREATE DATABASE closed; ");
    server.sql("postgres", "REVOKE CONNECT ON DATABASE closed FROM public");
    let report = watch.check_within("storage", SOON).await;
    let why = absent(&report, "postgresql.database.size_bytes", &[("database", "closed")]);
    assert!(matches!(why, Absent::NoPermission(_)));
    assert!(value(&report, "postgresql.database.size_bytes", &[("database", "postgres")]) > 0.0);
}
