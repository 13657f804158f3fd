use serde_json::{Value, json};
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{Certificates, MariaDb, Watch, evidence, fact, find, value};

use crate::{SOON, server};

fn over_tls(certificates: &Certificates) -> MariaDb {
    let mut server = server(&[]);
    server.service.stop();
    server.use_tls(certificates);
    server.start_again();
    server
}

async fn outcome(url: &str, tls: Value) -> (String, String) {
    let mut watch = Watch::new(&REGISTERED, json!({"url": url, "tls": tls}));
    let report = watch.check_within("availability", SOON).await;
    match report.failure {
        None => ("healthy".to_owned(), fact(&report, "tls").unwrap_or("").to_owned()),
        Some(failure) => (failure.class.name.to_owned(), failure.code.unwrap_or_default().into_owned()),
    }
}

#[tokio::test]
async fn each_mode_does_what_it_says() {
    let certificates = Certificates::default();
    let server = over_tls(&certificates);
    let url = server.url();
    let encrypted = ("healthy".to_owned(), "TLSv1_3".to_owned());
    assert_eq!(outcome(&url, json!({"mode": "off"})).await.1, "plain text");
    assert_eq!(outcome(&url, json!({})).await, encrypted, "prefer takes TLS where it is");
    assert_eq!(outcome(&url, json!({"mode": "require"})).await, encrypted);
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(
            outcome(&url, json!({"mode": mode})).await.0,
            "tls",
            "{mode}: not among the system's roots"
        );
        assert_eq!(
            outcome(&url, json!({"mode": mode, "ca_file": certificates.ca})).await,
            encrypted,
            "{mode}"
        );
        let wrong = outcome(&url, json!({"mode": mode, "ca_file": certificates.other_ca})).await;
        assert_eq!(wrong, ("tls".to_owned(), "unknown_issuer".to_owned()), "{mode}");
    }
    let mut watch = Watch::new(
        &REGISTERED,
        json!({"url": url, "tls": {"mode": "verify-full", "ca_file": certificates.ca}}),
    );
    let report = watch.check_within("availability", SOON).await;
    assert!(value(&report, "mysql.stage.tls_seconds", &[]) > 0.0);
    assert!(find(&report, "mysql.certificate.expires_in_days", &[]).is_some());
    assert!(evidence(&report).contains("cipher"));
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_in_the_evidence() {
    let certificates = Certificates::default();
    let server = over_tls(&certificates);
    let tls = json!({"mode": "verify-full", "ca_file": certificates.other_ca});
    let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "tls": tls}));
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(report.failure.as_ref().unwrap().class.name, "tls");
    assert!(evidence(&report).contains("testbed server"), "{}", evidence(&report));
    assert!(value(&report, "mysql.stage.handshake_seconds", &[]) > 0.0, "what went before is timed");
}

#[tokio::test]
async fn the_name_counts_in_verify_full_alone() {
    let certificates = Certificates::for_names(&["elsewhere.example"]);
    let server = over_tls(&certificates);
    let tls = |mode: &str| json!({"mode": mode, "ca_file": certificates.ca});
    assert_eq!(outcome(&server.url(), tls("verify-ca")).await.0, "healthy");
    assert_eq!(outcome(&server.url(), tls("verify-full")).await, ("tls".to_owned(), "wrong_host".to_owned()));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    let server = server(&[]);
    let expected = ("tls".to_owned(), "not_offered".to_owned());
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(outcome(&server.url(), json!({"mode": mode})).await, expected);
    }
    assert_eq!(outcome(&format!("{}?ssl-mode=REQUIRED", server.url()), json!({})).await, expected);
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_account_asks_for_one() {
    let certificates = Certificates::default();
    let server = over_tls(&certificates);
    server.sql("ALTER USER mon@'127.0.0.1' REQUIRE X509");
    let files = json!({"mode": "verify-full", "ca_file": certificates.ca,
        "client_certificate_file": certificates.client, "client_key_file": certificates.client_key});
    assert_eq!(outcome(&server.url(), files).await.0, "healthy");
    assert_eq!(outcome(&server.url(), json!({"mode": "require"})).await.0, "auth");
}
