//! Replica sets in every state, by what their members answer.

use bson::{Document, doc};
use serde_json::json;
use wise_core::{Absent, Report};
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Watch, absent, code, evidence, find, value};

use crate::responder::{Answer, Responder};
use crate::shapes::{
    arbiter, config, down, entry, hello, member, own, primary, replica_set, secondary, status,
    with_committed, with_term,
};
use crate::{SOON, assert_baseline, servers, watch};

const M1: &[(&str, &str)] = &[("member", "m1:27017")];
const M2: &[(&str, &str)] = &[("member", "m2:27017")];

async fn check(responder: &Responder) -> Report {
    watch(&responder.url()).check_within("replication", SOON).await
}

/// As the primary sees it.
fn seen_by_primary(others: Vec<Document>) -> Responder {
    let members = std::iter::once(own(member(0, 1, 0))).chain(others).collect();
    replica_set(primary(), status(members))
}

#[tokio::test]
async fn a_single_real_server_is_read_as_far_as_it_tells() {
    for server in servers(&[]) {
        let mut watch = watch(&server.url());
        let report = watch.check_within("replication", SOON).await;
        assert_eq!(report.failure, None);
        if server.is_mongod() {
            assert_eq!(absent(&report, "mongodb.replication.own_state", &[]), Absent::Unsupported);
        } else {
            assert_eq!(value(&report, "mongodb.replication.own_state", &[]), 1.0);
            assert_eq!(value(&report, "mongodb.replset.has_primary_state", &[]), 1.0);
            assert_eq!(value(&report, "mongodb.replset.majority_lag_seconds", &[]), 0.0);
            assert!(find(&report, "mongodb.oplog.max_bytes", &[]).is_none());
        }
        assert_baseline(server.port, 1).await;
    }
}

#[tokio::test]
async fn a_healthy_set_has_no_lag() {
    let responder = seen_by_primary(vec![member(1, 2, 0), member(2, 2, 0)]);
    let mut watch = watch(&responder.url());
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(report.failure, None);
    for labels in [M1, M2] {
        assert_eq!(value(&report, "mongodb.member.lag_seconds", labels), 0.0);
        assert_eq!(value(&report, "mongodb.member.problem_state", labels), 0.0);
        assert_eq!(value(&report, "mongodb.member.ping_seconds", labels), 0.002);
        let age = value(&report, "mongodb.member.heartbeat_age_seconds", labels);
        assert!((age - 0.7).abs() < 1e-6, "{age}");
    }
    for (metric, wanted) in [
        ("mongodb.replset.members_count", 3.0),
        ("mongodb.replset.working_members_count", 3.0),
        ("mongodb.replset.voting_up_count", 3.0),
        ("mongodb.replset.majority_count", 2.0),
        ("mongodb.replset.elections_total", 7.0),
        ("mongodb.replset.majority_lag_seconds", 0.0),
        ("mongodb.oplog.window_seconds", 200_000.0),
        ("mongodb.replication.oplog_window_used_ratio", 0.0),
    ] {
        assert_eq!(value(&report, metric, &[]), wanted, "{metric}");
    }
    assert!(find(&report, "mongodb.replication.lag_seconds", &[]).is_none(), "a primary follows no one");
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
    assert_baseline(responder.port, 1).await;
}

#[tokio::test]
async fn a_lagging_secondary_is_named_by_the_primary_and_by_itself() {
    let responder = seen_by_primary(vec![member(1, 2, 0), member(2, 2, 95)]);
    let report = check(&responder).await;
    assert_eq!(report.failure, None, "thresholds say what is too much");
    assert_eq!(value(&report, "mongodb.member.lag_seconds", M1), 0.0);
    assert_eq!(value(&report, "mongodb.member.lag_seconds", M2), 95.0);
    assert!(evidence(&report).contains("m2:27017"));
    responder.set("find 1", entry(190));
    assert_eq!(value(&check(&responder).await, "mongodb.replication.oplog_window_used_ratio", &[]), 0.5);
    responder.set("replSetGetConfig", Answer::Is(config(2, doc! {"secondaryDelaySecs": 90i64})));
    assert_eq!(value(&check(&responder).await, "mongodb.member.lag_seconds", M2), 5.0, "a delay is meant");
    responder.set("replSetGetConfig", Answer::Is(config(2, doc! {"slaveDelay": 3600})));
    assert_eq!(value(&check(&responder).await, "mongodb.member.lag_seconds", M2), 0.0);
    let itself =
        replica_set(secondary(), status(vec![member(0, 1, 0), member(1, 2, 50), own(member(2, 2, 95))]));
    let report = check(&itself).await;
    assert_eq!(value(&report, "mongodb.replication.lag_seconds", &[]), 95.0);
    assert!(find(&report, "mongodb.member.lag_seconds", M1).is_none(), "it speaks of no one else");
}

