use serde_json::json;
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Watch, evidence, fact, find, value};

use crate::{SOON, assert_baseline, server, watch};

#[tokio::test]
async fn a_healthy_server_passes_with_every_stage_timed() {
    let server = server(&[]);
    let mut watch = watch(&server);
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(report.failure, None);
    assert!(report.local);
    for stage in ["dns", "connect", "handshake", "auth", "role", "query"] {
        let seconds = value(&report, &format!("postgresql.stage.{stage}_seconds"), &[]);
        assert!((0.0..5.0).contains(&seconds), "{stage}: {seconds}");
    }
    assert!(value(&report, "postgresql.total_seconds", &[]) > 0.0);
    assert!(value(&report, "postgresql.server.uptime_seconds", &[]) < 60.0);
    assert_eq!(value(&report, "postgresql.server.role_state", &[]), 0.0);
    assert_eq!(value(&report, "postgresql.server.timeline_count", &[]), 1.0);
    assert_eq!(fact(&report, "role"), Some("primary"));
    assert_eq!(fact(&report, "tls"), Some("plain text"), "the report says that prefer ended in plain text");
    assert!(
        fact(&report, "version").is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    );
    assert!(evidence(&report).contains("plain text"));
    assert_baseline(&server, 0).await;
    // What has not changed is not told again.
    assert_eq!(watch.check_within("availability", SOON).await.facts, []);
}

#[tokio::test]
async fn a_unix_socket_works_and_a_missing_one_is_refused() {
    let server = server(&[]);
    let folder = server.socket_folder().display().to_string();
    let url = |folder: &str| format!("postgresql://mon@/postgres?host={folder}&port={}", server.port);
    let mut watch = Watch::new(&REGISTERED, json!({"url": url(&folder)}));
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(report.failure, None);
    assert!(report.local && find(&report, "postgresql.stage.tls_seconds", &[]).is_none());
    let mut nowhere = Watch::new(&REGISTERED, json!({"url": url("/nowhere")}));
    let (class, code, message) = nowhere.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("refused", "no_socket"), "{message}");
}

#[tokio::test]
async fn the_expected_role_is_checked() {
    let server = server(&[]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "expected_role": "standby"}));
    let (class, code, _) = watch.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("wrong_role", "primary"));
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "expected_role": "primary"}));
    assert_eq!(watch.check_within("availability", SOON).await.failure, None);
    server.sql("postgres", "ALTER SYSTEM SET default_transaction_read_only = on");
    server.sql("postgres", "SELECT pg_reload_conf()");
    wise_testbed::until("the setting is in force", || {
        let now = server.sql("postgres", "SHOW default_transaction_read_only");
        if now == "on" { Ok(()) } else { Err(now) }
    });
    let (class, ..) = watch.failure("availability", SOON).await;
    assert_eq!(class, "read_only");
    let mut any = Watch::new(&REGISTERED, json!({"url": server.url()}));
    let report = any.check_within("availability", SOON).await;
    assert_eq!(
        (report.failure.as_ref(), value(&report, "postgresql.server.read_only_state", &[])),
        (None, 1.0)
    );
}
