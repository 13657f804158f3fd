use bson::{Document, doc};
use wise_core::{Absent, Report};
use wise_testbed::{absent, evidence, find, number, value};

use crate::responder::{Answer, cursor};
use crate::shapes::{self, primary, replica_set, server_status, status};
use crate::{SOON, assert_baseline, servers, watch};

fn member() -> crate::responder::Responder {
    replica_set(primary(), status(vec![shapes::own(shapes::member(0, 1, 0))]))
}

#[tokio::test]
async fn a_server_that_lacks_much_says_so_and_never_zero() {
    for server in servers(&[]) {
        let mut watch = watch(&server.url());
        let report = watch.check_within("activity", SOON).await;
        assert_eq!(report.failure, None);
        assert!(value(&report, "mongodb.connections.used_count", &[]) >= 1.0);
        assert!(value(&report, "mongodb.operations_total", &[("type", "command")]) > 0.0);
        assert_eq!(value(&report, "mongodb.operations.longest_seconds", &[]), 0.0, "ours does not count");
        if !server.is_mongod() {
            for metric in [
                "mongodb.operations.latency_seconds",
                "mongodb.cache.used_ratio",
                "mongodb.tickets.available_count",
            ] {
                assert_eq!(absent(&report, metric, &[]), Absent::Unsupported, "{metric}");
            }
            let metric = "mongodb.connections.used_ratio";
            assert_eq!(absent(&report, metric, &[]), Absent::NotKnown, "0 available is not 100 %");
        }
        assert_baseline(server.port, 1).await;
    }
}

#[tokio::test]
async fn everything_of_a_whole_server_is_read() {
    let responder = member();
    let mut watch = watch(&responder.url());
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(report.failure, None);
    for (metric, labels, wanted) in [
        ("mongodb.connections.used_ratio", &[][..], 0.2),
        ("mongodb.connections.usable_count", &[], 200.0),
        ("mongodb.operations_total", &[("type", "getmore")], 5.0),
        ("mongodb.queue.waiting_count", &[("type", "writes")], 2.0),
        ("mongodb.clients.active_count", &[("type", "reads")], 3.0),
        ("mongodb.tickets.available_count", &[("type", "reads")], 127.0),
        ("mongodb.tickets.out_count", &[("type", "writes")], 2.0),
        ("mongodb.cache.used_ratio", &[], 0.8),
        ("mongodb.cache.dirty_ratio", &[], 0.05),
        ("mongodb.cache.app_evictions_total", &[], 7.0),
        ("mongodb.asserts_total", &[("type", "user")], 12.0),
        ("mongodb.asserts_total", &[("type", "msg")], 0.0),
        ("mongodb.cursors.open_count", &[], 11.0),
        ("mongodb.write_conflicts_total", &[], 5.0),
        ("mongodb.queries.scanned_total", &[("type", "documents")], 80.0),
        ("mongodb.locks.deadlocks_total", &[], 3.0),
        ("mongodb.flow_control.lagged_state", &[], 0.0),
        ("mongodb.page_faults_total", &[], 21.0),
        ("mongodb.memory.resident_bytes", &[], 512.0 * 1024.0 * 1024.0),
        ("mongodb.network.out_bytes_total", &[], 200.0),
    ] {
        assert_eq!(value(&report, metric, labels), wanted, "{metric} {labels:?}");
    }
    assert!(find(&report, "mongodb.operations.latency_seconds", &[]).is_none(), "a mean needs an interval");
    let mut later = server_status();
    later.insert(
        "opLatencies",
        doc! {
            "reads": {"latency": 1_500_000i64, "ops": 1100i64}, "writes": {"latency": 0i64, "ops": 0i64},
            "commands": {"latency": 10i64, "ops": 1i64},
        },
    );
    let cache = later.get_document_mut("wiredTiger").unwrap().get_document_mut("cache").unwrap();
    cache.insert("pages read into cache", 1500i64);
    cache.insert("pages requested from the cache", 110_000i64);
    responder.set("serverStatus", Answer::Is(later));
    let report = watch.check_within("activity", SOON).await;
    let latency = |kind| number(&report, "mongodb.operations.latency_seconds", &[("type", kind)]);
    assert_eq!(latency("reads"), Some(0.005), "half a second for a hundred");
    assert_eq!(latency("writes"), None, "nothing was written");
    assert_eq!(latency("commands"), None, "the counters began again");
    assert_eq!(value(&report, "mongodb.cache.hit_ratio", &[]), 0.95);
    assert_baseline(responder.port, 1).await;
}

