use serde_json::json;
use wise_core::{Absent, Report};
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Postgres, Watch, absent, code, eventually, evidence, fact, number, value};

use crate::{SOON, assert_baseline, watch};

/// Signs of life every second, so that silence is noticed soon.
const LIVELY: [(&str, &str); 2] = [("wal_sender_timeout", "4s"), ("wal_receiver_timeout", "4s")];

fn pair(settings: &[(&str, &str)]) -> (Postgres, Postgres) {
    let primary = crate::server(&[&LIVELY, settings].concat());
    let standby = Postgres::standby_of(&primary, &LIVELY);
    (primary, standby)
}

#[tokio::test]
async fn a_healthy_pair_has_no_lag_on_either_side() {
    let (primary, standby) = pair(&[]);
    let mut on_primary = Watch::new(&REGISTERED, json!({"url": primary.url(), "expected_replicas": 1}));
    let report =
        on_primary.check_until("streaming", "replication", SOON, |report| report.failure.is_none()).await;
    assert_eq!(value(&report, "postgresql.replication.standbys_count", &[]), 1.0);
    let labels = [("standby", "walreceiver")];
    assert_eq!(value(&report, "postgresql.replication.standby_state", &labels), 0.0);
    let report = on_primary
        .check_until("caught up", "replication", SOON, |report| {
            number(report, "postgresql.replication.replay_lag_bytes", &labels) == Some(0.0)
        })
        .await;
    assert!(value(&report, "postgresql.replication.replay_lag_seconds", &labels) < 5.0);
    assert_eq!(value(&report, "postgresql.slot.active_state", &[("slot", "standby")]), 1.0);
    assert!(value(&report, "postgresql.wal.generated_bytes_total", &[]) > 0.0);
    let mut on_standby = watch(&standby);
    let report = on_standby
        .check_until("no lag", "replication", SOON, |report| {
            number(report, "postgresql.replication.lag_seconds", &[]) == Some(0.0)
        })
        .await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "postgresql.walreceiver.streaming_state", &[]), 1.0);
    let report = on_standby.check_within("availability", SOON).await;
    assert_eq!((fact(&report, "role"), report.failure.as_ref()), (Some("standby"), None));
    assert_baseline(&primary, 1).await;
}

