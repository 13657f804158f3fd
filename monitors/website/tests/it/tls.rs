//! TLS: each bad certificate has a code and evidence of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use wise_core::Report;

use crate::certificates::{Authority, Shown};
use crate::server::*;

async fn check_tls(authority: &Authority, server: SocketAddr) -> Report {
    let url = format!("https://localhost:{}/", server.port());
    check(json!({"url": url, "tls": {"ca_file": authority.file()}}), PATIENT).await
}

async fn failing(authority: &Authority, shown: Shown) -> Report {
    let server = authority.serve(shown).await;
    let report = check_tls(authority, server).await;
    assert_eq!(class(&report).0, "tls");
    assert_eq!(evidence(&report)["stage"], "tls");
    assert!(!evidence(&report)["certificates"].as_array().unwrap().is_empty(), "{}", evidence(&report));
    report
}

#[tokio::test]
async fn a_good_chain_is_timed_and_its_days_are_counted() {
    let authority = Authority::new();
    let in_days = |days| rcgen_time(days);
    let server =
        authority.serve(authority.leaf_with(&["localhost"], |params| params.not_after = in_days(30))).await;
    let report = check_tls(&authority, server).await;
    assert_eq!(report.failure, None);
    assert!(reading(&report, "website.phase.tls_seconds").unwrap() > 0.0);
    let days = reading(&report, "website.certificate.expires_in_days").unwrap();
    assert!((28.9..30.1).contains(&days), "{days}");
    assert!(
        report
            .facts
            .iter()
            .any(|(name, value)| *name == "website.certificate" && value.contains("Test Leaf"))
    );
}

#[tokio::test]
async fn sessions_are_never_resumed() {
    let authority = Authority::new();
    let server = authority.serve(authority.leaf(&["localhost"])).await;
    let settings =
        json!({"url": format!("https://localhost:{}/", server.port()), "tls": {"ca_file": authority.file()}});
    let monitor = (wise_monitor_website::PLUGIN.build)(settings, &context()).unwrap();
    let mut probe = monitor.probe("availability").unwrap();
    for _ in 0..3 {
        let cx = wise_core::CheckContext {
            timeout: PATIENT,
            now: wise_core::Timestamp::default(),
            detailed: false,
        };
        assert_eq!(probe.check(&cx).await.failure, None);
    }
    assert_eq!(*authority.handshakes.lock().unwrap(), [true, true, true]);
}

