//! Parts that a server names alike, and that are series of their own for all that.

use std::collections::BTreeSet;

use serde_json::json;
use wise_core::{Absent, Labels, Report};
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Postgres, Watch, absent, eventually, find, value};

use crate::{SOON, server, watch};

const LAG: &str = "postgresql.replication.replay_lag_bytes";

/// The labels of a metric's series.
fn labels(report: &Report, metric: &str) -> Vec<Labels> {
    let all = report.readings.iter().filter(|reading| reading.metric.name() == metric);
    all.map(|reading| reading.labels.clone()).collect()
}

fn standbys(report: &Report) -> BTreeSet<String> {
    let shown = labels(report, "postgresql.replication.standby_state").into_iter().map(|labels| {
        let pairs = labels.pairs().iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    });
    shown.collect()
}

async fn streaming(watch: &mut Watch, count: f64) -> Report {
    let metric = "postgresql.replication.standbys_count";
    watch.check_until("streaming", "replication", SOON, |report| value(report, metric, &[]) == count).await
}

#[tokio::test]
async fn two_standbys_with_the_default_name_are_told_apart_by_their_slots() {
    let primary = server(&[]);
    let one = Postgres::standby_through(&primary, Some("one"), &[]);
    let mut two = Postgres::standby_through(&primary, Some("two"), &[]);
    let mut watch = watch(&primary);
    streaming(&mut watch, 2.0).await;
    one.sql("postgres", "SELECT pg_wal_replay_pause()");
    primary.sql("postgres", "CREATE TABLE filler AS SELECT generate_series(1, 10000) AS n");
    // One is behind, and the other does not hide it.
    let report = watch
        .check_until("one is behind", "replication", SOON, |report| {
            let behind = |slot| value(report, LAG, &[("standby", "walreceiver"), ("slot", slot)]);
            behind("one") > 100_000.0 && behind("two") == 0.0
        })
        .await;
    let before = standbys(&report);
    assert_eq!(
        before,
        BTreeSet::from([
            "address=127.0.0.1 slot=one standby=walreceiver".to_owned(),
            "address=127.0.0.1 slot=two standby=walreceiver".to_owned()
        ])
    );
    // A new connection has another port, and goes on in the same series.
    two.stop();
    streaming(&mut watch, 1.0).await;
    two.start_again();
    assert_eq!(standbys(&streaming(&mut watch, 2.0).await), before);
}

#[tokio::test]
async fn standbys_without_slots_have_the_ports_of_their_connections_where_they_are_alike() {
    let primary = server(&[]);
    let one = Postgres::standby_through(&primary, None, &[]);
    let mut watch = watch(&primary);
    let alone = standbys(&streaming(&mut watch, 1.0).await);
    assert_eq!(alone, BTreeSet::from(["address=127.0.0.1 standby=walreceiver".to_owned()]));
    // A temporary slot is another one at each connection: it says nothing.
    let mut two = Postgres::standby_through(&primary, None, &[("wal_receiver_create_temp_slot", "on")]);
    one.sql("postgres", "SELECT pg_wal_replay_pause()");
    primary.sql("postgres", "CREATE TABLE filler AS SELECT generate_series(1, 10000) AS n");
    let report = watch
        .check_until("one is behind", "replication", SOON, |report| {
            let all = report.readings.iter().filter(|reading| reading.metric.name() == LAG);
            let behind: Vec<f64> = all.filter_map(|reading| reading.value.number()).collect();
            behind.len() == 2 && behind.iter().any(|bytes| *bytes > 100_000.0) && behind.contains(&0.0)
        })
        .await;
    let ports = primary.sql("postgres", "SELECT client_port FROM pg_stat_replication");
    let expected = ports.lines().map(|port| format!("address=127.0.0.1 port={port} standby=walreceiver"));
    assert_eq!(standbys(&report), expected.collect());
    two.stop();
    assert_eq!(standbys(&streaming(&mut watch, 1.0).await), alone);
}

#[tokio::test]
async fn standbys_on_a_unix_socket_have_no_port() {
    let primary = server(&[]);
    let conninfo = format!("host={} port={} user=postgres", primary.socket_folder().display(), primary.port);
    let through_socket = [("primary_conninfo", conninfo.as_str())];
    let _standbys = [(); 2].map(|()| Postgres::standby_through(&primary, None, &through_socket));
    let report = streaming(&mut watch(&primary), 2.0).await;
    let pids = primary.sql("postgres", "SELECT pid FROM pg_stat_replication");
    let expected = pids.lines().map(|pid| format!("address=local pid={pid} standby=walreceiver"));
    assert_eq!(standbys(&report), expected.collect());
}

