use bson::doc;
use serde_json::json;
use wise_core::Absent;
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Watch, absent, evidence, fact, find, value};

use crate::responder::{Answer, Responder};
use crate::shapes::{hello, primary, replica_set, secondary, status};
use crate::{SOON, assert_baseline, servers, shapes, watch};

#[tokio::test]
async fn a_healthy_server_passes_with_every_stage_timed() {
    for server in servers(&[]) {
        let mut watch = watch(&server.url());
        let report = watch.check_within("availability", SOON).await;
        assert_eq!(report.failure, None);
        assert!(report.local);
        for stage in ["dns", "connect", "handshake", "auth", "role", "query"] {
            let seconds = value(&report, &format!("mongodb.stage.{stage}_seconds"), &[]);
            assert!((0.0..5.0).contains(&seconds), "{stage}: {seconds}");
        }
        assert!(value(&report, "mongodb.total_seconds", &[]) > 0.0);
        assert!(value(&report, "mongodb.server.uptime_seconds", &[]) < 60.0);
        assert_eq!(value(&report, "mongodb.server.writable_state", &[]), 1.0);
        assert_eq!(fact(&report, "tls"), Some("plain text"), "the report says that prefer is plain text");
        assert!(
            fact(&report, "version").is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        );
        assert!(["primary", "standalone"].contains(&fact(&report, "role").unwrap()));
        assert_baseline(server.port, 0).await;
        // What has not changed is not told again.
        assert_eq!(watch.check_within("availability", SOON).await.facts, []);
    }
}

#[tokio::test]
async fn one_connection_is_made_and_no_session() {
    let responder = replica_set(primary(), status(vec![shapes::own(shapes::member(0, 1, 0))]));
    let mut watch = watch(&responder.url());
    assert_eq!(watch.check_within("availability", SOON).await.failure, None);
    assert_eq!(responder.commands("isMaster").len(), 1, "the driver's own questions are answered here");
    for name in ["ping", "serverStatus"] {
        for command in responder.commands(name) {
            assert!(!command.contains_key("lsid"), "{command}");
            assert!(command.get_i64("maxTimeMS").is_ok_and(|limit| limit > 0), "{command}");
        }
    }
    let hello = &responder.commands("isMaster")[0];
    let name =
        hello.get_document("client").unwrap().get_document("application").unwrap().get_str("name").ok();
    assert_eq!(name, Some("wise-monitoring"));
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn roles_are_told_and_expected() {
    let mongos = hello(doc! {"ismaster": true, "msg": "isdbgrid"});
    for (answer, role, state, expected, failure) in [
        (primary(), "primary", 0.0, "primary", None),
        (primary(), "primary", 0.0, "secondary", Some(("wrong_role", "primary"))),
        (secondary(), "secondary", 1.0, "secondary", None),
        (secondary(), "secondary", 1.0, "primary", Some(("wrong_role", "secondary"))),
        (secondary(), "secondary", 1.0, "any", None),
        (mongos, "mongos", 3.0, "any", None),
        (hello(doc! {"ismaster": true}), "standalone", 4.0, "primary", None),
        (
            hello(doc! {"ismaster": true, "readOnly": true}),
            "standalone",
            4.0,
            "primary",
            Some(("read_only", "read_only")),
        ),
    ] {
        let responder = replica_set(answer, doc! {});
        let mut watch = Watch::new(&REGISTERED, json!({"url": responder.url(), "expected_role": expected}));
        let report = watch.check_within("availability", SOON).await;
        let found =
            report.failure.as_ref().map(|failure| (failure.class.name, failure.code.as_deref().unwrap()));
        assert_eq!(found, failure, "{role} {expected}");
        assert_eq!(fact(&report, "role"), Some(role));
        assert_eq!(value(&report, "mongodb.server.role_state", &[]), state);
    }
}

#[tokio::test]
async fn a_unix_socket_works_and_a_missing_one_is_refused() {
    let responder = replica_set(primary(), doc! {});
    let folder = responder.listen_on_socket();
    let url =
        |path: &std::path::Path| format!("mongodb://{}", path.display().to_string().replace('/', "%2F"));
    let report =
        watch(&url(&folder.path().join("mongodb-27017.sock"))).check_within("availability", SOON).await;
    assert_eq!(report.failure, None);
    assert!(report.local && find(&report, "mongodb.stage.dns_seconds", &[]).is_none());
    let (class, code, message) =
        watch(&url("/nowhere/mongodb.sock".as_ref())).failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("refused", "no_socket"), "{message}");
}

#[tokio::test]
async fn a_member_of_another_set_is_a_failure() {
    let responder = replica_set(primary(), doc! {});
    let mut watch = watch(&format!("{}/?replicaSet=rs1", responder.url()));
    let (class, code, message) = watch.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("cluster", "replica_set"), "{message}");
}

#[tokio::test]
async fn an_arbiter_is_asked_and_not_logged_in_to() {
    let hello = hello(doc! {"setName": "rs0", "arbiterOnly": true, "secondary": false});
    let responder = Responder::new([("isMaster", Answer::Is(hello))]);
    let url = format!("mongodb://mon:pw-of-arbiter@127.0.0.1:{}", responder.port);
    let mut watch = watch(&url);
    let report = watch.check_within("availability", SOON).await;
    assert_eq!((report.failure.as_ref(), fact(&report, "role")), (None, Some("arbiter")));
    assert!(find(&report, "mongodb.stage.auth_seconds", &[]).is_none());
    for (probe, metric) in [
        ("activity", "mongodb.connections.used_count"),
        ("replication", "mongodb.replication.own_state"),
        ("storage", "mongodb.data.size_bytes"),
    ] {
        let report = watch.check_within(probe, SOON).await;
        assert_eq!(report.failure, None, "{probe}");
        assert_eq!(absent(&report, metric, &[]), Absent::Unsupported);
        assert!(evidence(&report).contains("arbiters have no users"));
    }
    assert_eq!(responder.commands("saslStart").len(), 0);
    assert_baseline(responder.port, 0).await;
}
