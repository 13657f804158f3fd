//! Connections that fail, stall or break.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::server::*;

#[tokio::test]
async fn a_healthy_page_has_every_phase_and_no_evidence() {
    let address = answer(ok("hello")).await;
    let report = check_url(format!("http://localhost:{}/", address.port()), PATIENT).await;
    assert_eq!(report.failure, None);
    assert!(report.evidence.is_none() && report.local);
    for phase in ["dns", "connect", "first_byte", "transfer"] {
        assert!(reading(&report, &format!("website.phase.{phase}_seconds")).unwrap() >= 0.0, "{phase}");
    }
    assert_eq!(reading(&report, "website.phase.tls_seconds"), None);
    assert_eq!(reading(&report, "website.response.status_state"), Some(200.0));
    assert_eq!(reading(&report, "website.response.body_bytes"), Some(5.0));
    assert!(reading(&report, "website.total_seconds").unwrap() > 0.0);
    assert!(report.facts.contains(&("website.http_version", "HTTP/1.1".to_owned())), "{:?}", report.facts);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("refused", "refused"));
    assert_eq!(evidence(&report)["addresses"][0]["address"], address.to_string());
    assert!(evidence(&report)["addresses"][0]["error"].as_str().unwrap().contains("refused"));
    assert_eq!(evidence(&report)["stage"], "connect");
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let started = tokio::time::Instant::now();
    let report = check_url(format!("http://{address}/"), SHORT).await;
    assert_eq!(class(&report), ("timeout", "first_byte"));
    assert!(started.elapsed() < SHORT * 2);
    assert_eq!(evidence(&report)["transport"]["received_bytes"], 0);
    assert!(evidence(&report)["transport"]["sent_bytes"].as_u64().unwrap() > 20);
    assert!(evidence(&report)["phases"]["connect_ms"].as_f64().is_some());
}

#[tokio::test]
async fn a_server_that_never_reads() {
    let address = serve(|stream| async move {
        // Kept open, never read: the request fills the buffers and stands.
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let settings =
        json!({"url": format!("http://{address}/"), "method": "POST", "body": "x".repeat(16 << 20)});
    let report = check(settings, SHORT).await;
    assert_eq!(class(&report), ("timeout", "request"));
    let sent = evidence(&report)["transport"]["sent_bytes"].as_u64().unwrap();
    assert!(sent > 0 && sent < 16 << 20, "{sent}");
}

#[tokio::test]
async fn a_server_that_sends_its_head_byte_by_byte() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        for byte in ok("hello").bytes() {
            ticks.tick().await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let report = check_url(format!("http://{address}/"), SHORT).await;
    assert_eq!(class(&report), ("timeout", "head"));
    assert!(evidence(&report)["transport"]["received_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_server_that_sends_its_body_byte_by_byte() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.ok();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            if stream.write_all(b"x").await.is_err() {
                return;
            }
        }
    })
    .await;
    let report = check_url(format!("http://{address}/"), SHORT).await;
    assert_eq!(class(&report), ("timeout", "transfer"));
    assert_eq!(evidence(&report)["response"]["status"], 200);
    assert!(evidence(&report)["phases"]["first_byte_ms"].as_f64().is_some());
    assert!(evidence(&report)["phases"]["transfer_ms"].is_null());
}

#[tokio::test]
async fn a_reset_in_the_middle_of_the_body() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf").await.ok();
        stream.flush().await.ok();
        // The client has read the head by the time it sees the reset: wait for the bytes to leave.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("reset", "reset_transfer"));
    assert_eq!(evidence(&report)["response"]["status"], 200);
    assert_eq!(evidence(&report)["response"]["body"], "half");
}

#[tokio::test]
async fn a_body_that_ends_too_early() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf").await.ok();
        stream.shutdown().await.ok();
    })
    .await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("reset", "closed_transfer"));
}

#[tokio::test]
async fn a_connection_that_is_closed_before_the_answer() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("reset", "closed_first_byte"));
    assert!(evidence(&report)["response"].is_null());
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    let address = answer("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n").await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("protocol", "invalid_http"));
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    let mut head = "HTTP/1.1 200 OK\r\nX-Huge: ".to_owned();
    head.push_str(&"x".repeat(1 << 20));
    head.push_str("\r\n\r\n");
    let address = answer(head).await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("protocol", "head_too_large"));
}

#[tokio::test]
async fn too_many_headers() {
    let headers: String = (0..500).map(|i| format!("X-{i}: 1\r\n")).collect();
    let address = answer(format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(class(&report), ("protocol", "invalid_http"));
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let address = answer(format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", ok("late"))).await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(report.failure, None);
}

#[tokio::test]
async fn a_fixed_address_needs_no_name_server() {
    let address = serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let is_named = head.contains("host: shop.invalid:") || head.contains("Host: shop.invalid:");
        let status = if is_named { "200 OK" } else { "400 Bad Request" };
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.ok();
        linger(&mut stream).await;
    })
    .await;
    let url = format!("http://shop.invalid:{}/", address.port());
    let report = check(json!({"url": url, "fixed_address": "127.0.0.1"}), PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "website.phase.dns_seconds"), Some(0.0));
}

#[tokio::test]
async fn an_address_of_the_other_family_is_a_dns_failure() {
    let report = check(json!({"url": "http://localhost:9/", "ip_version": "only_ipv6"}), PATIENT).await;
    // Where localhost has an IPv6 address, nothing listens there.
    assert!(matches!(class(&report), ("dns", "no_address") | ("refused", "refused")), "{report:?}");
}

#[tokio::test]
async fn inverted_turns_target_failures_into_success_and_success_into_failure() {
    let up = answer(ok("hello")).await;
    let report = check(json!({"url": format!("http://{up}/"), "inverted": true}), PATIENT).await;
    assert_eq!(class(&report), ("assertion", "inverted"));
    assert!(report.evidence.is_some());
    let report = check(json!({"url": "http://127.0.0.1:9/", "inverted": true}), PATIENT).await;
    assert_eq!(report.failure, None);
}

#[tokio::test]
async fn the_port_is_given_back_at_once() {
    // An orderly close would keep each of these ports for a minute.
    let address = answer(ok("hello")).await;
    let waiting = || std::fs::read_to_string("/proc/net/tcp").unwrap();
    for _ in 0..50 {
        assert_eq!(check_url(format!("http://{address}/"), PATIENT).await.failure, None);
    }
    // State 06 is TIME_WAIT; the remote address is the server's.
    let server = format!("0100007F:{:04X} 06", address.port());
    assert_eq!(waiting().matches(&server).count(), 0);
}
