//! Credentials are sent, and never shown.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::*;

/// A server that refuses, and echoes what it was sent.
async fn echo() -> std::net::SocketAddr {
    serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let mut body = vec![0; 4096];
        let length: usize = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())
            .unwrap_or(0);
        body.truncate(length);
        stream.read_exact(&mut body).await.ok();
        let text = format!("{head}{}", String::from_utf8_lossy(&body));
        let echoed = head
            .lines()
            .find(|line| line.to_lowercase().starts_with("authorization"))
            .unwrap_or("")
            .replace(':', "=");
        let answer = format!(
            "HTTP/1.1 401 Unauthorized\r\nX-Echo: {echoed}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(answer.as_bytes()).await.ok();
        linger(&mut stream).await;
    })
    .await
}

async fn shown(settings: Value) -> String {
    let report = check(settings, PATIENT).await;
    assert_eq!(class(&report).0, "http_status");
    format!("{report:?}")
}

#[tokio::test]
async fn echoed_credentials_are_masked_everywhere() {
    let address = echo().await;
    let url = format!("http://{address}/");
    let text = shown(json!({
        "url": url, "method": "POST", "body": "pin-987654",
        "auth": {"type": "basic", "username": "ann", "password": "p4ssw0rd"},
        "headers": {"X-Token": {"env": "TEST_TOKEN"}, "Cookie": "sid=cookie-123456"}
    }))
    .await;
    for secret in ["p4ssw0rd", "YW5uOnA0c3N3MHJk", "tok-123456", "cookie-123456"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("********"), "{text}");
    let text = shown(json!({"url": format!("http://ann:url-p4ss@{address}/")})).await;
    assert!(!text.contains("url-p4ss") && !text.contains("YW5uOnVybC1wNHNz"), "{text}");
    let text = shown(json!({"url": url, "auth": {"type": "bearer", "token": {"env": "TEST_TOKEN"}}})).await;
    assert!(!text.contains("tok-123456"), "{text}");
}

#[tokio::test]
async fn basic_and_bearer_arrive() {
    let address = serve(|mut stream| async move {
        let head = read_head(&mut stream).await.to_lowercase();
        let good = head.contains("authorization: basic yw5uonaxmjm0nty=")
            || head.contains("authorization: bearer tok-123456");
        let status = if good { 200 } else { 401 };
        stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.ok();
        linger(&mut stream).await;
    })
    .await;
    let url = format!("http://{address}/");
    for settings in [
        json!({"url": url, "auth": {"type": "basic", "username": "ann", "password": "p123456"}}),
        json!({"url": format!("http://ann:p%31%323456@{address}/")}),
        json!({"url": url, "auth": {"type": "bearer", "token": {"env": "TEST_TOKEN"}}}),
        json!({"url": url, "headers": {"Authorization": "Bearer tok-123456"}}),
    ] {
        assert_eq!(check(settings.clone(), PATIENT).await.failure, None, "{settings}");
    }
}

#[test]
fn a_monitor_shows_no_password_when_it_is_printed() {
    let settings = json!({"url": "http://user:pl4nted-url@127.0.0.1/", "body": "pl4nted-body",
        "proxy": "http://user:pl4nted-proxy@127.0.0.1:3128"});
    let monitor = (wise_monitor_website::PLUGIN.build)(settings, &context()).unwrap();
    let printed = format!("{monitor:?}");
    assert!(!printed.contains("pl4nted") && printed.contains("127.0.0.1"), "{printed}");
}