#[tokio::test]
async fn a_member_that_looks_ahead_has_no_lag() {
    let ahead = with_term(member(1, 2, 0), 1, 7);
    let report = check(&seen_by_primary(vec![ahead, member(2, 2, 0)])).await;
    assert_eq!(value(&report, "mongodb.member.lag_seconds", M1), 0.0);
}

#[tokio::test]
async fn without_a_primary_lag_is_unknown_and_the_set_has_failed() {
    let survivor = replica_set(secondary(), status(vec![down(0), own(member(1, 2, 0)), down(2)]));
    let report = check(&survivor).await;
    assert_eq!(code(&report), "no_primary");
    assert_eq!(report.failure.as_ref().unwrap().class.name, "replication");
    assert_eq!(absent(&report, "mongodb.replication.lag_seconds", &[]), Absent::NotKnown);
    assert_eq!(value(&report, "mongodb.replset.has_primary_state", &[]), 0.0);
    assert_eq!(value(&report, "mongodb.replset.voting_up_count", &[]), 1.0);
    assert_eq!(value(&report, "mongodb.member.health_state", M2), 0.0);
    let age = value(&report, "mongodb.member.heartbeat_age_seconds", M2);
    assert!((age - 128.2).abs() < 1e-6, "what was received, not what was tried: {age}");
    assert!(evidence(&report).contains("Connection refused"));
    let election =
        replica_set(secondary(), status(vec![member(0, 2, 0), own(member(1, 2, 0)), member(2, 2, 0)]));
    assert_eq!(code(&check(&election).await), "no_primary");
}

#[tokio::test]
async fn a_member_that_is_down_has_no_lag_of_56_years() {
    let report = check(&seen_by_primary(vec![member(1, 2, 0), down(2)])).await;
    assert_eq!(code(&report), "member_down");
    assert!(report.failure.as_ref().unwrap().message.contains("m2:27017"));
    assert_eq!(absent(&report, "mongodb.member.lag_seconds", M2), Absent::NotKnown);
    assert_eq!(value(&report, "mongodb.member.problem_state", M2), 2.0);
    assert_eq!(value(&report, "mongodb.replset.working_members_count", &[]), 2.0);
}

#[tokio::test]
async fn members_that_do_not_trust_each_other_are_told_apart_from_dead_ones() {
    let mut rejected = down(2);
    rejected.extend(doc! {"state": 6, "stateStr": "UNKNOWN", "authenticated": false});
    let report =
        check(&replica_set(secondary(), status(vec![down(0), own(member(1, 2, 0)), rejected]))).await;
    assert_eq!(code(&report), "not_authenticated");
}

#[tokio::test]
async fn rollback_has_no_lag_whatever_its_clock_says() {
    // A newer time of an older term is what will be rolled back.
    let diverged = with_term(member(2, 2, 0), 30, 6);
    let report = check(&seen_by_primary(vec![member(1, 2, 0), diverged])).await;
    assert_eq!(absent(&report, "mongodb.member.lag_seconds", M2), Absent::NotKnown);
    let report = check(&seen_by_primary(vec![member(1, 2, 0), with_term(member(2, 9, 100), 0, 6)])).await;
    assert_eq!(absent(&report, "mongodb.member.lag_seconds", M2), Absent::NotKnown);
    assert_eq!(code(&report), "member_down");
    let unready = hello(doc! {"setName": "rs0", "secondary": false});
    let itself = replica_set(unready, status(vec![member(0, 1, 0), member(1, 2, 0), own(member(2, 9, 100))]));
    assert_eq!(code(&check(&itself).await), "rollback");
}

#[tokio::test]
async fn recovering_members_say_why() {
    let unready = || hello(doc! {"setName": "rs0", "secondary": false});
    let members = |state| status(vec![member(0, 1, 0), own(member(1, state, 3600)), member(2, 2, 0)]);
    let mut stale = members(3);
    stale.insert("tooStale", true);
    assert_eq!(code(&check(&replica_set(unready(), stale)).await), "too_stale");
    let mut maintenance = members(3);
    maintenance.insert("maintenanceMode", 1);
    assert_eq!(code(&check(&replica_set(unready(), maintenance)).await), "maintenance");
    assert_eq!(code(&check(&replica_set(unready(), members(3))).await), "recovering");
    assert_eq!(code(&check(&replica_set(unready(), members(0))).await), "startup");
    let mut syncing = members(5);
    syncing.insert(
        "initialSyncStatus",
        doc! {
            "failedInitialSyncAttempts": 1, "maxFailedInitialSyncAttempts": 10, "approxTotalDataSize": 1000i64,
            "approxTotalBytesCopied": 250i64, "remainingInitialSyncEstimatedMillis": 90_000i64,
        },
    );
    let report = check(&replica_set(unready(), syncing)).await;
    assert_eq!(code(&report), "initial_sync");
    assert_eq!(value(&report, "mongodb.initial_sync.progress_ratio", &[]), 0.25);
    assert_eq!(value(&report, "mongodb.initial_sync.remaining_seconds", &[]), 90.0);
    assert_eq!(value(&report, "mongodb.initial_sync.failed_count", &[]), 1.0);
}

