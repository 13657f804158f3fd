//! Loading, saving, memory limits and scripts.

use serde_json::json;
use wise_testbed::{Redis, evidence, until, value};

use crate::{SHORT, becomes, class, failed, pair, passes, settles, watch, watch_with};

#[tokio::test]
async fn a_server_that_loads_is_starting() {
    let slow = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"];
    let mut server = Redis::start(&slow);
    assert_eq!(server.run("DEBUG POPULATE 20000 key 64"), "OK");
    assert_eq!(server.run("SAVE"), "OK");
    server.service.kill();
    server.launch();
    let mut watch = watch(&server.url());
    let report = becomes(&mut watch, "availability", "it loads", |r| failed(r, "starting", "loading")).await;
    assert!(value(&report, "redis.loading.eta_seconds", &[]) >= 0.0);
    assert!(value(&report, "redis.loading.loaded_ratio", &[]) < 1.0);
    assert!(evidence(&report).contains("\"loading\":\"1\""));
    assert_eq!(class(&mut watch, "storage").await, pair("starting", "loading"));
}

#[tokio::test]
async fn a_failed_save_refuses_writes_and_is_seen() {
    let server = Redis::start(&["--save", "3600 1", "--enable-protected-configs", "yes"]);
    let mut watch = watch(&server.url());
    passes(&watch.check("activity").await);
    // A folder in the place of the file: the save is written and cannot be put there, for root neither.
    std::fs::create_dir(server.service.folder().join("taken")).unwrap();
    assert_eq!(server.run("CONFIG SET dbfilename taken"), "OK");
    assert_eq!(server.run("SET a 1"), "OK");
    server.run("BGSAVE");
    until("the save fails", || match server.run("INFO persistence") {
        info if info.contains("rdb_last_bgsave_status:err") => Ok(()),
        info => Err(info),
    });
    let report = watch.check_within("availability", SHORT).await;
    assert!(failed(&report, "writes_fail", "misconf"), "{:?}", report.failure);
    assert!(evidence(&report).contains("\"rdb_last_bgsave_status\":\"err\""));
    let report = watch.check_within("activity", SHORT).await;
    assert_eq!(value(&report, "redis.persistence.rdb_ok_state", &[]), 0.0);
    assert!(value(&report, "redis.persistence.unsaved_changes_count", &[]) >= 1.0);
    assert_eq!(class(&mut watch, "storage").await, pair("writes_fail", "misconf"));
    // Where writes go on nevertheless, the server works, and the failed save is a reading.
    assert_eq!(server.run("CONFIG SET stop-writes-on-bgsave-error no"), "OK");
    passes(&watch.check("availability").await);
    let report = watch.check("activity").await;
    passes(&report);
    assert_eq!(value(&report, "redis.persistence.rdb_ok_state", &[]), 0.0);
    assert_eq!(server.run("CONFIG SET dbfilename dump.rdb stop-writes-on-bgsave-error yes"), "OK");
    assert_eq!(server.run("SAVE"), "OK");
    passes(&watch.check("availability").await);
    let report = watch.check("activity").await;
    assert_eq!(value(&report, "redis.persistence.rdb_ok_state", &[]), 1.0);
    settles(&server, "", 1).await;
}

#[tokio::test]
async fn the_append_only_file_has_its_own_readings() {
    let server = Redis::start(&["--appendonly", "yes"]);
    let report = watch(&server.url()).check("activity").await;
    assert_eq!(value(&report, "redis.persistence.aof_ok_state", &[]), 1.0);
    assert_eq!(value(&report, "redis.persistence.delayed_fsync_total", &[]), 0.0);
    let report = watch(&server.url()).check("storage").await;
    assert!(value(&report, "redis.storage.aof_bytes", &[]) >= 0.0);
    let without = watch(&Redis::start(&[]).url()).check("activity").await;
    assert!(wise_testbed::find(&without, "redis.persistence.aof_ok_state", &[]).is_none());
}

#[tokio::test]
async fn a_full_server_that_evicts_nothing_refuses_writes() {
    let server = Redis::start(&["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]);
    let mut watch = watch_with(&server.url(), json!({"quota_bytes": 16_000_000}));
    passes(&watch.check("activity").await);
    assert_eq!(server.run("DEBUG POPULATE 100000 key 100"), "OK");
    assert!(server.run("SET a 1").starts_with("OOM"));
    // It answers, so that it is not down; that nothing can be written is degraded.
    passes(&watch.check("availability").await);
    let report = watch.check("activity").await;
    assert!(failed(&report, "writes_fail", "oom"), "{:?}", report.failure);
    assert!(value(&report, "redis.memory.used_ratio", &[]) > 1.0);
    assert!(value(&report, "redis.errors_total", &[("error", "OOM")]) >= 1.0);
    let report = watch.check("storage").await;
    assert_eq!(value(&report, "redis.storage.limit_bytes", &[]), 16_000_000.0);
    assert_eq!(value(&report, "redis.keys_count", &[("database", "0")]), 100_000.0);
    assert_eq!(server.run("FLUSHALL"), "OK");
    passes(&becomes(&mut watch, "activity", "room again", |r| r.failure.is_none()).await);
    assert_eq!(value(&watch.check("storage").await, "redis.keys_count", &[("database", "0")]), 0.0);
}

#[tokio::test]
async fn evictions_are_counted_and_no_failure() {
    let server = Redis::start(&["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(server.run("DEBUG POPULATE 100000 key 100"), "OK");
    until("keys are evicted", || match server.run("SET a 1") {
        answer if answer == "OK" => Ok(()),
        answer => Err(answer),
    });
    let report = watch(&server.url()).check("activity").await;
    passes(&report);
    assert!(value(&report, "redis.keys.evicted_total", &[]) > 0.0);
    assert_eq!(value(&report, "redis.memory.limit_bytes", &[]), 8.0 * 1024.0 * 1024.0);
}

#[tokio::test]
async fn a_script_that_does_not_end_blocks_everybody() {
    let server = Redis::start(&["--busy-reply-threshold", "50"]);
    let mut watch = watch(&server.url());
    passes(&watch.check("activity").await);
    let mut script = server.session();
    script.send("EVAL \"while true do end\" 0");
    let busy = |r: &wise_core::Report| failed(r, "blocked_by_script", "busy");
    becomes(&mut watch, "availability", "the script runs", busy).await;
    for probe in ["activity", "replication", "storage"] {
        assert_eq!(class(&mut watch, probe).await, pair("blocked_by_script", "busy"), "{probe}");
    }
    assert_eq!(server.run("SCRIPT KILL"), "OK");
    passes(&becomes(&mut watch, "availability", "the script is killed", |r| r.failure.is_none()).await);
    drop(script);
    passes(&watch.check("activity").await);
    settles(&server, "", 1).await;
}
