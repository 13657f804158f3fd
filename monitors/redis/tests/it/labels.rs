//! Parts that a server names alike, and that are series of their own for all that.

use std::collections::BTreeSet;

use serde_json::json;
use wise_core::Report;
use wise_testbed::{Redis, Sentinel, until, value};

use crate::{becomes, passes, watch, watch_with};

const ONLINE: &str = "redis.replica.online_state";

/// The labels of a metric's series, in one text each.
fn series(report: &Report, metric: &str) -> BTreeSet<String> {
    let all = report.readings.iter().filter(|reading| reading.metric.name() == metric);
    let shown = all.map(|reading| {
        let pairs = reading.labels.pairs().iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    });
    shown.collect()
}

fn replica(primary: &Redis, announced: (&str, &str)) -> Redis {
    let (ip, port) = announced;
    Redis::replica_of(primary, &["--replica-announce-ip", ip, "--replica-announce-port", port])
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn replicas_that_announce_one_name_are_told_apart_by_their_ports() {
    let primary = Redis::start(&[]);
    let _one = replica(&primary, ("cache.example", "7001"));
    let mut two = replica(&primary, ("cache.example", "7002"));
    let mut watch = watch(&primary.url());
    let both = |report: &Report| value(report, "redis.replicas.online_count", &[]) == 2.0;
    let report = becomes(&mut watch, "replication", "both are online", both).await;
    let names = set(&["replica=cache.example:7001", "replica=cache.example:7002"]);
    assert_eq!(series(&report, ONLINE), names);
    two.service.kill();
    let lost = |report: &Report| value(report, "redis.replicas.lost_count", &[]) == 1.0;
    let report = becomes(&mut watch, "replication", "one is lost", lost).await;
    assert_eq!(series(&report, ONLINE), set(&["replica=cache.example:7001"]));
}

#[tokio::test]
async fn replicas_that_announce_one_address_are_two_series_and_one_of_them_can_be_lost() {
    let primary = Redis::start(&[]);
    let _one = replica(&primary, ("10.0.0.9", "7000"));
    let mut two = replica(&primary, ("10.0.0.9", "7000"));
    let mut watch = watch_with(&primary.url(), json!({"expected_replicas": 2}));
    let report = becomes(&mut watch, "replication", "both are online", |r| r.failure.is_none()).await;
    let names = set(&["replica=10.0.0.9:7000", "occurrence=2 replica=10.0.0.9:7000"]);
    for metric in [ONLINE, "redis.replica.lag_bytes", "redis.replica.ack_age_seconds"] {
        assert_eq!(series(&report, metric), names, "{metric}");
    }
    two.service.kill();
    let report = becomes(&mut watch, "replication", "one is missed", |r| r.failure.is_some()).await;
    assert_eq!(value(&report, "redis.replicas.lost_count", &[]), 1.0);
    let text = report.failure.unwrap().message;
    assert!(text.contains("1 of 2") && text.contains("10.0.0.9:7000 (2)"), "{text}");
}

#[tokio::test]
async fn a_replica_cannot_take_the_place_of_another_by_what_it_announces() {
    let primary = Redis::start(&[]);
    let _one = replica(&primary, ("x,port=1,state=online", "7001"));
    let _two = replica(&primary, ("x,port=1,state=online", "7002"));
    let both = |report: &Report| value(report, "redis.replicas.online_count", &[]) == 2.0;
    let report = becomes(&mut watch(&primary.url()), "replication", "both are online", both).await;
    let names = set(&["replica=x,port=1,state=online:7001", "replica=x,port=1,state=online:7002"]);
    assert_eq!(series(&report, ONLINE), names);
}

#[tokio::test]
async fn keys_that_differ_in_bytes_or_only_at_their_end_are_told_apart() {
    let primary = Redis::start(&[]);
    let (long, value_of_it) = ("k".repeat(200), "x".repeat(1000));
    let mut session = primary.session();
    for key in [r"a\xff", r"a\xfe", &format!("{long}1"), &format!("{long}2")] {
        session.send(&format!("SET \"{key}\" {value_of_it}"));
        assert_eq!(session.line(), "OK", "{key}");
    }
    let replica = Redis::replica_of(&primary, &[]);
    until("the replica has the keys", || match replica.run("DBSIZE").as_str() {
        "4" => Ok(()),
        other => Err(other.to_owned()),
    });
    let mut watch = watch_with(&replica.url(), json!({"sample_keys": 1000}));
    let report = watch.check("storage").await;
    passes(&report);
    let keys = series(&report, "redis.key.size_bytes");
    assert_eq!(keys.len(), 4, "{keys:?}");
    for key in ["a\u{fffd}ff", "a\u{fffd}fe"] {
        assert!(value(&report, "redis.key.size_bytes", &[("key", key)]) > 1000.0, "{key:?}");
    }
    // A second walk finds the same keys again.
    let report = watch.check("storage").await;
    passes(&report);
    assert_eq!(series(&report, "redis.key.size_bytes"), keys);
}

#[tokio::test]
async fn kinds_of_errors_that_begin_alike_are_told_apart() {
    let server = Redis::start(&[]);
    let long = "E".repeat(29);
    let mut session = server.session();
    for word in [format!("{long}A"), format!("{long}B"), "MY:ERR".to_owned(), "MY_ERR".to_owned()] {
        session.send(&format!("EVAL \"return redis.error_reply('{word} no')\" 0"));
    }
    session.send("ECHO end");
    while session.line() != "end" {}
    let report = watch(&server.url()).check("activity").await;
    passes(&report);
    let errors = series(&report, "redis.errors_total");
    for end in ["A", "B"] {
        assert!(errors.contains(&format!("error={long}{end}")), "{errors:?}");
    }
    // INFO cannot show a colon: what it shows alike is counted together.
    let of_both: f64 = report
        .readings
        .iter()
        .filter(|r| r.metric.name() == "redis.errors_total" && r.labels.pairs()[0].1.starts_with("MY"))
        .filter_map(|r| r.value.number())
        .sum();
    assert_eq!(of_both, 2.0, "{errors:?}");
}

#[tokio::test]
async fn consumers_that_differ_in_bytes_are_told_apart() {
    let server = Redis::start(&[]);
    let mut session = server.session();
    session.send("XGROUP CREATE jobs workers 0 MKSTREAM");
    assert_eq!(session.line(), "OK");
    for consumer in [r"\xff", r"\xfe"] {
        session.send("XADD jobs * a b");
        session.line();
        session.send(&format!("XREADGROUP GROUP workers \"{consumer}\" COUNT 1 STREAMS jobs >"));
    }
    session.send("ECHO end");
    while session.line() != "end" {}
    let queries = json!([{"name": "jobs", "command": "XPENDING jobs workers"}]);
    let report = watch_with(&server.url(), json!({"queries": queries})).check("queries").await;
    passes(&report);
    let wanted = set(&["", "consumer=\u{fffd}ff", "consumer=\u{fffd}fe"]);
    assert_eq!(series(&report, "redis.query.jobs.value"), wanted);
}

#[tokio::test]
async fn primaries_of_a_sentinel_are_told_apart_by_their_whole_names() {
    let primary = Redis::start(&[]);
    let sentinel = Sentinel::of(&primary, 1);
    for name in ["a,x", "a,y"] {
        assert_eq!(sentinel.run(&format!("SENTINEL MONITOR {name} 127.0.0.1 {} 1", primary.port)), "OK");
    }
    let alive = |report: &Report| report.failure.is_none();
    let report = becomes(&mut watch(&sentinel.url()), "replication", "all are met", alive).await;
    let names = set(&["master=a,x", "master=a,y", "master=main"]);
    for metric in ["master_ok_state", "quorum_ok_state", "config_epoch_total", "replicas_count"] {
        assert_eq!(series(&report, &format!("redis.sentinel.{metric}")), names, "{metric}");
    }
}
