use bson::doc;
use serde_json::{Value, json};
use wise_core::Absent;
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Certificates, Mongo, Watch, absent, evidence, fact, find, value};

use crate::responder::{Answer, Responder};
use crate::shapes::{primary, server_status};
use crate::{SHORT, SOON, assert_baseline};

fn over_tls(certificates: &Certificates) -> Responder {
    let answers = [("isMaster", Answer::Is(primary())), ("serverStatus", Answer::Is(server_status()))];
    Responder::with_tls(answers, certificates)
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
    assert_eq!(outcome(&url, json!({})).await.0, "reset", "prefer is plain text, and the server wants TLS");
    assert_eq!(outcome(&url, json!({"mode": "require"})).await, version);
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(outcome(&url, json!({"mode": mode})).await, refused("incomplete_chain"));
        assert_eq!(outcome(&url, json!({"mode": mode, "ca_file": certificates.ca})).await, version, "{mode}");
        let (class, _) = outcome(&url, json!({"mode": mode, "ca_file": certificates.other_ca})).await;
        assert_eq!(class, "tls", "{mode}");
    }
    for (flags, result) in [
        ("tls=true", refused("incomplete_chain")),
        ("ssl=true&tlsAllowInvalidCertificates=true", version.clone()),
        ("tls=true&tlsInsecure=true", version),
    ] {
        assert_eq!(outcome(&format!("{url}/?{flags}"), json!({})).await, result, "{flags}");
    }
    let tls = json!({"mode": "verify-full", "ca_file": certificates.ca});
    let mut watch = Watch::new(&REGISTERED, json!({"url": url, "tls": tls}));
    let report = watch.check_within("availability", SOON).await;
    assert!(value(&report, "mongodb.stage.tls_seconds", &[]) > 0.0);
    assert!(find(&report, "mongodb.certificate.expires_in_days", &[]).is_some());
    assert!(evidence(&report).contains("cipher"));
    assert_baseline(server.port, 0).await;
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
    for program in Mongo::programs() {
        let server = Mongo::start(&program, &[]);
        let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "tls": {"mode": "require"}}));
        let (class, code, message) = watch.failure("availability", SHORT).await;
        // A mongod hangs up. Others take it for a long message, and wait for the rest.
        assert!(class == "reset" || (class == "timeout" && code == "tls"), "{class} {code} {message}");
        assert_baseline(server.port, 0).await;
    }
}

#[tokio::test]
async fn a_certificate_logs_in_and_a_missing_role_costs_availability_a_reading() {
    let certificates = Certificates::default();
    let server = over_tls(&certificates);
    server.set("authenticate", Answer::Is(doc! {"dbname": "$external"}));
    server.set("serverStatus", Answer::Error(13));
    let tls = json!({"mode": "verify-full", "ca_file": certificates.ca,
        "client_certificate_file": certificates.client, "client_key_file": certificates.client_key});
    let url = format!("{}/?authMechanism=MONGODB-X509", server.url());
    let mut watch = Watch::new(&REGISTERED, json!({"url": url, "tls": tls}));
    let report = watch.check_within("availability", SOON).await;
    assert_eq!(report.failure, None);
    let why = absent(&report, "mongodb.server.uptime_seconds", &[]);
    assert!(matches!(why, Absent::NoPermission(grant) if grant.contains("clusterMonitor")));
    let asked = &server.commands("authenticate")[0];
    assert_eq!(
        (asked.get_str("mechanism").ok(), asked.get_str("$db").ok()),
        (Some("MONGODB-X509"), Some("$external"))
    );
    server.set("authenticate", Answer::Error(18));
    let (class, code, message) = watch.failure("availability", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("auth", "18"), "{message}");
    assert_baseline(server.port, 0).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_real_server() {
    let certificates = Certificates::default();
    let path = |path: &std::path::Path| path.display().to_string();
    let options = [
        "--tls-cert-file",
        &path(&certificates.server),
        "--tls-key-file",
        &path(&certificates.server_key),
        "--tls-ca-file",
        &path(&certificates.ca),
        "--tls-require-client-cert",
    ];
    let program = &Mongo::programs()[0];
    let server = Mongo::start(program, &options);
    let files = json!({"mode": "verify-full", "ca_file": certificates.ca,
        "client_certificate_file": certificates.client, "client_key_file": certificates.client_key});
    assert_eq!(outcome(&server.url(), files).await.0, "healthy");
    let (class, code) =
        outcome(&server.url(), json!({"mode": "verify-full", "ca_file": certificates.ca})).await;
    assert_eq!((class.as_str(), code.as_str()), ("tls", "client_certificate"));
}
