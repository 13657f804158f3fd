//! Targets that misbehave in every way do not disturb their neighbours.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wise_e2e::{Nginx, Server, until};
use wise_testbed::{MariaDb, Postgres, Redis, Silent};

/// Servers that never answer, drip, loop, flood, cut and lie; the answer are their addresses.
fn bad_servers(runtime: &tokio::runtime::Runtime) -> Vec<(&'static str, String)> {
    let kinds = ["silent", "drip", "loop", "flood", "cut", "lie", "huge"];
    let mut servers: Vec<(&'static str, String)> = kinds
        .into_iter()
        .map(|kind| {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            runtime.spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        // One byte says that a request has come; what it asks for does not matter here.
                        stream.read_u8().await.ok();
                        match kind {
                            "silent" => std::future::pending::<()>().await,
                            "drip" => {
                                let mut ticks = tokio::time::interval(Duration::from_secs(1));
                                for byte in b"HTTP/1.1 200 OK\r\nX-Long: " {
                                    ticks.tick().await;
                                    if stream.write_all(&[*byte]).await.is_err() {
                                        return;
                                    }
                                }
                            }
                            "loop" => {
                                let answer = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
                                stream.write_all(answer.as_bytes()).await.ok();
                            }
                            "flood" => {
                                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
                                while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
                            }
                            "cut" => {
                                stream
                                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
                                    .await
                                    .ok();
                            }
                            "lie" => {
                                stream.write_all(b"220 mail.example ESMTP\r\n").await.ok();
                            }
                            _ => {
                                let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
                                stream.write_all(head.as_bytes()).await.ok();
                            }
                        }
                    });
                }
            });
            (kind, format!("http://{address}/"))
        })
        .collect();
    servers.extend([("expired", tls_server(runtime, true)), ("self-signed", tls_server(runtime, false))]);
    servers
}

/// A server with a certificate that no one can accept.
fn tls_server(runtime: &tokio::runtime::Runtime, is_expired: bool) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    if is_expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // The client ends the handshake: that is what is tested.
                acceptor.accept(stream).await.ok();
            });
        }
    });
    format!("https://localhost:{port}/")
}

#[test]
fn a_hundred_healthy_neighbours_keep_their_times() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let good: Vec<String> =
        (0..100).map(|i| server.add_website(&format!("good-{i}"), &nginx.url())).collect();
    let mut bad = Vec::new();
    for (kind, url) in bad_servers(&runtime) {
        for index in 0..5 {
            let id = server.add(&json!({
                "name": format!("{kind}-{index}"), "kind": "website", "interval": "1s", "timeout": "1s", "settings": {"url": url}
            }));
            bad.push((kind, id));
        }
    }
    // Database servers that stand still: the kernel takes connections for them, and no one answers.
    let (mut postgres, mut maria, mut redis) = (Postgres::start(&[]), MariaDb::start(&[]), Redis::start(&[]));
    let mute = Silent::default();
    for service in [&mut postgres.service, &mut maria.service, &mut redis.service] {
        service.freeze();
    }
    let frozen = [
        ("postgresql", postgres.url()),
        ("mysql", maria.url()),
        ("redis", redis.url()),
        ("mongodb", format!("mongodb://127.0.0.1:{}", mute.port())),
    ];
    for (kind, url) in &frozen {
        for index in 0..5 {
            let id = server.add(&json!({
                "name": format!("frozen {kind}-{index}"), "kind": kind, "interval": "1s", "timeout": "1s", "settings": {"url": url}
            }));
            bad.push(("silent", id));
        }
    }
    let expected = |kind: &str| match kind {
        "silent" | "drip" => Some("timeout"),
        "loop" => Some("too_many_redirects"),
        "cut" => Some("reset"),
        "expired" | "self-signed" => Some("tls"),
        "lie" | "huge" => Some("protocol"),
        // Read up to the cap, and fine.
        _ => None,
    };
    for (kind, id) in &bad {
        match expected(kind) {
            Some(class) => {
                let monitor = server.wait_for_status(id, "unhealthy");
                assert_eq!(monitor["reason"]["class"], class, "{kind}: {monitor}");
            }
            None => {
                server.wait_for_status(id, "healthy");
            }
        }
    }
    let started = server.metric("wise_scheduler_checks_started_total").unwrap();
    until("each has been checked ten times more", || {
        let now = server.metric("wise_scheduler_checks_started_total").unwrap();
        if now > started + 1350.0 { Ok(()) } else { Err(now) }
    });
    let text = server.call("GET", "/metrics", None).body;
    let bucket = |le: &str| {
        let name = format!("wise_scheduler_start_delay_seconds_bucket{{le=\"{le}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok()).unwrap()
    };
    let share = bucket("0.1") / bucket("+Inf");
    assert!(share >= 0.99, "only {share} of the checks started within 100 ms");
    assert_eq!(server.metric("wise_scheduler_probe_overstays_total"), Some(0.0));
    assert_eq!(server.metric("wise_scheduler_probe_panics_total"), Some(0.0));
    for id in &good {
        let monitor = server.get(&format!("/api/v1/monitors/{id}"));
        assert_eq!(monitor["status"], "healthy", "{monitor}");
    }
    // No check took longer than its deadline.
    for (kind, id) in bad.iter().filter(|(kind, _)| matches!(*kind, "silent" | "drip")) {
        let results = server.get(&format!("/api/v1/monitors/{id}/results?limit=5"));
        for result in results["items"].as_array().unwrap() {
            assert!(result["duration_ms"].as_f64().unwrap() < 1250.0, "{kind}: {result}");
        }
    }
}
