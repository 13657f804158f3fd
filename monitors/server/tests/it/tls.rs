//! An exporter over https.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{PATIENT, check, class, http, linger, read_head, reading, serve};

/// An exporter with a certificate of its own making, and that certificate as PEM.
async fn exporter() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                read_head(&mut stream).await;
                stream.write_all(http("200 OK", "node_load1 1\n").as_bytes()).await.ok();
                linger(&mut stream).await;
            });
        }
    });
    (address, pem)
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_file_alone() {
    let (address, pem) = exporter().await;
    let url = format!("https://{address}/metrics");
    let report = check(json!({"node_exporter": url}), "availability", PATIENT).await;
    assert_eq!(class(&report), ("tls", "self_signed"));
    assert!(report.evidence.unwrap()["certificates"][0]["names"].to_string().contains("127.0.0.1"));
    let report =
        check(json!({"node_exporter": url, "tls": {"verify": false}}), "availability", PATIENT).await;
    assert_eq!(report.failure, None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let settings = json!({"node_exporter": url, "tls": {"ca_file": file.to_str().unwrap()}});
    let report = check(settings, "availability", PATIENT).await;
    assert_eq!(report.failure, None);
    assert!(reading(&report, "server.probe.tls_seconds", "").unwrap() > 0.0);
    assert!(reading(&report, "server.certificate.expires_in_days", "").unwrap() > 21.0);
}

#[tokio::test]
async fn a_missing_file_is_our_own_trouble_and_a_plain_port_speaks_no_tls() {
    let (address, _) = exporter().await;
    let settings =
        json!({"node_exporter": format!("https://{address}/"), "tls": {"ca_file": "/no/such/file.pem"}});
    let report = check(settings, "availability", PATIENT).await;
    assert_eq!(class(&report), ("definition", "tls_files"));
    let plain = serve(|mut stream| async move {
        stream.write_all(http("400 Bad Request", "this is no TLS").as_bytes()).await.ok();
        linger(&mut stream).await;
    })
    .await;
    let report = check(json!({"node_exporter": format!("https://{plain}/")}), "availability", PATIENT).await;
    assert_eq!(report.failure.unwrap().class.name, "tls");
}