#[tokio::test]
async fn servers_without_a_status_have_their_reasons() {
    let responder = seen_by_primary(vec![]);
    let expecting =
        |members: u32| Watch::new(&REGISTERED, json!({"url": responder.url(), "expected_members": members}));
    for (answer, members, wanted) in
        [(94, 0, "not_initiated"), (93, 0, "removed"), (76, 0, ""), (76, 3, "standalone"), (59, 0, "")]
    {
        responder.set("replSetGetStatus", Answer::Error(answer));
        let report = expecting(members).check_within("replication", SOON).await;
        assert_eq!(code(&report), wanted, "{answer}");
        if wanted.is_empty() {
            assert_eq!(absent(&report, "mongodb.replication.own_state", &[]), Absent::Unsupported);
        }
    }
}

#[tokio::test]
async fn an_arbiter_among_the_members_has_no_lag_and_works() {
    let report = check(&seen_by_primary(vec![member(1, 2, 0), arbiter(2)])).await;
    assert_eq!(report.failure, None);
    assert!(find(&report, "mongodb.member.lag_seconds", &[("member", "arb2:27017")]).is_none());
    assert_eq!(value(&report, "mongodb.replset.working_members_count", &[]), 3.0);
}

#[tokio::test]
async fn a_majority_that_stalls_is_seen() {
    let members = vec![own(member(0, 1, 0)), member(1, 2, 45), arbiter(2)];
    let responder = replica_set(primary(), with_committed(status(members), 45));
    assert_eq!(value(&check(&responder).await, "mongodb.replset.majority_lag_seconds", &[]), 45.0);
}

#[tokio::test]
async fn elections_are_counted_and_expected_members_missed() {
    let responder = seen_by_primary(vec![member(1, 2, 0)]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": responder.url(), "expected_members": 3}));
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(code(&report), "members_missing");
    assert!(find(&report, "mongodb.replset.recent_elections_count", &[]).is_none());
    let mut later = status(vec![own(member(0, 1, 0)), member(1, 2, 0)]);
    later.insert("term", 9i64);
    responder.set("replSetGetStatus", Answer::Is(later));
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(value(&report, "mongodb.replset.recent_elections_count", &[]), 2.0);
}

#[tokio::test]
async fn a_young_oplog_is_no_short_one() {
    let responder = seen_by_primary(vec![member(1, 2, 0), member(2, 2, 0)]);
    responder.set("find 1", entry(3600));
    responder.set("collStats", Answer::Is(doc! {"size": 100i64, "maxSize": 1000i64}));
    let report = check(&responder).await;
    let window = find(&report, "mongodb.oplog.window_seconds", &[]).unwrap();
    assert_eq!(window.value, wise_core::ReadingValue::Estimate(36_000.0));
    responder.set("collStats", Answer::Is(doc! {"size": 1i64, "maxSize": 1000i64}));
    assert_eq!(absent(&check(&responder).await, "mongodb.oplog.window_seconds", &[]), Absent::NotKnown);
}

#[tokio::test]
async fn a_mongos_tells_of_shards_and_balancer() {
    let mongos = hello(doc! {"ismaster": true, "msg": "isdbgrid"});
    let shards = doc! {"shards": [{"_id": "s0", "host": "s0/a:1", "state": 1}, {"_id": "s1", "host": "s1/b:1", "draining": true}]};
    let responder = Responder::new([
        ("isMaster", Answer::Is(mongos)),
        ("listShards", Answer::Is(shards)),
        ("balancerStatus", Answer::Is(doc! {"mode": "off", "inBalancerRound": false})),
    ]);
    let report = check(&responder).await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "mongodb.shards.known_count", &[]), 2.0);
    assert_eq!(value(&report, "mongodb.shards.draining_count", &[]), 1.0);
    assert_eq!(value(&report, "mongodb.balancer.enabled_state", &[]), 0.0);
    assert!(evidence(&report).contains("s1"));
}
