//! TLS, and its absence.

use serde_json::json;
use wise_testbed::{Certificates, Redis, evidence, fact, find, value};

use crate::{SHORT, class, pair, passes, settles, watch, watch_with};

#[tokio::test]
async fn a_good_certificate_passes_for_every_probe() {
    let certificates = Certificates::default();
    let server = Redis::with_tls(&certificates);
    let url = format!("rediss://localhost:{}", server.port);
    let mut watch = watch_with(&url, json!({"tls": {"ca_file": certificates.ca}}));
    let report = watch.check("availability").await;
    passes(&report);
    assert_eq!(fact(&report, "redis.tls"), Some("TLSv1.3"));
    assert!(value(&report, "redis.stage.tls_seconds", &[]) > 0.0);
    assert!(value(&report, "redis.certificate.expires_in_days", &[]) > 1.0);
    for probe in ["activity", "replication", "storage", "queries"] {
        passes(&watch.check(probe).await);
    }
    settles(&server, "", 1).await;
    // A client certificate, and any certificate of the server.
    let files = json!({"mode": "require", "client_certificate_file": certificates.client,
        "client_key_file": certificates.client_key});
    passes(&watch_with(&url.replace("rediss", "redis"), json!({"tls": files})).check("storage").await);
}

#[tokio::test]
async fn certificates_that_are_not_trusted_are_refused() {
    let certificates = Certificates::for_names(&["other.example"]);
    let server = Redis::with_tls(&certificates);
    let url = format!("rediss://localhost:{}", server.port);
    let with =
        |mode: &str, ca: &std::path::Path| watch_with(&url, json!({"tls": {"mode": mode, "ca_file": ca}}));
    let mut wrong_ca = with("verify-full", &certificates.other_ca);
    let report = wrong_ca.check_within("availability", SHORT).await;
    let failure = report.failure.clone().unwrap();
    assert_eq!(failure.class.name, "tls", "{failure:?}");
    assert!(evidence(&report).contains("certificates"));
    assert!(value(&report, "redis.certificate.expires_in_days", &[]) > 1.0);
    assert_eq!(class(&mut wrong_ca, "storage").await.0, "tls");
    let mut wrong_host = with("verify-full", &certificates.ca);
    assert_eq!(class(&mut wrong_host, "availability").await, pair("tls", "wrong_host"));
    assert_eq!(class(&mut wrong_host, "activity").await, pair("tls", "wrong_host"));
    passes(&with("verify-ca", &certificates.ca).check("availability").await);
    settles(&server, "", 0).await;
    let mut missing = with("verify-full", std::path::Path::new("/nowhere/ca.pem"));
    assert_eq!(class(&mut missing, "availability").await, pair("definition", "tls_files"));
}

#[tokio::test]
async fn plain_text_and_tls_do_not_meet() {
    let certificates = Certificates::default();
    let secure = Redis::with_tls(&certificates);
    let mut watch = watch(&format!("redis://127.0.0.1:{}", secure.port));
    assert_eq!(class(&mut watch, "availability").await, pair("reset", "closed"));
    assert_eq!(class(&mut watch, "activity").await, pair("reset", "closed"));
    let plain = Redis::start(&[]);
    let mut watch = watch_with(
        &format!("rediss://localhost:{}", plain.port),
        json!({"tls": {"ca_file": certificates.ca}}),
    );
    let report = watch.check_within("availability", SHORT).await;
    // The server takes the greeting for a command, and waits for the end of the line where there is none in it.
    let failure = report.failure.clone().unwrap();
    assert!(matches!(failure.class.name, "tls" | "timeout"), "{failure:?}");
    assert!(find(&report, "redis.stage.tls_seconds", &[]).is_none());
    settles(&plain, "", 0).await;
}
