use serde_json::{Value, json};
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Certificates, Postgres, Watch, evidence, fact, find, value};

use crate::{SOON, server};

fn over_tls(certificates: &Certificates) -> Postgres {
    let mut server = server(&[]);
    server.stop();
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
    let version = ("healthy".to_owned(), "TLSv1_3".to_owned());
    let refused = |code: &str| ("tls".to_owned(), code.to_owned());
    assert_eq!(outcome(&url, json!({"mode": "off"})).await.1, "plain text");
    assert_eq!(outcome(&url, json!({})).await, version, "prefer takes TLS where it is");
    assert_eq!(outcome(&url, json!({"mode": "require"})).await, version);
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(outcome(&url, json!({"mode": mode})).await, refused("incomplete_chain"));
        assert_eq!(outcome(&url, json!({"mode": mode, "ca_file": certificates.ca})).await, version, "{mode}");
        let (class, _) = outcome(&url, json!({"mode": mode, "ca_file": certificates.other_ca})).await;
        assert_eq!(class, "tls", "{mode}");
    }
    let mut watch = Watch::new(
        &REGISTERED,
        json!({"url": url, "tls": {"mode": "verify-full", "ca_file": certificates.ca}}),
    );
    let report = watch.check_within("availability", SOON).await;
    assert!(value(&report, "postgresql.stage.tls_seconds", &[]) > 0.0);
    assert!(find(&report, "postgresql.certificate.expires_in_days", &[]).is_some());
    assert!(evidence(&report).contains("cipher"));
}

#[tokio::test]
async fn the_name_counts_in_verify_full_alone() {
    let certificates = Certificates::for_names(&["elsewhere.example"]);
    let server = over_tls(&certificates);
    let tls = |mode: &str| json!({"mode": mode, "ca_file": certificates.ca});
    assert_eq!(outcome(&server.url(), tls("verify-ca")).await.0, "healthy");
    let expected = ("tls".to_owned(), "wrong_host".to_owned());
    assert_eq!(outcome(&server.url(), tls("verify-full")).await, expected);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    let server = server(&[]);
    let expected = ("tls".to_owned(), "not_offered".to_owned());
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(outcome(&server.url(), json!({"mode": mode})).await, expected);
    }
    assert_eq!(outcome(&format!("{}?sslmode=require", server.url()), json!({})).await, expected);
}

#[tokio::test]
async fn a_client_certificate_logs_in() {
    let certificates = Certificates::default();
    let mut server = over_tls(&certificates);
    server.stop();
    server.set("ssl_ca_file", &certificates.ca.display().to_string());
    server.write("pg_hba.conf", "local all all trust\nhostssl all mon 127.0.0.1/32 cert\n");
    server.start_again();
    let url = format!("postgresql://mon@127.0.0.1:{}/postgres", server.port);
    let files = json!({"mode": "verify-full", "ca_file": certificates.ca,
        "client_certificate_file": certificates.client, "client_key_file": certificates.client_key});
    assert_eq!(outcome(&url, files).await.0, "healthy");
    let (class, code) = outcome(&url, json!({"mode": "verify-full", "ca_file": certificates.ca})).await;
    assert_eq!((class.as_str(), code.as_str()), ("auth", "28000"));
}
