use serde_json::json;
use wise_core::{Absent, Report};
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{MariaDb, Watch, absent, code, eventually, evidence, number, value};

use crate::{SOON, assert_baseline};

const LAG: &str = "mysql.replica.lag_seconds";

fn pair() -> (MariaDb, MariaDb) {
    let primary = crate::server(MariaDb::PRIMARY);
    primary.add_replication_user();
    let replica = MariaDb::replica_of(&primary, &[]);
    (primary, replica)
}

async fn in_step(watch: &mut Watch) -> Report {
    let is_wanted = |report: &Report| report.failure.is_none() && number(report, LAG, &[]) == Some(0.0);
    watch.check_until("in step", "replication", SOON, is_wanted).await
}

/// The monitor's user comes to the replica by replication.
async fn watch_replica(replica: &MariaDb) -> Watch {
    eventually("the user is there", || {
        let users = replica.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'mon'");
        if users == "1" { Ok(()) } else { Err(replica.sql("SHOW ALL SLAVES STATUS\\G")) }
    })
    .await;
    Watch::new(&REGISTERED, json!({"url": replica.url(), "expected_role": "replica"}))
}

#[tokio::test]
async fn a_healthy_pair_has_no_lag() {
    let (primary, replica) = pair();
    let mut on_replica = watch_replica(&replica).await;
    let report = in_step(&mut on_replica).await;
    assert_eq!(value(&report, "mysql.replica.channels_count", &[]), 1.0);
    assert_eq!(value(&report, "mysql.replica.io_running_state", &[]), 1.0);
    assert_eq!(value(&report, "mysql.replica.gtid_unapplied_count", &[]), 0.0);
    let mut on_primary = Watch::new(&REGISTERED, json!({"url": primary.url(), "expected_replicas": 1}));
    let report = on_primary.check_within("replication", SOON).await;
    assert_eq!(
        (report.failure.as_ref(), value(&report, "mysql.replication.replicas_count", &[])),
        (None, 1.0)
    );
    assert_eq!(value(&report, "mysql.replica.channels_count", &[]), 0.0);
    let report = on_primary.check("storage").await;
    assert!(value(&report, "mysql.binlog.total_bytes", &[]) > 0.0);
    assert_baseline(&primary, 1).await;
}

#[tokio::test]
async fn stopped_threads_are_failures_and_their_lag_unknown() {
    let (_primary, replica) = pair();
    let mut watch = watch_replica(&replica).await;
    in_step(&mut watch).await;
    replica.sql("STOP SLAVE SQL_THREAD");
    let report = watch.check_within("replication", SOON).await;
    assert_eq!((report.failure.as_ref().unwrap().class.name, code(&report)), ("replication", "sql_stopped"));
    assert_eq!(absent(&report, LAG, &[]), Absent::NotKnown, "NULL is not zero");
    replica.sql("START SLAVE; STOP SLAVE IO_THREAD");
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(code(&report), "io_stopped");
    replica.sql("START SLAVE");
    in_step(&mut watch).await;
    replica.sql("STOP SLAVE; RESET SLAVE ALL");
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(code(&report), "not_configured", "a row that is gone is no health");
}

#[tokio::test]
async fn a_broken_applier_shows_its_error_without_the_data() {
    let (primary, replica) = pair();
    let mut watch = watch_replica(&replica).await;
    primary.sql("CREATE DATABASE shop; CREATE TABLE shop.t (mail varchar(50) PRIMARY KEY)");
    eventually("the table is there", || replica.try_sql("SELECT 1 FROM shop.t")).await;
    replica.sql("SET SESSION sql_log_bin = 0; INSERT INTO shop.t VALUES ('pl4nted@example.com')");
    primary.sql("INSERT INTO shop.t VALUES ('pl4nted@example.com')");
    let is_broken = |report: &Report| code(report) == "sql_stopped";
    let report = watch.check_until("broken", "replication", SOON, is_broken).await;
    let shown = evidence(&report);
    assert!(shown.contains("1062") && !shown.contains("pl4nted"), "{shown}");
    assert!(report.failure.unwrap().message.contains("1062"));
}

#[tokio::test]
async fn a_stopped_primary_is_connecting_and_a_writable_replica_is_told() {
    let (mut primary, replica) = pair();
    let mut watch = watch_replica(&replica).await;
    in_step(&mut watch).await;
    replica.sql("SET GLOBAL read_only = OFF");
    assert_eq!(code(&watch.check_within("replication", SOON).await), "writable_replica");
    replica.sql("SET GLOBAL read_only = ON");
    primary.service.stop();
    let is_wanted = |report: &Report| code(report) == "io_connecting";
    let report = watch.check_until("connecting", "replication", SOON, is_wanted).await;
    assert_eq!(value(&report, "mysql.replica.io_running_state", &[]), 2.0);
    assert_eq!(absent(&report, LAG, &[]), Absent::NotKnown);
    assert_eq!(watch.check_within("availability", SOON).await.failure, None, "the replica itself is up");
}

#[tokio::test]
async fn a_frozen_primary_is_silent_though_the_server_says_yes_and_zero() {
    let (mut primary, replica) = pair();
    let mut watch = watch_replica(&replica).await;
    replica.sql("STOP SLAVE; CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 0.5; START SLAVE");
    in_step(&mut watch).await;
    primary.service.freeze();
    let is_silent = |report: &Report| code(report) == "source_silent";
    let report = watch.check_until("silent", "replication", SOON, is_silent).await;
    assert_eq!(absent(&report, LAG, &[]), Absent::NotKnown);
    assert_eq!(value(&report, "mysql.replica.io_running_state", &[]), 1.0, "the server itself sees nothing");
    assert!(value(&report, "mysql.replica.source_silent_seconds", &[]) > 1.0);
    primary.service.thaw();
    in_step(&mut watch).await;
}

#[tokio::test]
async fn a_replica_that_stops_is_missed() {
    let (primary, mut replica) = pair();
    let mut watch = Watch::new(&REGISTERED, json!({"url": primary.url(), "expected_replicas": 1}));
    // The primary notices a connection that is gone when it next writes to it.
    replica.sql("STOP SLAVE; CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 0.2; START SLAVE");
    watch.check_until("connected", "replication", SOON, |report| report.failure.is_none()).await;
    replica.service.stop();
    let is_missed = |report: &Report| code(report) == "replica_missing";
    let report = watch.check_until("missed", "replication", SOON, is_missed).await;
    assert_eq!(value(&report, "mysql.replication.replicas_count", &[]), 0.0);
}

#[tokio::test]
async fn a_heartbeat_table_gives_the_lag() {
    let server = crate::server(&[]);
    server.sql("CREATE DATABASE beats; CREATE TABLE beats.heartbeat (ts datetime(6)); INSERT INTO beats.heartbeat VALUES (NOW(6) - INTERVAL 42 SECOND)");
    let mut watch =
        Watch::new(&REGISTERED, json!({"url": server.url(), "heartbeat_table": "beats.heartbeat"}));
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(report.failure, None);
    let lag = value(&report, "mysql.replica.heartbeat_lag_seconds", &[]);
    assert!((42.0..50.0).contains(&lag), "{lag}");
    server.sql("DELETE FROM beats.heartbeat");
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(absent(&report, "mysql.replica.heartbeat_lag_seconds", &[]), Absent::NotKnown);
    assert_eq!(crate::watch(&server).check_within("replication", SOON).await.failure, None);
}
