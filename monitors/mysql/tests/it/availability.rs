use serde_json::json;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{Watch, evidence, fact, value};

use crate::{SOON, assert_baseline, server, watch};

#[tokio::test]
async fn a_healthy_server_passes_with_every_stage_timed() {
    let server = server(&[]);
    let mut watch = watch(&server);
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(report.failure, None);
    assert!(report.local);
    for stage in ["dns", "connect", "handshake", "auth", "role", "query"] {
        let seconds = value(&report, &format!("mysql.stage.{stage}_seconds"), &[]);
        assert!((0.0..5.0).contains(&seconds), "{stage}: {seconds}");
    }
    assert!(value(&report, "mysql.total_seconds", &[]) > 0.0);
    assert!(value(&report, "mysql.server.uptime_seconds", &[]) < 60.0);
    assert_eq!(value(&report, "mysql.server.read_only_state", &[]), 0.0);
    assert_eq!(fact(&report, "flavour"), Some("MariaDB"));
    assert_eq!(fact(&report, "tls"), Some("plain text"), "the report says that prefer ended in plain text");
    assert!(fact(&report, "version").is_some_and(|version| version.starts_with("1")));
    assert!(evidence(&report).contains("plain text"));
    assert_baseline(&server, 0).await;
    let aborted = server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_%'");
    assert_eq!(watch.check_within("availability", SOON).await.facts, []);
    assert_baseline(&server, 0).await;
    let after = server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_%'");
    assert_eq!(aborted, after, "checks that pass leave no broken session behind");
}

#[tokio::test]
async fn a_unix_socket_works_and_a_missing_one_is_refused() {
    let server = server(&[]);
    server.sql("CREATE USER mon@localhost IDENTIFIED BY 's3cret-pw'");
    let url = |path: &str| format!("mysql://mon:s3cret-pw@/?socket={path}");
    let mut watch = Watch::new(&REGISTERED, json!({"url": url(&server.socket())}));
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(report.failure, None);
    assert!(report.local);
    let mut nowhere = Watch::new(&REGISTERED, json!({"url": url("/nowhere/socket")}));
    let (class, code, message) = nowhere.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("refused", "no_socket"), "{message}");
}

#[tokio::test]
async fn a_primary_that_only_reads_is_down_where_one_is_expected() {
    let server = server(&["--read-only"]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "expected_role": "primary"}));
    assert_eq!(watch.failure("availability", SOON).await.0, "read_only");
    let mut any = Watch::new(&REGISTERED, json!({"url": server.url()}));
    let report = any.check_within("availability", SOON).await;
    assert_eq!((report.failure.as_ref(), value(&report, "mysql.server.read_only_state", &[])), (None, 1.0));
    server.sql("SET GLOBAL read_only = OFF");
    assert_eq!(watch.check_within("availability", SOON).await.failure, None);
}
