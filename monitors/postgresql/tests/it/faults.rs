//! What can be wrong with a server, and the class that it gives.

use serde_json::json;
use wise_core::Report;
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Silent, Speaking, Watch, eventually, evidence};

use crate::{SHORT, SOON, assert_baseline, server, watch};

#[tokio::test]
async fn a_stopped_server_is_refused_and_one_that_comes_back_passes() {
    let mut server = server(&[]);
    let mut watch = watch(&server);
    for probe in ["availability", "activity", "replication", "storage"] {
        assert_eq!(watch.check_within(probe, SOON).await.failure, None, "{probe}");
    }
    server.stop();
    for probe in ["availability", "storage"] {
        assert_eq!(watch.failure(probe, SOON).await.0, "refused", "{probe}");
    }
    server.start_again();
    for probe in ["availability", "activity", "replication", "storage"] {
        assert_eq!(
            watch.check_within(probe, SOON).await.failure,
            None,
            "{probe}: a session that was cut is replaced"
        );
    }
    assert_baseline(&server, 1).await;
}

#[tokio::test]
async fn a_frozen_server_costs_a_deadline_and_no_more() {
    let mut server = server(&[]);
    let mut watch = watch(&server);
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
    server.service.freeze();
    // The postmaster is frozen: the kernel still takes connections, and no one speaks.
    let (class, code, message) = watch.failure("availability", SHORT).await;
    assert_eq!((class.as_str(), code.as_str()), ("timeout", "handshake"), "{message}");
    server.service.thaw();
    assert_eq!(watch.check_within("availability", SOON).await.failure, None);
    // The backend of the kept session is frozen.
    let backend = eventually("one session", || {
        let pids = server.sql("postgres", "SELECT pid FROM pg_stat_activity WHERE usename = 'mon'");
        if pids.lines().count() == 1 { Ok(pids) } else { Err(pids) }
    })
    .await;
    wise_testbed::signal(backend.parse().unwrap(), "STOP");
    let (class, code, _) = watch.failure("activity", std::time::Duration::from_millis(500)).await;
    assert_eq!((class.as_str(), code.as_str()), ("timeout", "ping"));
    wise_testbed::signal(backend.parse().unwrap(), "CONT");
    assert_eq!(watch.check_within("activity", SOON).await.failure, None, "a new session is made");
    assert_baseline(&server, 1).await;
}