#[tokio::test]
async fn expired() {
    let authority = Authority::new();
    let shown = authority.leaf_with(&["localhost"], |params| {
        params.not_before = rcgen_time(-20);
        params.not_after = rcgen_time(-2);
    });
    let report = failing(&authority, shown).await;
    assert_eq!(class(&report).1, "expired");
    assert!(report.failure.as_ref().unwrap().message.contains("Test Leaf"));
    assert!(reading(&report, "website.certificate.expires_in_days").unwrap() < -1.0);
    assert!(evidence(&report)["certificates"][0]["not_after"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn not_valid_yet() {
    let authority = Authority::new();
    let shown = authority.leaf_with(&["localhost"], |params| params.not_before = rcgen_time(2));
    assert_eq!(class(&failing(&authority, shown).await).1, "not_yet_valid");
}

#[tokio::test]
async fn self_signed() {
    let authority = Authority::new();
    let report = failing(&authority, Authority::self_signed(&["localhost"])).await;
    assert_eq!(class(&report).1, "self_signed");
    let certificate = &evidence(&report)["certificates"][0];
    assert_eq!(certificate["subject"], certificate["issuer"]);
}

#[tokio::test]
async fn for_another_host() {
    let authority = Authority::new();
    let report = failing(&authority, authority.leaf(&["shop.example", "www.shop.example"])).await;
    assert_eq!(class(&report).1, "wrong_host");
    assert_eq!(evidence(&report)["certificates"][0]["names"], json!(["shop.example", "www.shop.example"]));
}

#[tokio::test]
async fn an_incomplete_chain() {
    let authority = Authority::new();
    let mut shown = authority.leaf(&["localhost"]);
    shown.chain.truncate(1);
    let report = failing(&authority, shown).await;
    assert_eq!(class(&report).1, "incomplete_chain");
    assert!(report.failure.unwrap().message.contains("Test Intermediate"));
}

#[tokio::test]
async fn a_root_that_nobody_trusts() {
    let (authority, stranger) = (Authority::new(), Authority::named("Stranger"));
    let mut shown = stranger.leaf(&["localhost"]);
    shown.chain.push(stranger.root());
    assert_eq!(class(&failing(&authority, shown).await).1, "unknown_issuer");
}

#[tokio::test]
async fn verification_can_be_switched_off_and_evidence_stays() {
    let authority = Authority::new();
    let server = authority.serve(Authority::self_signed(&["other.example"])).await;
    let url = format!("https://localhost:{}/", server.port());
    let report =
        check(json!({"url": url, "tls": {"verify": false}, "accept_status": ["500"]}), PATIENT).await;
    assert_eq!(class(&report).0, "http_status");
    assert_eq!(evidence(&report)["certificates"][0]["names"], json!(["other.example"]));
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_it_is_wanted() {
    let authority = Authority::new();
    let server = authority.serve_mutual(authority.leaf(&["localhost"])).await;
    let report = check_tls(&authority, server).await;
    // With TLS 1.3 the refusal may come as an alert, or as the end of the connection.
    assert!(matches!(class(&report).0, "tls" | "reset" | "protocol"), "{report:?}");
    let (certificate, key) = authority.client_files();
    let settings = json!({
        "url": format!("https://localhost:{}/", server.port()),
        "tls": {"ca_file": authority.file(), "client_certificate_file": certificate, "client_key_file": key}
    });
    assert_eq!(check(settings, PATIENT).await.failure, None);
}

#[tokio::test]
async fn a_plain_server_on_a_tls_port() {
    let server = serve(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        read_head(&mut stream).await;
    })
    .await;
    let report = check_url(format!("https://{server}/"), PATIENT).await;
    assert_eq!(class(&report), ("tls", "not_tls"));
}

#[tokio::test]
async fn a_server_that_never_shakes_hands() {
    let server = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let report = check_url(format!("https://{server}/"), SHORT).await;
    assert_eq!(class(&report), ("timeout", "tls"));
}

#[tokio::test]
async fn a_ca_file_that_is_missing_is_our_own_trouble() {
    let authority = Authority::new();
    let server = authority.serve(authority.leaf(&["localhost"])).await;
    let url = format!("https://localhost:{}/", server.port());
    let report = check(json!({"url": url, "tls": {"ca_file": "/no/such/file.pem"}}), PATIENT).await;
    assert_eq!(class(&report), ("definition", "tls_files"));
    assert!(report.failure.unwrap().message.contains("/no/such/file.pem"));
}

#[tokio::test]
async fn http_2_by_alpn_and_http_1_when_asked() {
    let authority = Authority::new();
    let shown = authority.leaf(&["localhost"]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shown.chain, shown.key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let io = hyper_util::rt::TokioIo::new(stream);
            let service =
                hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                    let text = format!("{:?}", request.version());
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(http_body_util::Full::new(
                        bytes::Bytes::from(text),
                    )))
                });
            if is_h2 {
                let executor = hyper_util::rt::TokioExecutor::new();
                hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await.ok();
            } else {
                hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.ok();
            }
        }
    })
    .await;
    for (version, expected) in [("auto", "HTTP/2.0"), ("2", "HTTP/2.0"), ("1.1", "HTTP/1.1")] {
        let settings = json!({
            "url": format!("https://localhost:{}/", server.port()),
            "http_version": version,
            "tls": {"ca_file": authority.file()},
            "assertions": [{"on": "body", "op": "equals", "value": expected}]
        });
        let report = check(settings, PATIENT).await;
        assert_eq!(report.failure, None, "{version}: {:?}", report.evidence);
    }
}

#[tokio::test]
async fn http_2_without_tls_by_prior_knowledge() {
    let server = serve(|stream| async move {
        let io = hyper_util::rt::TokioIo::new(stream);
        let service =
            hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let text = format!("{:?} {}", request.version(), request.uri());
                Ok::<_, std::convert::Infallible>(hyper::Response::new(http_body_util::Full::new(
                    bytes::Bytes::from(text),
                )))
            });
        let executor = hyper_util::rt::TokioExecutor::new();
        hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await.ok();
    })
    .await;
    let expected = format!("HTTP/2.0 http://{server}/x?y=1");
    let settings = json!({
        "url": format!("http://{server}/x?y=1"),
        "http_version": "2",
        "assertions": [{"on": "body", "op": "equals", "value": expected}]
    });
    let report = check(settings, PATIENT).await;
    assert_eq!(report.failure, None, "{:?}", report.evidence);
}

/// A time some days from now.
fn rcgen_time(days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::days(days)
}
