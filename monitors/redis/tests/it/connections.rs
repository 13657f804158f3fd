//! Servers that are stopped, frozen, full, silent or something else.

use serde_json::json;
use wise_testbed::{Redis, Silent, Speaking, evidence, fact, free_port, value};

use crate::stub::Stub;
use crate::{SHORT, class, failed, pair, passes, settles, watch, watch_with};

const PROBES: [&str; 4] = ["activity", "replication", "storage", "queries"];

fn query() -> serde_json::Value {
    json!({"queries": [{"name": "size", "command": "DBSIZE"}]})
}

#[tokio::test]
async fn a_healthy_server_passes_and_keeps_one_connection() {
    let server = Redis::start(&[]);
    let mut watch = watch_with(&server.url(), query());
    let report = watch.check("availability").await;
    passes(&report);
    for stage in ["dns", "connect", "handshake", "role", "query"] {
        assert!(value(&report, &format!("redis.stage.{stage}_seconds"), &[]) >= 0.0);
    }
    assert!(value(&report, "redis.total_seconds", &[]) > 0.0);
    assert_eq!(value(&report, "redis.restarted_state", &[]), 0.0, "a start that no one saw is no restart");
    assert_eq!(fact(&report, "redis.flavour"), Some("redis"));
    assert_eq!(fact(&report, "redis.role"), Some("primary"));
    assert_eq!(fact(&report, "redis.tls"), Some("plain text"));
    assert!(fact(&report, "redis.version").unwrap().starts_with(|c: char| c.is_ascii_digit()));
    assert!(report.local);
    for probe in PROBES {
        passes(&watch.check(probe).await);
    }
    settles(&server, "", 1).await;
    let list = server.run("CLIENT LIST");
    assert!(list.contains("name=wise-monitoring"), "the kept connection has a name: {list}");
    for _ in 0..3 {
        for probe in PROBES {
            passes(&watch.check(probe).await);
        }
    }
    settles(&server, "", 1).await;
    drop(watch);
    tokio::task::yield_now().await;
    settles(&server, "", 0).await;
}

#[tokio::test]
async fn a_stopped_server_refuses_and_comes_back() {
    let mut server = Redis::start(&[]);
    let mut watch = watch_with(&server.url(), query());
    for probe in PROBES {
        passes(&watch.check(probe).await);
    }
    server.service.kill();
    let report = watch.check_within("availability", SHORT).await;
    assert!(failed(&report, "refused", "refused"), "{:?}", report.failure);
    assert!(evidence(&report).contains(&format!("127.0.0.1:{}", server.port)));
    for probe in PROBES {
        assert_eq!(class(&mut watch, probe).await, pair("refused", "refused"), "{probe}");
    }
    server.start_again();
    for probe in PROBES {
        passes(&watch.check_within(probe, SHORT).await);
    }
    // Started again between two checks: the kept connection is dead, and that is no failure.
    server.service.kill();
    server.start_again();
    passes(&watch.check_within("activity", SHORT).await);
    passes(&watch.check_within("replication", SHORT).await);
    settles(&server, "", 1).await;
}

#[tokio::test]
async fn a_frozen_server_costs_its_deadline_and_no_connection() {
    let mut server = Redis::start(&[]);
    let mut watch = watch_with(&server.url(), query());
    for probe in PROBES {
        passes(&watch.check(probe).await);
    }
    server.service.freeze();
    assert_eq!(class(&mut watch, "availability").await, pair("timeout", "handshake"));
    for probe in PROBES {
        let (class, code) = class(&mut watch, probe).await;
        assert_eq!(class, "timeout", "{probe}: {code}");
        assert!(matches!(code.as_str(), "login" | "handshake" | "query"), "{probe}: {code}");
    }
    server.service.thaw();
    settles(&server, "", 0).await;
    for probe in PROBES {
        passes(&watch.check_within(probe, SHORT).await);
    }
    settles(&server, "", 1).await;
}

#[tokio::test]
async fn a_server_without_a_free_connection_says_so() {
    let server = Redis::start(&["--maxclients", "5"]);
    let mut watch = watch(&server.url());
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut session = server.session();
        session.send("PING");
        assert_eq!(session.line(), "PONG");
        held.push(session);
    }
    let report = watch.check_within("availability", SHORT).await;
    assert!(failed(&report, "too_many_connections", "maxclients"), "{:?}", report.failure);
    assert_eq!(class(&mut watch, "activity").await, pair("too_many_connections", "maxclients"));
    held.truncate(2);
    let report = crate::becomes(&mut watch, "activity", "a free connection", |r| r.failure.is_none()).await;
    assert!(value(&report, "redis.connections.rejected_total", &[]) >= 2.0);
    assert_eq!(value(&report, "redis.connections.limit_count", &[]), 5.0);
    // Known from its address, the driver is the first to be turned away.
    held.extend((0..2).map(|_| server.session()));
    held.iter_mut().for_each(|session| session.send("PING"));
    held.iter_mut().for_each(|session| assert_eq!(session.line(), "PONG"));
    assert_eq!(class(&mut watch, "storage").await, pair("too_many_connections", "maxclients"));
}

