//! Primary and replica, and how they lose each other.

use serde_json::json;
use wise_testbed::{Redis, fact, find, until, value};

use crate::{SHORT, becomes, class, failed, pair, passes, settles, watch, watch_with};

/// Waits until the replica follows.
fn follows(replica: &Redis) {
    until("the replica follows", || match replica.run("INFO replication") {
        info if info.contains("master_link_status:up") => Ok(()),
        info => Err(info),
    });
}

fn couple(of_primary: &[&str], of_replica: &[&str]) -> (Redis, Redis) {
    let primary = Redis::start(of_primary);
    let replica = Redis::replica_of(&primary, of_replica);
    follows(&replica);
    (primary, replica)
}

#[tokio::test]
async fn both_sides_of_a_healthy_replication_are_read() {
    let (primary, replica) = couple(&[], &[]);
    let mut at_primary =
        watch_with(&primary.url(), json!({"expected_role": "primary", "expected_replicas": 1}));
    let mut at_replica = watch_with(&replica.url(), json!({"expected_role": "replica"}));
    assert_eq!(primary.run("SET a 1"), "OK");
    let online = |r: &wise_core::Report| r.failure.is_none();
    let report = becomes(&mut at_primary, "replication", "the replica is online", online).await;
    let name = format!("127.0.0.1:{}", replica.port);
    let label = [("replica", name.as_str())];
    assert_eq!(value(&report, "redis.role_state", &[]), 0.0);
    assert_eq!(value(&report, "redis.replicas.online_count", &[]), 1.0);
    assert_eq!(value(&report, "redis.replica.online_state", &label), 1.0);
    assert!(value(&report, "redis.replica.lag_bytes", &label) < 1000.0);
    assert!(value(&report, "redis.replica.ack_age_seconds", &label) < 5.0);
    assert_eq!(value(&report, "redis.replication.full_syncs_total", &[]), 1.0);
    assert!(value(&report, "redis.replication.backlog_bytes", &[]) > 0.0);
    let report = at_replica.check("replication").await;
    passes(&report);
    assert_eq!(value(&report, "redis.role_state", &[]), 1.0);
    assert_eq!(value(&report, "redis.replica.link_up_state", &[]), 1.0);
    assert_eq!(value(&report, "redis.replica.read_only_state", &[]), 1.0);
    assert_eq!(value(&report, "redis.replica.link_down_seconds", &[]), 0.0);
    assert_eq!(
        fact(&report, "redis.replication"),
        Some(format!("replica of 127.0.0.1:{}", primary.port).as_str())
    );
    assert!(find(&report, "redis.role_changed_state", &[]).is_none(), "the first check knows of no change");
    // A failover is told once.
    assert_eq!(replica.run("REPLICAOF NO ONE"), "OK");
    let report = at_replica.check("replication").await;
    assert!(failed(&report, "wrong_role", "primary"), "{:?}", report.failure);
    assert_eq!(value(&report, "redis.role_changed_state", &[]), 1.0);
    let report = at_replica.check("replication").await;
    assert_eq!(value(&report, "redis.role_changed_state", &[]), 0.0);
    settles(&primary, "", 1).await;
    settles(&replica, "", 1).await;
}

#[tokio::test]
async fn a_stopped_replica_is_missed() {
    let (primary, mut replica) = couple(&[], &[]);
    let mut expecting = watch_with(&primary.url(), json!({"expected_replicas": 1}));
    let mut watch = watch(&primary.url());
    becomes(&mut expecting, "replication", "the replica is online", |r| r.failure.is_none()).await;
    becomes(&mut watch, "replication", "the replica is online", |r| {
        value(r, "redis.replicas.online_count", &[]) == 1.0
    })
    .await;
    replica.service.kill();
    let report =
        becomes(&mut expecting, "replication", "the replica is missed", |r| r.failure.is_some()).await;
    assert!(failed(&report, "replication", "replicas_missing"), "{:?}", report.failure);
    let lost = report.failure.unwrap().message;
    assert!(lost.contains("0 of 1") && lost.contains(&replica.port.to_string()), "{lost}");
    let report = watch.check("replication").await;
    passes(&report);
    assert_eq!(
        value(&report, "redis.replicas.lost_count", &[]),
        1.0,
        "without an expectation it is a reading"
    );
    replica.start_again();
    follows(&replica);
    let report = becomes(&mut expecting, "replication", "the replica is back", |r| r.failure.is_none()).await;
    assert_eq!(value(&report, "redis.replicas.lost_count", &[]), 0.0);
}

