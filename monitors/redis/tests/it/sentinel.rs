//! Sentinels.

use serde_json::json;
use wise_testbed::{Redis, Sentinel, evidence, fact, value};

use crate::{SHORT, becomes, failed, passes, watch, watch_with};

const MAIN: [(&str, &str); 1] = [("master", "main")];

#[tokio::test]
async fn a_sentinel_that_could_act_passes_and_tells_when_its_primary_dies() {
    let mut primary = Redis::start(&[]);
    let sentinel = Sentinel::of(&primary, 1);
    let mut watch = watch_with(&sentinel.url(), json!({"expected_role": "sentinel"}));
    let report = watch.check_within("availability", SHORT).await;
    passes(&report);
    assert_eq!(fact(&report, "redis.role"), Some("sentinel"));
    passes(&watch.check_within("activity", SHORT).await);
    passes(&watch.check_within("storage", SHORT).await);
    let report = becomes(&mut watch, "replication", "it has met its primary", |r| r.failure.is_none()).await;
    assert_eq!(value(&report, "redis.role_state", &[]), 2.0);
    assert_eq!(value(&report, "redis.sentinel.master_ok_state", &MAIN), 1.0);
    assert_eq!(value(&report, "redis.sentinel.quorum_ok_state", &MAIN), 1.0);
    assert_eq!(value(&report, "redis.sentinel.sentinels_count", &MAIN), 1.0);
    assert_eq!(value(&report, "redis.sentinel.tilt_state", &[]), 0.0);
    assert!(value(&report, "redis.sentinel.config_epoch_total", &MAIN) >= 0.0);
    assert!(evidence(&report).contains(&format!("127.0.0.1:{}", primary.port)));
    primary.service.kill();
    let down = |r: &wise_core::Report| failed(r, "replication", "odown") || failed(r, "replication", "sdown");
    let report = becomes(&mut watch, "replication", "it misses its primary", down).await;
    assert_eq!(value(&report, "redis.sentinel.master_ok_state", &MAIN), 0.0);
}

#[tokio::test]
async fn too_few_sentinels_are_no_quorum() {
    let primary = Redis::start(&[]);
    let sentinel = Sentinel::of(&primary, 2);
    let mut watch = watch(&sentinel.url());
    passes(&watch.check_within("availability", SHORT).await);
    let report =
        becomes(&mut watch, "replication", "no quorum", |r| failed(r, "replication", "no_quorum")).await;
    assert_eq!(value(&report, "redis.sentinel.quorum_ok_state", &MAIN), 0.0);
    assert_eq!(value(&report, "redis.sentinel.master_ok_state", &MAIN), 1.0);
}
