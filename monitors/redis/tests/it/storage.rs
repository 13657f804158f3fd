//! Sizes, keys and the sample of keys.

use serde_json::json;
use wise_core::Absent;
use wise_testbed::{Redis, absent, find, until, value};

use crate::{passes, settles, watch, watch_with};

#[tokio::test]
async fn sizes_and_keys_are_read() {
    let server = Redis::start(&[]);
    for command in ["SET a 1", "SET b 1 EX 1000", "SELECT 0"] {
        assert_eq!(server.run(command), "OK");
    }
    assert_eq!(server.run("-n 3 SET c 1"), "OK");
    let mut watch = watch(&server.url());
    let report = watch.check("storage").await;
    passes(&report);
    assert!(value(&report, "redis.storage.used_bytes", &[]) > 100_000.0);
    assert!(value(&report, "redis.storage.dataset_bytes", &[]) > 0.0);
    assert_eq!(value(&report, "redis.keys_count", &[("database", "0")]), 2.0);
    assert_eq!(value(&report, "redis.keys.expiring_count", &[("database", "0")]), 1.0);
    assert_eq!(value(&report, "redis.keys_count", &[("database", "3")]), 1.0);
    assert!(find(&report, "redis.storage.limit_bytes", &[]).is_none(), "unlimited is absent, not zero");
    assert_eq!(server.run("FLUSHALL"), "OK");
    let report = watch.check("storage").await;
    assert_eq!(
        value(&report, "redis.keys_count", &[("database", "3")]),
        0.0,
        "an empty database is a measured zero"
    );
    settles(&server, "", 0).await;
}

#[tokio::test]
async fn large_keys_are_found_on_replicas_only() {
    let primary = Redis::start(&[]);
    assert_eq!(primary.run("DEBUG POPULATE 500 small 10"), "OK");
    assert_eq!(primary.run(&format!("SET large {}", "x".repeat(50_000))), "OK");
    let replica = Redis::replica_of(&primary, &[]);
    until("the replica has the keys", || match replica.run("DBSIZE").as_str() {
        "501" => Ok(()),
        other => Err(other.to_owned()),
    });
    let sample = json!({"sample_keys": 1000});
    let report = watch_with(&primary.url(), sample.clone()).check("storage").await;
    passes(&report);
    assert!(find(&report, "redis.key.size_bytes", &[]).is_none(), "a primary has better things to do");
    let mut watch = watch_with(&replica.url(), sample);
    let report = watch.check("storage").await;
    passes(&report);
    assert!(value(&report, "redis.key.size_bytes", &[("key", "large")]) > 50_000.0);
    assert!(value(&report, "redis.key.sampled_count", &[]) >= 501.0);
    let listed = report.readings.iter().filter(|r| r.metric.name() == "redis.key.size_bytes").count();
    assert_eq!(listed, 10, "only the largest");
    // A small sample goes on where it stopped.
    let mut few = watch_with(&replica.url(), json!({"sample_keys": 100}));
    let mut found = false;
    for _ in 0..20 {
        let report = few.check("storage").await;
        passes(&report);
        assert!(value(&report, "redis.key.sampled_count", &[]) < 200.0);
        found |= find(&report, "redis.key.size_bytes", &[("key", "large")]).is_some();
    }
    assert!(found, "in time every key is looked at");
}

#[tokio::test]
async fn a_sample_without_its_right_is_absent() {
    let primary = Redis::start(&[]);
    let replica = Redis::replica_of(&primary, &[]);
    until("the replica follows", || match replica.run("INFO replication") {
        info if info.contains("master_link_status:up") => Ok(()),
        info => Err(info),
    });
    let rules = "ACL SETUSER mon on >monpassword -@all +ping +info +client|setname +client|id";
    assert_eq!(replica.run(rules), "OK");
    let settings = json!({"username": "mon", "password": "monpassword", "sample_keys": 10});
    let report = watch_with(&replica.url(), settings).check("storage").await;
    passes(&report);
    let why = absent(&report, "redis.key.size_bytes", &[]);
    assert!(matches!(&why, Absent::NoPermission(rule) if rule.contains("+scan")), "{why:?}");
}