#[tokio::test]
async fn a_frozen_replica_falls_silent_and_is_lost() {
    let (primary, mut replica) = couple(&["--repl-timeout", "4", "--repl-ping-replica-period", "1"], &[]);
    let mut watch = watch_with(&primary.url(), json!({"expected_replicas": 1}));
    becomes(&mut watch, "replication", "the replica is online", |r| r.failure.is_none()).await;
    replica.service.freeze();
    let name = format!("127.0.0.1:{}", replica.port);
    let silent = |r: &wise_core::Report| {
        find(r, "redis.replica.ack_age_seconds", &[("replica", &name)])
            .and_then(|reading| reading.value.number())
            .is_some_and(|age| age >= 2.0)
    };
    passes(&becomes(&mut watch, "replication", "it is silent", silent).await);
    let gone = |r: &wise_core::Report| failed(r, "replication", "replicas_missing");
    becomes(&mut watch, "replication", "it is lost", gone).await;
    replica.service.thaw();
}

#[tokio::test]
async fn a_frozen_primary_is_seen_while_the_link_counts_as_up() {
    let (mut primary, replica) =
        couple(&["--repl-ping-replica-period", "1"], &["--repl-ping-replica-period", "1"]);
    let mut watch = watch(&replica.url());
    passes(&watch.check("replication").await);
    primary.service.freeze();
    let report =
        becomes(&mut watch, "replication", "it is silent", |r| failed(r, "replication", "primary_silent"))
            .await;
    assert_eq!(value(&report, "redis.replica.link_up_state", &[]), 1.0, "the server sees nothing wrong");
    assert!(value(&report, "redis.replica.last_io_age_seconds", &[]) >= 3.0);
    passes(&watch.check("availability").await);
    primary.service.thaw();
    passes(&becomes(&mut watch, "replication", "it speaks again", |r| r.failure.is_none()).await);
}

#[tokio::test]
async fn a_lost_primary_is_told_by_its_replica() {
    let (mut primary, replica) = couple(&[], &[]);
    let mut watch = watch(&replica.url());
    passes(&watch.check("replication").await);
    primary.service.kill();
    let report =
        becomes(&mut watch, "replication", "the link is down", |r| failed(r, "replication", "link_down"))
            .await;
    assert_eq!(value(&report, "redis.replica.link_up_state", &[]), 0.0);
    assert!(value(&report, "redis.replica.link_down_seconds", &[]) >= 0.0);
    passes(&watch.check("availability").await);
    // A replica that may not serve old data refuses everybody.
    assert_eq!(replica.run("CONFIG SET replica-serve-stale-data no"), "OK");
    let report = watch.check_within("availability", SHORT).await;
    assert!(failed(&report, "replication", "masterdown"), "{:?}", report.failure);
    assert_eq!(class(&mut watch, "storage").await, pair("replication", "masterdown"));
    assert_eq!(class(&mut watch, "replication").await, pair("replication", "link_down"));
}

#[tokio::test]
async fn a_wrong_password_for_the_primary_never_links() {
    let primary = Redis::start(&["--requirepass", "right-one"]);
    let replica = Redis::replica_of(&primary, &["--masterauth", "wrong-one"]);
    let mut watch = watch(&replica.url());
    let (class, code, message) = watch.failure("replication", SHORT).await;
    assert_eq!((class.as_str(), code.as_str()), ("replication", "never_linked"));
    assert!(message.contains("masterauth"), "{message}");
    assert_eq!(replica.run("CONFIG SET masterauth right-one"), "OK");
    passes(&becomes(&mut watch, "replication", "it links", |r| r.failure.is_none()).await);
}

#[tokio::test]
async fn a_node_without_all_slots_serves_no_cluster() {
    let server = Redis::start(&["--cluster-enabled", "yes"]);
    let queries = json!([{"name": "a", "command": "GET a"}]);
    let mut watch = watch_with(&server.url(), json!({"queries": queries}));
    passes(&watch.check("availability").await);
    let report = watch.check("replication").await;
    assert!(failed(&report, "cluster", "slots_missing"), "{:?}", report.failure);
    assert_eq!(value(&report, "redis.cluster.ok_state", &[]), 0.0);
    assert_eq!(value(&report, "redis.cluster.slots_assigned_count", &[]), 0.0);
    assert_eq!(class(&mut watch, "queries").await, pair("cluster", "clusterdown"));
    assert_eq!(server.run("CLUSTER ADDSLOTSRANGE 0 16383"), "OK");
    let report = becomes(&mut watch, "replication", "it serves", |r| r.failure.is_none()).await;
    assert_eq!(value(&report, "redis.cluster.ok_state", &[]), 1.0);
    assert_eq!(value(&report, "redis.cluster.nodes_failed_count", &[]), 0.0);
    passes(&becomes(&mut watch, "queries", "it answers", |r| r.failure.is_none()).await);
    settles(&server, "", 1).await;
}