#[tokio::test]
async fn starting_and_shutting_down_have_names() {
    let mut server = server(&[]);
    let mut watch = watch(&server);
    // A session that stays keeps a smart shutdown waiting: new ones are refused.
    let mut session = server.session("postgres");
    session.send("SELECT 'here';");
    assert_eq!(session.line(), "here");
    server.service.signal("TERM");
    let report = watch.check_until("refused", "availability", SOON, |report| report.failure.is_some()).await;
    let failure = report.failure.unwrap();
    assert_eq!(
        (failure.class.name, failure.code.as_deref()),
        ("shutting_down", Some("57P03")),
        "{}",
        failure.message
    );
    drop(session);
    server.stop();
    // A standby without anything to recover from never becomes ready: as a primary that recovers for long.
    server.write("standby.signal", "");
    server.set("restore_command", "false");
    server.set("hot_standby", "off");
    server.launch();
    let is_wanted = |report: &Report| report.failure.as_ref().is_some_and(|f| f.class.name != "refused");
    let report = watch.check_until("an answer", "availability", SOON, is_wanted).await;
    assert_eq!(report.failure.unwrap().class.name, "starting");
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_a_host_rule_are_auth() {
    let server = server(&[]);
    server.sql("postgres", "CREATE ROLE rejected LOGIN PASSWORD 'other-pw'");
    let port = server.port;
    server.sql("postgres", "CREATE DATABASE rejected");
    for (url, code) in [
        (format!("postgresql://mon:wr0ng-pw@127.0.0.1:{port}/postgres"), "28P01"),
        (format!("postgresql://nobody:wr0ng-pw@127.0.0.1:{port}/postgres"), "28P01"),
        (format!("postgresql://mon@127.0.0.1:{port}/postgres"), "password_missing"),
    ] {
        let mut watch = Watch::new(&REGISTERED, json!({"url": url}));
        let report = watch.check_within("availability", SOON).await;
        let failure = report.failure.as_ref().unwrap();
        assert_eq!(
            (failure.class.name, failure.code.as_deref()),
            ("auth", Some(code)),
            "{}",
            failure.message
        );
        assert!(failure.class.is_final);
        assert!(!format!("{report:?}").contains("wr0ng-pw"), "{report:?}");
    }
    server.write("pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 reject\n");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let mut watch = watch(&server);
    let report = watch.check_until("the rule", "availability", SOON, |report| report.failure.is_some()).await;
    let failure = report.failure.unwrap();
    assert_eq!((failure.class.name, failure.code.as_deref()), ("auth", Some("28000")));
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn an_unknown_database_and_taken_connections_have_names() {
    let server = server(&[("max_connections", "6"), ("superuser_reserved_connections", "3")]);
    let url = server.url().replace("/postgres", "/missing");
    let mut wrong = Watch::new(&REGISTERED, json!({"url": url}));
    assert_eq!(wrong.failure("availability", SOON).await.0, "no_database");
    server.sql("postgres", "CREATE ROLE app LOGIN");
    let mut sessions: Vec<_> = (0..3).map(|_| server.session("dbname=postgres user=app")).collect();
    for session in &mut sessions {
        session.send("SELECT 'here';");
        assert_eq!(session.line(), "here");
    }
    let mut watch = watch(&server);
    let (class, code, message) = watch.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("too_many_connections", "53300"), "{message}");
    drop(sessions);
    watch.check_until("a place is free", "availability", SOON, |report| report.failure.is_none()).await;
}

#[tokio::test]
async fn ports_that_are_no_postgresql_end_within_the_deadline() {
    let silent = Silent::default();
    let http = Speaking::new(b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
    let closes = Speaking::new(b"", true);
    let greeting = Speaking::new(b"\x4a\x00\x00\x00\x0a5.5.5-10.11.4-MariaDB\x00", false);
    for (port, class, code) in [
        (silent.port(), "timeout", "handshake"),
        (http.port, "protocol", "not_postgresql"),
        (closes.port, "reset", "closed"),
        (greeting.port, "protocol", "not_postgresql"),
    ] {
        let url = format!("postgresql://mon:pw@127.0.0.1:{port}/postgres");
        let mut watch = Watch::new(&REGISTERED, json!({"url": url}));
        let (found, found_code, message) = watch.failure("availability", SHORT).await;
        assert_eq!((found.as_str(), found_code.as_str()), (class, code), "{message}");
    }
    // Without the request for TLS the login meets the other protocol.
    let url = format!("postgresql://mon:pw@127.0.0.1:{}/postgres?sslmode=disable", http.port);
    let mut watch = Watch::new(&REGISTERED, json!({"url": url}));
    let (class, code, message) = watch.failure("availability", SHORT).await;
    assert!(
        matches!((class.as_str(), code.as_str()), ("protocol", "postgresql") | ("timeout", "auth")),
        "{class}/{code}: {message}"
    );
}

#[tokio::test]
async fn no_secret_is_in_any_output() {
    let server = server(&[]);
    let secret = "s3cret-pw";
    let mut watch = watch(&server);
    for probe in ["availability", "activity", "replication", "storage", "queries"] {
        let report = watch.check_within(probe, SOON).await;
        assert!(!format!("{report:?}").contains(secret), "{probe}");
    }
    assert!(!format!("{watch:?}").contains(secret));
    // A session of someone else whose statement holds a literal.
    let mut session = server.session("postgres");
    session.send("BEGIN; SELECT 'ready'; SELECT pg_sleep(20) WHERE 'pl4nted' <> 'x';");
    assert_eq!(session.line(), "ready");
    let is_wanted = |report: &Report| evidence(report).contains("pg_sleep");
    let report = watch.check_until("the statement is seen", "activity", SOON, is_wanted).await;
    let shown = evidence(&report);
    assert!(!shown.contains("pl4nted"), "{shown}");
}