#[tokio::test]
async fn ports_that_are_no_redis_are_known_by_it() {
    let silent = Silent::default();
    let mut watch = watch_with(&format!("redis://127.0.0.1:{}", silent.port()), query());
    assert_eq!(class(&mut watch, "availability").await, pair("timeout", "handshake"));
    for probe in PROBES {
        assert_eq!(class(&mut watch, probe).await, pair("timeout", "login"), "{probe}");
    }
    for (greeting, closes, wanted) in [
        (b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(), false, pair("protocol", "not_redis")),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", true, pair("protocol", "not_redis")),
        (b"+OK\r\n+OK\r\n+OK\r\n", false, pair("protocol", "not_redis")),
        (b"", true, pair("reset", "closed")),
        (b"$1000\r\nhalf of", true, pair("reset", "closed")),
        (b"*999999999\r\n", false, pair("protocol", "not_redis")),
    ] {
        let peer = Speaking::new(greeting, closes);
        let mut watch = watch_with(&format!("redis://127.0.0.1:{}", peer.port), query());
        assert_eq!(class(&mut watch, "availability").await, wanted, "{greeting:?}");
        // Three answers of the right form, and no more, are to the driver a server that is slow.
        let wanted = if greeting.starts_with(b"+OK") { pair("timeout", "login") } else { wanted };
        assert_eq!(class(&mut watch, "storage").await, wanted, "{greeting:?}");
    }
    let closed =
        crate::watch(&format!("redis://127.0.0.1:{}", free_port())).failure("availability", SHORT).await;
    assert_eq!(closed.0, "refused");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_no_server() {
    let (class, code) = class(&mut watch("redis://no-such-host.invalid:6379"), "storage").await;
    assert!(matches!(class.as_str(), "dns" | "resolver"), "{class} {code}");
}

#[tokio::test]
async fn the_host_is_the_one_of_the_url() {
    let server = Redis::start(&[]);
    let mut watch = watch(&format!("redis://localhost:{}/3", server.port));
    passes(&watch.check("availability").await);
    passes(&watch.check("storage").await);
    settles(&server, "", 0).await;
    let mut watch = crate::watch(&format!("redis://127.0.0.1:{}/200", server.port));
    assert_eq!(class(&mut watch, "availability").await, pair("no_database", "select"));
    assert_eq!(class(&mut watch, "storage").await, pair("no_database", "select"));
    settles(&server, "", 0).await;
}

#[tokio::test]
async fn a_server_that_stops_answering_in_the_middle_costs_one_check() {
    let server = Stub::new(|command| match command {
        "SLOWLOG" => None,
        _ => Stub::usual(command),
    });
    let mut watch = watch(&server.url());
    passes(&watch.check_within("availability", SHORT).await);
    assert_eq!(class(&mut watch, "activity").await, pair("timeout", "query"));
    passes(&watch.check_within("storage", SHORT).await);
    server.is_left().await;
}

#[tokio::test]
async fn a_hostile_answer_never_reaches_the_driver() {
    let deep = Stub::new(|command| match command {
        "SLOWLOG" => Some("*1\r\n".repeat(100_000)),
        _ => Stub::usual(command),
    });
    let huge = Stub::new(|command| match command {
        "SLOWLOG" => Some(format!("${}\r\n", u64::MAX)),
        _ => Stub::usual(command),
    });
    for server in [deep, huge] {
        let mut watch = watch(&server.url());
        assert_eq!(class(&mut watch, "activity").await.0, "protocol");
        passes(&watch.check_within("availability", SHORT).await);
        server.is_left().await;
    }
}

#[tokio::test]
async fn a_server_that_closes_in_the_middle_is_no_hang() {
    let server = Stub::new(|command| match command {
        "SLOWLOG" => Some(String::new()),
        _ => Stub::usual(command),
    });
    let mut watch = watch(&server.url());
    assert_eq!(class(&mut watch, "activity").await, pair("reset", "closed"));
    server.is_left().await;
}