#[tokio::test]
async fn a_standby_that_stops_is_missed_and_its_slot_keeps_log() {
    let (primary, mut standby) = pair(&[]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": primary.url(), "expected_replicas": 1}));
    watch.check_until("streaming", "replication", SOON, |report| report.failure.is_none()).await;
    standby.stop();
    let report =
        watch.check_until("missing", "replication", SOON, |report| code(report) == "standby_missing").await;
    assert_eq!(report.failure.as_ref().unwrap().class.name, "replication");
    assert_eq!(value(&report, "postgresql.slot.active_state", &[("slot", "standby")]), 0.0);
    assert!(value(&report, "postgresql.slot.inactive_seconds", &[("slot", "standby")]) >= 0.0);
    primary.sql("postgres", "CREATE TABLE filler AS SELECT generate_series(1, 10000) AS n");
    let report = watch.check_within("replication", SOON).await;
    assert!(value(&report, "postgresql.slot.retained_bytes", &[("slot", "standby")]) > 100_000.0);
    assert!(evidence(&report).contains("retained_bytes"));
}

#[tokio::test]
async fn a_paused_replay_is_seen_from_both_sides() {
    let (primary, standby) = pair(&[]);
    // A lag is counted from a transaction that was replayed.
    primary.sql("postgres", "CREATE TABLE first (n int)");
    eventually("replayed", || standby.try_sql("postgres", "SELECT n FROM first")).await;
    standby.sql("postgres", "SELECT pg_wal_replay_pause()");
    primary.sql("postgres", "CREATE TABLE filler AS SELECT generate_series(1, 10000) AS n");
    let mut watch = watch(&standby);
    let report = watch
        .check_until("lag grows", "replication", SOON, |report| {
            number(report, "postgresql.replication.lag_seconds", &[]).is_some_and(|lag| lag > 0.1)
        })
        .await;
    assert_eq!(value(&report, "postgresql.replay.paused_state", &[]), 1.0);
    assert!(value(&report, "postgresql.replication.unreplayed_bytes", &[]) > 100_000.0);
    let mut on_primary = crate::watch(&primary);
    let behind = |report: &Report| number(report, "postgresql.replication.replay_lag_bytes", &[]);
    on_primary
        .check_until("behind", "replication", SOON, |report| {
            behind(report).is_some_and(|bytes| bytes > 100_000.0)
        })
        .await;
}

#[tokio::test]
async fn a_frozen_primary_is_silent_and_its_standbys_lag_unknown() {
    let (mut primary, standby) = pair(&[]);
    let mut watch = watch(&standby);
    watch
        .check_until("no lag", "replication", SOON, |report| {
            number(report, "postgresql.replication.lag_seconds", &[]) == Some(0.0)
        })
        .await;
    // Every process of the primary stops where it stands, the connection stays open.
    let senders = primary.sql("postgres", "SELECT pid FROM pg_stat_replication");
    for pid in senders.lines() {
        wise_testbed::signal(pid.parse().unwrap(), "STOP");
    }
    primary.service.freeze();
    let report =
        watch.check_until("silence is noticed", "replication", SOON, |report| report.failure.is_some()).await;
    assert!(matches!(code(&report), "primary_silent" | "receiver_stopped"), "{:?}", report.failure);
    assert_eq!(
        absent(&report, "postgresql.replication.lag_seconds", &[]),
        Absent::NotKnown,
        "zero would be a lie"
    );
    for pid in senders.lines() {
        wise_testbed::signal(pid.parse().unwrap(), "CONT");
    }
    primary.service.thaw();
    watch.check_until("recovery", "replication", SOON, |report| report.failure.is_none()).await;
}

#[tokio::test]
async fn a_stopped_primary_stops_the_receiver() {
    let (mut primary, standby) = pair(&[]);
    let mut watch = watch(&standby);
    watch.check_until("streaming", "replication", SOON, |report| report.failure.is_none()).await;
    primary.stop();
    let report =
        watch.check_until("stopped", "replication", SOON, |report| code(report) == "receiver_stopped").await;
    assert_eq!(value(&report, "postgresql.walreceiver.streaming_state", &[]), 0.0);
    assert_eq!(absent(&report, "postgresql.replication.lag_seconds", &[]), Absent::NotKnown);
}

#[tokio::test]
async fn a_lost_slot_is_a_failure_and_not_silence() {
    let (primary, mut standby) =
        pair(&[("min_wal_size", "32MB"), ("max_wal_size", "32MB"), ("wal_keep_size", "0")]);
    let mut watch = watch(&primary);
    watch
        .check_until("streaming", "replication", SOON, |report| {
            value(report, "postgresql.replication.standbys_count", &[]) == 1.0
        })
        .await;
    standby.stop();
    // Only now: the copy of the standby needs the log for longer.
    primary.sql("postgres", "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    primary.sql("postgres", "SELECT pg_reload_conf()");
    for _ in 0..4 {
        primary.sql(
            "postgres",
            "CREATE TABLE filler AS SELECT generate_series(1, 200000) AS n; DROP TABLE filler",
        );
        primary.sql("postgres", "SELECT pg_switch_wal()");
        primary.sql("postgres", "CHECKPOINT");
    }
    let report = watch.check_until("lost", "replication", SOON, |report| code(report) == "slot_lost").await;
    assert_eq!(value(&report, "postgresql.slot.wal_status_state", &[("slot", "standby")]), 3.0);
    assert_eq!(absent(&report, "postgresql.slot.retained_bytes", &[("slot", "standby")]), Absent::NotKnown);
    assert!(report.failure.unwrap().message.contains("standby"));
}

#[tokio::test]
async fn a_promotion_raises_the_timeline() {
    let (_primary, standby) = pair(&[]);
    let mut watch = watch(&standby);
    assert_eq!(
        value(&watch.check_within("availability", SOON).await, "postgresql.server.role_state", &[]),
        1.0
    );
    standby.sql("postgres", "SELECT pg_promote()");
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(value(&report, "postgresql.server.role_state", &[]), 0.0);
    standby.sql("postgres", "CHECKPOINT");
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(value(&report, "postgresql.server.timeline_count", &[]), 2.0);
}
