//! What can be wrong with a server, and the class that it gives.

use bson::doc;
use serde_json::json;
use wise_core::{Absent, Report};
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Mongo, Silent, Speaking, Watch, absent, evidence, value};

use crate::responder::{Answer, Responder};
use crate::shapes::{self, hello, primary, replica_set, status};
use crate::{SHORT, SOON, assert_baseline, servers, watch};

const PROBES: [&str; 4] = ["availability", "activity", "replication", "storage"];

fn healthy() -> Responder {
    let members =
        vec![shapes::own(shapes::member(0, 1, 0)), shapes::member(1, 2, 0), shapes::member(2, 2, 0)];
    replica_set(primary(), status(members))
}

fn outcome(report: &Report) -> (&str, &str) {
    report
        .failure
        .as_ref()
        .map_or(("", ""), |failure| (failure.class.name, failure.code.as_deref().unwrap_or("")))
}

#[tokio::test]
async fn a_stopped_server_is_refused_and_one_that_comes_back_passes() {
    for mut server in servers(&[]) {
        let mut watch = watch(&server.url());
        for probe in PROBES {
            assert_eq!(watch.check_within(probe, SOON).await.failure, None, "{probe}");
        }
        server.service.stop();
        for probe in PROBES {
            assert_eq!(watch.failure(probe, SOON).await.0, "refused", "{probe}");
        }
        assert_baseline(server.port, 0).await;
        server.start_again();
        for probe in PROBES {
            let report = watch.check_within(probe, SOON).await;
            assert_eq!(report.failure, None, "{probe}: a session that was cut is replaced");
        }
        assert_baseline(server.port, 1).await;
    }
}

#[tokio::test]
async fn a_frozen_server_costs_a_deadline_and_leaves_nothing_behind() {
    for mut server in servers(&[]) {
        let mut watch = watch(&server.url());
        assert_eq!(watch.check_within("activity", SOON).await.failure, None);
        server.service.freeze();
        // The kernel still takes connections, and no one speaks.
        let brief = std::time::Duration::from_millis(500);
        for (probe, stage) in
            [("availability", "handshake"), ("activity", "ping"), ("replication", "handshake")]
        {
            let (class, code, message) = watch.failure(probe, brief).await;
            assert_eq!((class.as_str(), code.as_str()), ("timeout", stage), "{message}");
        }
        assert_baseline(server.port, 0).await;
        server.service.thaw();
        for probe in PROBES {
            assert_eq!(watch.check_within(probe, SOON).await.failure, None, "{probe}");
        }
        assert_baseline(server.port, 1).await;
    }
}

