//! What can be wrong with a server, and the class that it gives.

use std::time::Duration;

use serde_json::json;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{Silent, Speaking, Watch, evidence};

use crate::{SHORT, SOON, assert_baseline, server, watch};

#[tokio::test]
async fn a_stopped_server_is_refused_and_one_that_comes_back_passes() {
    let mut server = server(&[]);
    let mut watch = watch(&server);
    for probe in ["availability", "activity", "replication", "storage"] {
        assert_eq!(watch.check_within(probe, SOON).await.failure, None, "{probe}");
    }
    server.service.stop();
    for probe in ["availability", "activity", "storage"] {
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
async fn a_server_that_starts_is_refused_until_it_takes_connections() {
    let mut server = server(&[]);
    let mut watch = watch(&server);
    server.service.stop();
    server.launch();
    // Held in the middle of its start, it cannot be ready before it was looked at.
    server.service.freeze();
    let (class, code, message) = watch.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("refused", "refused"), "{message}");
    server.service.thaw();
    watch.check_until("it is ready", "availability", SOON, |report| report.failure.is_none()).await;
}

#[tokio::test]
async fn a_server_that_shuts_down_cuts_those_inside_and_refuses_the_others() {
    let server = server(&[]);
    let sql = "SELECT SLEEP(0.05) AS n FROM seq_1_to_400";
    let limits = json!({"max_rows": 1000, "timeout": "20s"});
    let queries = json!([{"name": "slow", "sql": sql, "database": "mysql", "limits": limits}]);
    let mut inside = Watch::new(&REGISTERED, json!({"url": server.url(), "queries": queries}));
    let ending = async {
        wise_testbed::eventually("the query runs", || {
            match server
                .sql("SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE 'SELECT SLEEP%'")
            {
                one if one == "1" => Ok(()),
                other => Err(other),
            }
        })
        .await;
        server.sql("SHUTDOWN");
    };
    let (inside, ()) = tokio::join!(inside.failure("queries", Duration::from_secs(20)), ending);
    // MariaDB says nothing to its sessions; MySQL's 1053 is in mysql8.rs.
    assert_eq!((inside.0.as_str(), inside.1.as_str()), ("reset", "closed"), "{inside:?}");
    let mut outside = watch(&server);
    let is_refused = |report: &wise_core::Report| {
        report.failure.as_ref().is_some_and(|failure| failure.class.name == "refused")
    };
    outside.check_until("no one is let in", "availability", SOON, is_refused).await;
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Fails when a task goes on waiting for a server that is frozen.
async fn no_more_tasks_than(before: usize) {
    wise_testbed::eventually("no task waits for the frozen server", || match tasks() {
        now if now <= before => Ok(()),
        now => Err(now),
    })
    .await;
}

#[tokio::test]
async fn a_frozen_server_costs_a_deadline_and_leaves_nothing_behind() {
    let mut server = server(&[]);
    let mut watch = watch(&server);
    assert_eq!(watch.check_within("activity", SOON).await.failure, None);
    let before = tasks();
    server.service.freeze();
    for (probe, codes) in [
        ("availability", &["handshake"][..]),
        // The kept session is given up after a second, which is all the time there is here.
        ("activity", &["ping", "connect", "handshake"]),
        ("storage", &["handshake"]),
    ] {
        let (class, code, message) = watch.failure(probe, SHORT).await;
        assert_eq!(class, "timeout", "{probe}: {message}");
        assert!(codes.contains(&code.as_str()), "{probe}: {code}: {message}");
    }
    no_more_tasks_than(before).await;
    server.service.thaw();
    for probe in ["availability", "activity", "storage"] {
        assert_eq!(watch.check_within(probe, SOON).await.failure, None, "{probe}");
    }
    assert_baseline(&server, 1).await;
}

#[tokio::test]
async fn a_server_that_freezes_in_the_middle_of_an_answer_leaves_nothing_behind() {
    let mut server = server(&[]);
    let sql = "SELECT SLEEP(0.05) AS n FROM seq_1_to_400";
    let limits = json!({"max_rows": 1000, "timeout": "20s"});
    let settings = json!({"url": server.url(), "queries": [{"name": "slow", "sql": sql, "database": "mysql", "limits": limits}]});
    let mut watch = Watch::new(&REGISTERED, settings);
    let before = tasks();
    let (class, ..) = watch.failure("queries", SHORT).await;
    assert_eq!(class, "timeout");
    server.service.freeze();
    let (class, ..) = watch.failure("queries", SHORT).await;
    assert_eq!(class, "timeout");
    no_more_tasks_than(before).await;
    server.service.thaw();
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn wrong_credentials_and_rights_have_their_classes() {
    let server = server(&[]);
    server.sql("CREATE USER locked@'127.0.0.1' IDENTIFIED BY 'wr0ng-pw' ACCOUNT LOCK; CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'wr0ng-pw'");
    let port = server.port;
    for (user, path, class, code) in [
        ("mon:wr0ng-pw", "", "auth", "1045"),
        ("nobody:wr0ng-pw", "", "auth", "1045"),
        ("mon", "", "auth", "1045"),
        ("locked:wr0ng-pw", "", "auth", "4151"),
        ("mon:s3cret-pw", "/missing", "no_database", "1049"),
        ("plain:wr0ng-pw", "/missing", "no_database", "1044"),
    ] {
        let mut watch =
            Watch::new(&REGISTERED, json!({"url": format!("mysql://{user}@127.0.0.1:{port}{path}")}));
        let report = watch.check_within("availability", SOON).await;
        let failure = report.failure.as_ref().unwrap();
        assert_eq!(
            (failure.class.name, failure.code.as_deref()),
            (class, Some(code)),
            "{user}: {}",
            failure.message
        );
        assert_eq!(failure.class.is_final, class == "auth");
        let all = format!("{report:?}");
        assert!(!all.contains("wr0ng-pw") && !all.contains("s3cret-pw"), "{all}");
    }
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_auth() {
    let server = wise_testbed::MariaDb::start(&[]);
    server.sql("DROP USER IF EXISTS root@'127.0.0.1'; DROP USER IF EXISTS root@'::1'; CREATE USER mon@'192.0.2.1' IDENTIFIED BY 's3cret-pw'");
    let mut watch = watch(&server);
    let (class, code, message) = watch.failure("availability", SOON).await;
    assert!(class == "auth" && matches!(code.as_str(), "1130" | "1045"), "{class} {code} {message}");
}

#[tokio::test]
async fn taken_connections_have_a_name() {
    let server = server(&["--max-connections=10"]);
    let mut sessions: Vec<_> = (0..10).map(|_| server.session()).collect();
    for session in &mut sessions {
        session.send("SELECT 'here';");
        assert_eq!(session.line(), "here");
    }
    let mut watch = watch(&server);
    let (class, code, message) = watch.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("too_many_connections", "1040"), "{message}");
    drop(sessions);
    watch.check_until("a place is free", "availability", SOON, |report| report.failure.is_none()).await;
    server.sql("ALTER USER mon@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1");
    let mut holder = std::process::Command::new("mariadb");
    let port = server.port.to_string();
    let mut holder = holder
        .args([
            "--no-defaults",
            "-h",
            "127.0.0.1",
            "-P",
            &port,
            "-u",
            "mon",
            "-ps3cret-pw",
            "-e",
            "SELECT SLEEP(20)",
        ])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wise_testbed::eventually("the session is there", || match server.monitor_sessions() {
        1 => Ok(()),
        other => Err(other),
    })
    .await;
    let report = watch.check_within("availability", SOON).await;
    let failure = report.failure.unwrap();
    assert_eq!((failure.class.name, failure.code.as_deref()), ("too_many_connections", Some("1226")));
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[tokio::test]
async fn ports_that_are_no_mysql_end_within_the_deadline() {
    let silent = Silent::default();
    let http = Speaking::new(b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
    let closes = Speaking::new(b"", true);
    let redis = Speaking::new(b"-ERR unknown command\r\n", true);
    for (port, classes) in [
        (silent.port(), &["timeout"][..]),
        (http.port, &["protocol"]),
        (closes.port, &["reset"]),
        (redis.port, &["protocol"]),
    ] {
        let mut watch =
            Watch::new(&REGISTERED, json!({"url": format!("mysql://mon:pw12345@127.0.0.1:{port}")}));
        let (class, code, message) = watch.failure("availability", SHORT).await;
        assert!(classes.contains(&class.as_str()), "{class}/{code}: {message}");
    }
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
    let mut session = server.session();
    session.send("SELECT SLEEP(20) FROM DUAL WHERE 'pl4nted' <> 'x';");
    let is_wanted = |report: &wise_core::Report| evidence(report).contains("SLEEP");
    let report = watch.check_until("the statement is seen", "activity", SOON, is_wanted).await;
    assert!(!evidence(&report).contains("pl4nted"), "{}", evidence(&report));
}