#[tokio::test]
async fn a_real_server_without_connections_left_is_full() {
    let responder = member();
    let mut full = server_status();
    full.insert("connections", doc! {"current": 200, "available": 0, "active": 9});
    responder.set("serverStatus", Answer::Is(full));
    let report = watch(&responder.url()).check_within("activity", SOON).await;
    assert_eq!(value(&report, "mongodb.connections.used_ratio", &[]), 1.0);
}

#[tokio::test]
async fn tickets_of_version_8_are_found() {
    let responder = member();
    let mut newer = server_status();
    newer.get_document_mut("wiredTiger").unwrap().remove("concurrentTransactions");
    newer.insert(
        "queues",
        doc! {"execution": {"read": {"out": 5, "available": 6}, "write": {"out": 7, "available": 8}}},
    );
    responder.set("serverStatus", Answer::Is(newer));
    let report = watch(&responder.url()).check_within("activity", SOON).await;
    assert_eq!(value(&report, "mongodb.tickets.available_count", &[("type", "writes")]), 8.0);
}

fn operation(more: Document) -> Document {
    let mut operation = doc! {
        "client": "10.0.0.9:4711", "appName": "shop", "op": "command", "ns": "shop.orders", "active": true,
        "opid": 77, "secs_running": 1, "microsecs_running": 1_000_000i64, "waitingForLock": false,
    };
    operation.extend(more);
    operation
}

fn shown(report: &Report) -> String {
    evidence(report)
}

#[tokio::test]
async fn the_longest_operation_is_found_and_shown_without_its_values() {
    let responder = member();
    let tailing = doc! {
        "op": "getmore", "microsecs_running": 9_000_000_000i64, "cursor": {"tailable": true, "awaitData": true},
    };
    responder.set(
        "aggregate $currentOp",
        cursor([
            operation(tailing),
            operation(doc! {"command": {"hello": 1}, "microsecs_running": 8_000_000_000i64}),
            operation(doc! {"appName": "wise-monitoring", "microsecs_running": 7_000_000_000i64}),
            operation(doc! {
                "command": {"createIndexes": "orders", "indexes": [{"key": {"a": 1}}]},
                "microsecs_running": 6_000_000_000i64,
            }),
            operation(doc! {
                "microsecs_running": 400_000_000i64, "opid": "shard01:77", "waitingForLock": true,
                "command": {"find": "orders", "filter": {"email": "pl4nted@example.org"}, "$db": "shop"},
            }),
            operation(doc! {}),
        ]),
    );
    let mut watch = watch(&responder.url());
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(value(&report, "mongodb.operations.longest_seconds", &[]), 400.0);
    assert_eq!(value(&report, "mongodb.operations.running_count", &[]), 2.0);
    assert_eq!(value(&report, "mongodb.operations.waiting_for_lock_count", &[]), 1.0);
    assert_eq!(value(&report, "mongodb.index_builds.running_count", &[]), 1.0);
    assert_eq!(value(&report, "mongodb.index_builds.longest_seconds", &[]), 6000.0);
    let shown = shown(&report);
    assert!(shown.contains("{find: orders, filter: {email: ?}, $db: shop}"), "{shown}");
    assert!(shown.contains("shard01:77") && !shown.contains("pl4nted"), "{shown}");
}

#[tokio::test]
async fn deadlocks_count_since_the_last_check() {
    let responder = member();
    let mut watch = watch(&responder.url());
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(number(&report, "mongodb.locks.recent_deadlocks_count", &[]), None);
    let mut later = server_status();
    later.insert("locks", doc! {"Collection": {"deadlockCount": {"w": 9i64}}});
    responder.set("serverStatus", Answer::Is(later));
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(value(&report, "mongodb.locks.recent_deadlocks_count", &[]), 6.0);
}