#[tokio::test]
async fn a_kept_session_keeps_its_tasks_and_no_more() {
    let responder = healthy();
    let mut watch = watch(&responder.url());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
    let first = tasks();
    for probe in ["replication", "activity", "availability", "storage", "replication", "activity"] {
        responder.set("listDatabases", Answer::Is(doc! {"databases": []}));
        assert_eq!(watch.check_within(probe, SOON).await.failure, None, "{probe}");
    }
    wise_testbed::eventually("only the kept session has tasks", || {
        if tasks() <= first { Ok(()) } else { Err(format!("{} tasks, {first} before", tasks())) }
    })
    .await;
    assert_eq!(crate::connections(responder.port), 1);
    assert_eq!(responder.commands("isMaster").len(), 2, "once for availability, once for all others");
    drop(watch);
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_of_a_login_leaves_nothing_behind() {
    let responder = healthy();
    let url = format!("mongodb://mon:pl4nted-pw@127.0.0.1:{}", responder.port);
    let mut watch = watch(&url);
    for command in ["saslStart", "serverStatus"] {
        responder.set(command, Answer::Silence);
    }
    for probe in ["availability", "activity", "storage"] {
        let (class, code, message) = watch.failure(probe, SHORT).await;
        assert_eq!((class.as_str(), code.as_str()), ("timeout", "auth"), "{message}");
    }
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn answers_have_classes_by_their_codes() {
    let responder = healthy();
    let mut watch = watch(&responder.url());
    for (command, code, probe, class) in [
        ("ping", 91, "availability", "shutting_down"),
        ("ping", 11600, "availability", "shutting_down"),
        ("ping", 13436, "availability", "starting"),
        ("buildInfo", 50, "availability", "query_timeout"),
        ("ping", 189, "availability", "read_only"),
        ("ping", 14031, "availability", "writes_fail"),
        ("ping", 133, "availability", "cluster"),
        ("ping", 8, "availability", "statement"),
        ("isMaster", 91, "availability", "shutting_down"),
        ("serverStatus", 13, "activity", "permission"),
        ("replSetGetStatus", 13, "replication", "permission"),
        ("listDatabases", 13, "storage", "permission"),
    ] {
        responder.set("listDatabases", Answer::Is(doc! {"databases": []}));
        responder.set(command, Answer::Error(code));
        let report = watch.check_within(probe, SOON).await;
        assert_eq!(outcome(&report), (class, code.to_string().as_str()), "{command}");
        if class == "permission" {
            let message = &report.failure.as_ref().unwrap().message;
            assert!(message.contains("clusterMonitor"), "{message}");
        }
        // As it was.
        let usual = match command {
            "ping" => Answer::Is(doc! {}),
            "buildInfo" => Answer::Is(doc! {"version": "7.0.14"}),
            "isMaster" => Answer::Is(primary()),
            "serverStatus" => Answer::Is(shapes::server_status()),
            "listDatabases" => Answer::Is(doc! {"databases": []}),
            _ => Answer::Is(status(vec![shapes::own(shapes::member(0, 1, 0))])),
        };
        responder.set(command, usual);
    }
    drop(watch);
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn logins_that_are_missing_or_refused_are_auth() {
    let responder = healthy();
    responder.set("serverStatus", Answer::Error(13));
    responder.set("saslStart", Answer::Error(18));
    let (class, code, _) = watch(&responder.url()).failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("auth", "credentials_missing"));
    let url = format!("mongodb://mon:pl4nted-pw@127.0.0.1:{}", responder.port);
    let mut refused = watch(&url);
    for (answer, class, code, is_final) in
        [(18, "auth", "18", true), (8, "auth", "8", true), (91, "shutting_down", "91", false)]
    {
        responder.set("saslStart", Answer::Error(answer));
        let report = refused.check_within("availability", SOON).await;
        let failure = report.failure.as_ref().unwrap();
        assert_eq!((failure.class.name, failure.code.as_deref()), (class, Some(code)), "{}", failure.message);
        assert_eq!(failure.class.is_final, is_final);
        assert!(!format!("{report:?} {refused:?}").contains("pl4nted"));
    }
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn a_server_cannot_make_the_login_hash_for_hours_or_panic() {
    let responder = healthy();
    let payload = |rounds: &str| {
        let bytes = format!("r=abc,s=c2FsdHNhbHQ=,i={rounds}").into_bytes();
        let payload = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes };
        Answer::Is(doc! {"conversationId": 1, "done": false, "payload": payload})
    };
    let url = format!("mongodb://mon:pl4nted-pw@127.0.0.1:{}", responder.port);
    for (rounds, code) in
        [("4000000000", "iterations"), ("99999999999999999999999", "iterations"), ("15000", "nonce")]
    {
        responder.set("saslStart", payload(rounds));
        let (class, found, message) = watch(&url).failure("availability", SHORT).await;
        assert_eq!((class.as_str(), found.as_str()), ("protocol", code), "{message}");
    }
    let empty = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: Vec::new() };
    for answer in
        [doc! {}, doc! {"conversationId": 1, "done": true, "payload": empty}, doc! {"payload": "text"}]
    {
        responder.set("saslStart", Answer::Is(answer));
        assert_eq!(
            watch(&url).failure("availability", SHORT).await.0,
            "auth",
            "the driver sees it for itself"
        );
    }
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn passwords_are_checked_by_a_real_server() {
    for program in Mongo::programs() {
        if program.ends_with("mongod") {
            // It makes its first user over the loopback exception, and then grants nothing without a login.
            continue;
        }
        let mut server = Mongo::start(&program, &[]);
        add_user(&server).await;
        server.service.stop();
        server = restart_with_auth(server);
        let url = |user: &str, password: &str| {
            format!("mongodb://{user}:{password}@127.0.0.1:{}/admin", server.port)
        };
        for (user, password) in [("mon", "wr0ng-pw"), ("nobody", "wr0ng-pw")] {
            let mut watch = watch(&url(user, password));
            let report = watch.check_within("availability", SOON).await;
            assert_eq!(outcome(&report).0, "auth", "{user}: {:?}", report.failure);
            assert!(!format!("{report:?} {watch:?}").contains("wr0ng-pw"));
        }
        let mut watch = watch(&url("mon", "s3cret-pw"));
        for probe in PROBES {
            let report = watch.check_within(probe, SOON).await;
            assert!(!format!("{report:?} {watch:?}").contains("s3cret-pw"), "{probe}");
            assert_eq!(report.failure, None, "{probe}");
        }
        let report = watch.check_within("availability", SOON).await;
        assert!(value(&report, "mongodb.stage.auth_seconds", &[]) > 0.0);
        assert_baseline(server.port, 1).await;
    }
}

/// Through the driver, as an operator would with a shell.
async fn add_user(server: &Mongo) {
    let client = mongodb::Client::with_uri_str(server.url()).await.expect("a client");
    let roles = ["clusterMonitor", "readAnyDatabase"].map(|role| doc! {"role": role, "db": "admin"});
    let command = doc! {"createUser": "mon", "pwd": "s3cret-pw", "roles": roles.to_vec()};
    client.database("admin").run_command(command).await.expect("the user is made");
    client.shutdown().immediate(true).await;
}

/// The same data, and logins asked for.
fn restart_with_auth(server: Mongo) -> Mongo {
    server.with_options(&["--auth"])
}

#[tokio::test]
async fn members_that_are_not_ready_are_starting() {
    let unready = hello(doc! {"setName": "rs0", "secondary": false});
    let unconfigured = hello(doc! {"isreplicaset": true});
    for (answer, code) in [(unready.clone(), "not_ready"), (unconfigured, "no_configuration")] {
        let responder = replica_set(answer, doc! {});
        let report = watch(&responder.url()).check_within("availability", SOON).await;
        assert_eq!(outcome(&report), ("starting", code));
        assert!(evidence(&report).contains("hello"));
        assert_baseline(responder.port, 0).await;
    }
    // In the initial sync the users are not there yet: that is no wrong password.
    let responder = replica_set(unready, doc! {});
    responder.set("saslStart", Answer::Error(18));
    let url = format!("mongodb://mon:pl4nted-pw@127.0.0.1:{}", responder.port);
    let (class, code, _) = watch(&url).failure("replication", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("starting", "no_users"));
}

#[tokio::test]
async fn ports_that_are_no_mongodb_end_within_the_deadline() {
    let silent = Silent::default();
    let http = Speaking::new(b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
    let closes = Speaking::new(b"", true);
    let greeting = Speaking::new(b"\x4a\x00\x00\x00\x0a5.5.5-10.11.4-MariaDB\x00", false);
    let huge = Speaking::new(b"\xff\xff\xff\x7f\x01\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00", false);
    for (port, class, code) in [
        (silent.port(), "timeout", "handshake"),
        (http.port, "protocol", "not_mongodb"),
        (closes.port, "reset", "closed"),
        (greeting.port, "protocol", "not_mongodb"),
        (huge.port, "protocol", "too_much"),
    ] {
        let url = format!("mongodb://mon:pl4nted-pw@127.0.0.1:{port}");
        let mut watch = watch(&url);
        for probe in ["availability", "storage"] {
            let (found, found_code, message) = watch.failure(probe, SHORT).await;
            assert_eq!((found.as_str(), found_code.as_str()), (class, code), "{probe}: {message}");
        }
        assert_baseline(port, 0).await;
    }
}

#[tokio::test]
async fn hostile_answers_in_the_middle_of_a_session_have_classes() {
    let endless = {
        // A message that promises 16 MB and sends a little: it is waited for, and no longer than may be.
        let mut bytes = 16_000_000i32.to_le_bytes().to_vec();
        bytes.extend([1i32, 1, 2013].iter().flat_map(|number| number.to_le_bytes()));
        bytes
    };
    let huge = {
        let mut bytes = i32::MAX.to_le_bytes().to_vec();
        bytes.extend([1i32, 1, 2013].iter().flat_map(|number| number.to_le_bytes()));
        bytes
    };
    let responder = healthy();
    let mut watch = watch(&responder.url());
    for (answer, class, code) in [
        (Answer::Junk(huge), "protocol", "too_much"),
        (Answer::Junk(endless), "timeout", "activity"),
        (Answer::Junk(b"no message of MongoDB's at all".to_vec()), "protocol", "not_mongodb"),
        (Answer::HangUp, "reset", "closed"),
        (Answer::Is((0..150).fold(doc! {"a": 1}, |inner, _| doc! {"d": inner})), "protocol", "mongodb"),
    ] {
        responder.set("serverStatus", answer);
        let (found, found_code, message) = watch.failure("activity", SHORT).await;
        assert_eq!((found.as_str(), found_code.as_str()), (class, code), "{message}");
        assert_baseline(responder.port, 0).await;
    }
    responder.set("serverStatus", Answer::Is(shapes::server_status()));
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
}

#[tokio::test]
async fn privileges_that_are_missing_in_parts_cost_their_readings() {
    let responder = healthy();
    responder.set("aggregate $currentOp", Answer::Error(13));
    responder.set("find 1", Answer::Error(13));
    responder.set("replSetGetConfig", Answer::Error(13));
    let mut watch = watch(&responder.url());
    let report = watch.check_within("activity", SOON).await;
    assert_eq!(report.failure, None);
    let why = absent(&report, "mongodb.operations.longest_seconds", &[]);
    assert!(matches!(why, Absent::NoPermission(grant) if grant.contains("clusterMonitor")));
    assert_eq!(value(&report, "mongodb.connections.used_count", &[]), 40.0);
    let report = watch.check_within("replication", SOON).await;
    assert_eq!(report.failure, None);
    let why = absent(&report, "mongodb.oplog.window_seconds", &[]);
    assert!(matches!(why, Absent::NoPermission(grant) if grant.contains("read on local")));
    assert_eq!(value(&report, "mongodb.member.lag_seconds", &[("member", "m1:27017")]), 0.0);
}

#[tokio::test]
async fn no_secret_is_in_any_output() {
    let responder = healthy();
    // A server that gives back what it was told.
    responder.set("saslStart", Answer::Error(11));
    let settings = json!({"url": format!("mongodb://mon:pl4nted%20pw@127.0.0.1:{}", responder.port)});
    let mut watch = Watch::new(&REGISTERED, settings);
    for probe in ["availability", "activity", "replication", "storage", "queries"] {
        let report = watch.check_within(probe, SOON).await;
        let shown = format!("{report:?} {watch:?}");
        assert!(!shown.contains("pl4nted"), "{probe}: {shown}");
    }
}
