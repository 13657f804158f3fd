//! Bodies: caps, assertions, evidence.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::server::*;

async fn endless() -> std::net::SocketAddr {
    serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nbegin").await.ok();
        while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_the_cap() {
    let address = endless().await;
    let report = check_url(format!("http://{address}/"), PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "website.response.body_bytes"), Some(1024.0 * 1024.0));
    let found = json!({"on": "body", "op": "contains", "value": "begin"});
    let settings = json!({"url": format!("http://{address}/"), "assertions": [found]});
    assert_eq!(check(settings, PATIENT).await.failure, None);
}

#[tokio::test]
async fn an_assertion_that_needs_the_rest_is_body_too_large() {
    let address = endless().await;
    let wanted = json!({"on": "body", "op": "contains", "value": "the end"});
    let settings =
        json!({"url": format!("http://{address}/"), "max_body_bytes": 1000, "assertions": [wanted]});
    let report = check(settings, PATIENT).await;
    assert_eq!(class(&report), ("body_too_large", "assertion_0"));
    assert_eq!(evidence(&report)["response"]["truncated"], true);
    assert_eq!(evidence(&report)["response"]["body_bytes"], 1000);
    assert!(evidence(&report)["assertions"][0]["passed"].is_null());
}

#[tokio::test]
async fn evidence_has_every_assertion_and_the_head_of_the_body() {
    let body = format!(r#"{{"status": "down", "padding": "{}"}}"#, "x".repeat(5000));
    let address = answer(ok(&body)).await;
    let settings = json!({"url": format!("http://{address}/"), "assertions": [
        {"on": "status", "op": "equals", "value": 200},
        {"on": "json", "path": "$.status", "op": "equals", "value": "up"},
        {"on": "header", "name": "content-type", "op": "contains", "value": "text"}
    ]});
    let report = check(settings, PATIENT).await;
    assert_eq!(class(&report), ("assertion", "assertion_1"));
    let evidence = evidence(&report);
    let passed: Vec<_> = (0..3).map(|index| evidence["assertions"][index]["passed"].as_bool()).collect();
    assert_eq!(passed, [Some(true), Some(false), Some(true)]);
    assert_eq!(evidence["assertions"][1]["found"], "\"down\"");
    assert_eq!(evidence["response"]["body"].as_str().unwrap().len(), 2048);
    assert!(report.failure.unwrap().message.contains("found \"down\""));
}

#[tokio::test]
async fn status_codes_are_accepted_as_configured() {
    let address = answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy").await;
    let url = format!("http://{address}/");
    let report = check_url(&url, PATIENT).await;
    assert_eq!(class(&report), ("http_status", "503"));
    assert_eq!(evidence(&report)["response"]["body"], "busy");
    // What came back was timed all the same.
    assert!(reading(&report, "website.total_seconds").is_some());
    for accepted in ["503", "500-599", "5xx"] {
        let report = check(json!({"url": url, "accept_status": ["200", accepted]}), PATIENT).await;
        assert_eq!(report.failure, None, "{accepted}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_and_a_head_without_a_body() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let address = answer(chunked).await;
    let whole = json!({"on": "body", "op": "equals", "value": "hello world"});
    let report = check(json!({"url": format!("http://{address}/"), "assertions": [whole]}), PATIENT).await;
    assert_eq!(report.failure, None);
    let address = answer("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n").await;
    let report = check(json!({"url": format!("http://{address}/"), "method": "HEAD"}), PATIENT).await;
    assert_eq!(report.failure, None);
}
