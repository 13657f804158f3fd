//! Readings of a server that works.

use wise_testbed::{Redis, evidence, find, value};

use crate::{passes, watch};

#[tokio::test]
async fn ratios_are_of_the_interval() {
    let server = Redis::start(&[]);
    let mut watch = watch(&server.url());
    let report = watch.check("activity").await;
    passes(&report);
    assert!(find(&report, "redis.keyspace.hit_ratio", &[]).is_none(), "the first check has no interval");
    assert!(
        find(&report, "redis.memory.used_ratio", &[]).is_none(),
        "without a limit there is no share of it"
    );
    assert!(value(&report, "redis.memory.of_system_ratio", &[]) < 1.0);
    let mut client = server.session();
    client.send("SET there 1");
    assert_eq!(client.line(), "OK");
    for _ in 0..150 {
        client.send("GET there");
        assert_eq!(client.line(), "1");
    }
    for _ in 0..50 {
        client.send("GET missing");
        assert_eq!(client.line(), "");
    }
    let report = watch.check("activity").await;
    assert_eq!(value(&report, "redis.keyspace.hit_ratio", &[]), 0.75);
    assert_eq!(value(&report, "redis.command.calls_total", &[("command", "get")]), 200.0);
    assert!(value(&report, "redis.command.mean_seconds", &[("command", "get")]) > 0.0);
    assert!(value(&report, "redis.command.p99_seconds", &[("command", "get")]) > 0.0);
    assert_eq!(value(&report, "redis.connections.blocked_count", &[]), 0.0);
    assert!(evidence(&report).contains("top_commands"));
    let report = watch.check("activity").await;
    assert!(find(&report, "redis.keyspace.hit_ratio", &[]).is_none(), "nothing was looked up");
}

#[tokio::test]
async fn slow_commands_are_counted_by_their_ids_and_shown_without_arguments() {
    let server = Redis::start(&["--slowlog-log-slower-than", "0", "--slowlog-max-len", "2"]);
    let mut watch = watch(&server.url());
    passes(&watch.check("activity").await);
    let mut client = server.session();
    for _ in 0..20 {
        client.send("SET customer private-value");
        assert_eq!(client.line(), "OK");
    }
    let report = watch.check("activity").await;
    assert!(value(&report, "redis.slowlog.new_count", &[]) >= 20.0, "the log has two entries only");
    let shown = evidence(&report);
    assert!(shown.contains("slow_commands") && !shown.contains("private-value"), "{shown}");
}

#[tokio::test]
async fn latency_events_and_blocked_clients_are_seen() {
    let server = Redis::start(&["--latency-monitor-threshold", "1"]);
    assert_eq!(server.run("DEBUG SLEEP 0.01"), "OK");
    let mut waiting = server.session();
    waiting.send("BLPOP nothing 0");
    let mut watch = watch(&server.url());
    let blocked = |r: &wise_core::Report| value(r, "redis.connections.blocked_count", &[]) == 1.0;
    let report = crate::becomes(&mut watch, "activity", "a client is blocked", blocked).await;
    assert!(value(&report, "redis.latency.latest_seconds", &[("event", "command")]) >= 0.01);
    assert!(value(&report, "redis.latency.worst_seconds", &[("event", "command")]) >= 0.01);
}