#[tokio::test]
async fn without_the_right_to_see_them_one_reading_stands_for_all_standbys() {
    let primary = server(&[]);
    let _standbys = [(); 2].map(|()| Postgres::standby_through(&primary, None, &[]));
    streaming(&mut watch(&primary), 2.0).await;
    primary.sql("postgres", "REVOKE pg_monitor FROM mon");
    let report = watch(&primary).check("replication").await;
    assert_eq!(labels(&report, LAG), [Labels::default()]);
    assert!(matches!(absent(&report, LAG, &[]), Absent::NoPermission(_)));
}

#[tokio::test]
async fn dots_in_names_move_nothing_from_schema_to_name() {
    let server = server(&[]);
    server.sql("postgres", r#"CREATE DATABASE "a.b""#);
    server.sql(
        "a.b",
        r#"CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE SEQUENCE a."b.c" MAXVALUE 10;
           CREATE SEQUENCE "a.b".c MAXVALUE 100; SELECT setval('a."b.c"', 10), setval('"a.b".c', 2);
           GRANT SELECT ON ALL SEQUENCES IN SCHEMA a, "a.b" TO mon;
           CREATE TABLE a."b.t" AS SELECT generate_series(1, 10000) AS n; CREATE TABLE "a.b".t (n int); ANALYZE"#,
    );
    let report = watch(&server).check("storage").await;
    assert_eq!(report.failure, None);
    let used = |schema, sequence| {
        let labels = [("database", "a.b"), ("schema", schema), ("sequence", sequence)];
        value(&report, "postgresql.sequence.used_ratio", &labels)
    };
    assert_eq!(used("a", "b.c"), 1.0);
    assert!(used("a.b", "c") < 0.1);
    let size = |schema, table| {
        let labels = [("database", "a.b"), ("schema", schema), ("table", table)];
        value(&report, "postgresql.table.total_bytes", &labels)
    };
    assert!(size("a", "b.t") > 300_000.0 && size("a.b", "t") == 0.0);
}

#[tokio::test]
async fn names_that_differ_in_case_or_end_alike_are_parts_of_their_own() {
    let server = server(&[]);
    let long = "x".repeat(62);
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("postgres", r#"CREATE DATABASE "Shop""#);
    server.sql(
        "shop",
        &format!(
            "CREATE TABLE orders (n serial); CREATE TABLE \"Orders\" (n serial); CREATE TABLE {long}a (n int); \
             CREATE TABLE {long}b (n int); CREATE TABLE \" \" (n int); CREATE TABLE \"\u{fffd}\" (n int)"
        ),
    );
    let report = watch(&server).check("storage").await;
    assert_eq!(report.failure, None);
    for table in ["orders", "Orders", &format!("{long}a"), &format!("{long}b"), " ", "\u{fffd}"] {
        let labels = [("database", "shop"), ("table", table)];
        assert!(find(&report, "postgresql.table.total_bytes", &labels).is_some(), "{table}");
    }
    assert!(find(&report, "postgresql.database.size_bytes", &[("database", "Shop")]).is_some());
}

#[tokio::test]
async fn a_right_that_is_missing_in_two_databases_is_told_of_each() {
    let server = server(&[]);
    for database in ["one", "two"] {
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        server.sql(
            database,
            "CREATE EXTENSION pgstattuple; REVOKE EXECUTE ON FUNCTION pgstattuple_approx FROM pg_stat_scan_tables; \
             CREATE TABLE holes AS SELECT repeat('x', 1000) AS note FROM generate_series(1, 3000); ANALYZE",
        );
    }
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "bloat": true}));
    let report = watch.check("storage").await;
    for database in ["one", "two"] {
        let why = absent(&report, "postgresql.table.bloat_bytes", &[("database", database)]);
        assert!(matches!(why, Absent::NoPermission(_)), "{why:?}");
    }
}

#[tokio::test]
async fn statements_and_connections_of_many_databases_come_once() {
    let server = server(&[("shared_preload_libraries", "pg_stat_statements")]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    for database in ["one", "two", "gone", "lost"] {
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        server.sql(database, "SELECT pg_sleep(0.2)");
    }
    // What is left of both has no name any more.
    server.sql("postgres", "DROP DATABASE gone");
    server.sql("postgres", "DROP DATABASE lost");
    let _sessions = [server.session("one"), server.session("two")];
    let mut watch = watch(&server);
    assert_eq!(watch.check("storage").await.failure, None);
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname IN ('one', 'two')";
    eventually("both sessions are there", || {
        let count = server.sql("postgres", count);
        if count == "2" { Ok(()) } else { Err(count) }
    })
    .await;
    let report = watch.check("activity").await;
    for database in ["one", "two"] {
        let metric = "postgresql.connections.by_database_count";
        assert_eq!(value(&report, metric, &[("database", database)]), 1.0);
    }
}
