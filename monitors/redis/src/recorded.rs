//! Answers of versions that are not installed here, in their shape: what is read of them, and what is absent.

use wise_core::{Absent, Labels, Report, Timestamp};

use crate::activity;
use crate::info::{Info, Standing};
use crate::resp::Reply;

/// Redis 5: no ACL, no errorstats, no maxclients in INFO, `total_system_memory` since 4.
const REDIS_5: &str = "# Server\r\nredis_version:5.0.14\r\nredis_mode:standalone\r\nrun_id:a\r\nuptime_in_seconds:86400\r\n\
    # Clients\r\nconnected_clients:40\r\nblocked_clients:2\r\n\
    # Memory\r\nused_memory:1000000\r\nused_memory_rss:900000\r\ntotal_system_memory:16000000\r\nmaxmemory:0\r\n\
    maxmemory_policy:noeviction\r\nmem_fragmentation_ratio:0.90\r\nmem_fragmentation_bytes:-100000\r\nmem_not_counted_for_evict:0\r\n\
    # Persistence\r\nloading:0\r\nrdb_changes_since_last_save:0\r\nrdb_last_save_time:1700000000\r\n\
    rdb_last_bgsave_status:ok\r\nrdb_current_bgsave_time_sec:-1\r\naof_enabled:0\r\naof_last_write_status:ok\r\n\
    # Stats\r\ntotal_connections_received:5\r\nrejected_connections:0\r\nlatest_fork_usec:300\r\n\
    # Replication\r\nrole:master\r\nconnected_slaves:0\r\n\
    # Commandstats\r\ncmdstat_get:calls=10,usec=100,usec_per_call=10.00\r\n# Keyspace\r\n";

/// Valkey 8.1 without the fields of compatibility with Redis, as a replica.
const VALKEY_8: &str = "# Server\r\nserver_name:valkey\r\nvalkey_version:8.1.3\r\nvalkey_release_stage:ga\r\nserver_mode:standalone\r\n\
    run_id:b\r\nuptime_in_seconds:30\r\navailability_zone:\r\n\
    # Clients\r\nconnected_clients:3\r\nmaxclients:10\r\ncluster_connections:0\r\nblocked_clients:0\r\n\
    # Memory\r\nused_memory:95\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lfu\r\nmem_not_counted_for_evict:5\r\n\
    mem_fragmentation_ratio:13.98\r\nmem_fragmentation_bytes:11374888\r\n\
    # Persistence\r\nrdb_last_bgsave_status:err\r\nrdb_current_bgsave_time_sec:42\r\naof_enabled:1\r\naof_last_write_status:err\r\n\
    aof_last_bgrewrite_status:ok\r\naof_rewrites_consecutive_failures:2\r\naof_delayed_fsync:7\r\nlatest_fork_usec:0\r\n\
    # Stats\r\nacl_access_denied_auth:4\r\ntotal_error_replies:9\r\n\
    # Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\nreplicas_repl_buffer_size:0\r\n\
    # Errorstats\r\nerrorstat_WRONGPASS:count=4\r\n";

fn read(text: &str, config: Reply) -> (Info, Report) {
    let info = Info::read(text).unwrap_or_default();
    let mut report = Report::default();
    activity::levels(&info, &Ok(Reply::Nothing), Timestamp::from_seconds(1_700_090_000), &mut report);
    activity::connections(&info, Ok(config), &mut report);
    (info, report)
}

fn value(report: &Report, name: &str) -> Option<f64> {
    report.readings.iter().find(|reading| reading.metric.name() == name)?.value.number()
}

#[test]
fn redis_5_is_read_with_what_it_has() {
    let config = ["maxclients", "400"].map(|text| Reply::Text(text.to_owned())).to_vec();
    let (info, report) = read(REDIS_5, Reply::List(config));
    assert_eq!((info.flavour(), info.version(), info.standing()), ("redis", "5.0.14", Standing::Primary));
    assert_eq!(value(&report, "redis.connections.used_ratio"), Some(0.1));
    assert_eq!(value(&report, "redis.connections.blocked_count"), Some(2.0));
    assert_eq!(value(&report, "redis.error_replies_total"), None, "it has none, which is not zero");
    assert_eq!(value(&report, "redis.memory.of_system_ratio"), Some(0.0625));
    assert_eq!(value(&report, "redis.memory.used_ratio"), None);
    assert_eq!(
        value(&report, "redis.memory.fragmentation_ratio"),
        Some(0.9),
        "below 1 it may be swapped out"
    );
    assert_eq!(value(&report, "redis.persistence.aof_ok_state"), None, "it is off");
    assert_eq!(value(&report, "redis.persistence.save_running_seconds"), Some(0.0), "-1 is none");
    assert_eq!(value(&report, "redis.persistence.fork_seconds"), Some(0.0003));
    let (_, report) = read(REDIS_5, Reply::Nothing);
    let why = report.readings.iter().find(|reading| reading.metric.name() == "redis.connections.used_ratio");
    assert_eq!(why.map(|reading| &reading.value), Some(&wise_core::ReadingValue::Absent(Absent::NotKnown)));
    assert!(report.readings.iter().all(|reading| reading.labels == Labels::default()));
}

#[test]
fn valkey_8_is_read_without_the_fields_of_redis() {
    let (info, report) = read(VALKEY_8, Reply::Nothing);
    assert_eq!((info.flavour(), info.version(), info.standing()), ("valkey", "8.1.3", Standing::Replica));
    assert_eq!(value(&report, "redis.connections.used_ratio"), Some(0.3));
    assert_eq!(value(&report, "redis.auth.denied_total"), Some(4.0));
    assert_eq!(
        value(&report, "redis.memory.used_ratio"),
        Some(0.9),
        "what does not count for eviction is left out"
    );
    assert_eq!(value(&report, "redis.memory.fragmentation_ratio"), Some(1.0), "11 MB are no matter");
    assert_eq!(value(&report, "redis.persistence.rdb_ok_state"), Some(0.0));
    assert_eq!(value(&report, "redis.persistence.save_running_seconds"), Some(42.0));
    assert_eq!(value(&report, "redis.persistence.aof_ok_state"), Some(0.0));
    assert_eq!(value(&report, "redis.persistence.aof_rewrite_failures_count"), Some(2.0));
    assert_eq!(value(&report, "redis.persistence.fork_seconds"), None, "there was none yet");
    assert_eq!(activity::out_of_memory(&info), None, "it evicts, and a replica takes what its primary sends");
}
