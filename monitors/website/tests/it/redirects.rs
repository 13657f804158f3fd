//! Redirects: chains, circles, and what may not travel with them.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::server::*;

fn redirect(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_circle_is_too_many_redirects() {
    let address = answer(redirect(302, "/again")).await;
    let settings = json!({"url": format!("http://{address}/"), "max_redirects": 3});
    let report = check(settings, PATIENT).await;
    assert_eq!(class(&report), ("too_many_redirects", "circle"));
    let hops = evidence(&report)["redirects"].as_array().unwrap();
    assert_eq!(hops.len(), 4);
    assert_eq!(hops[0]["status"], 302);
    assert_eq!(hops[0]["location"], format!("http://{address}/again"));
}

#[tokio::test]
async fn a_chain_is_followed_and_its_phases_add_up() {
    let last = answer(ok("there")).await;
    let first = answer(redirect(308, &format!("http://{last}/"))).await;
    let there = json!({"on": "body", "op": "equals", "value": "there"});
    let report = check(json!({"url": format!("http://{first}/"), "assertions": [there]}), PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "website.redirects_count"), Some(1.0));
    let settings =
        json!({"url": format!("http://{first}/"), "follow_redirects": false, "accept_status": ["308"]});
    let report = check(settings, PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "website.response.status_state"), Some(308.0));
}

#[tokio::test]
async fn credentials_do_not_go_to_another_host() {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = heads.clone();
    let other = serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = read_head(&mut stream).await;
            seen.lock().unwrap().push(head);
            stream.write_all(ok("other").as_bytes()).await.ok();
            linger(&mut stream).await;
        }
    })
    .await;
    let home = answer(redirect(307, &format!("http://{other}/"))).await;
    let settings = json!({
        "url": format!("http://{home}/"),
        "method": "POST",
        "body": "password=hunter2",
        "headers": {"Cookie": "session=abc123", "X-Api-Key": "key-123456", "X-Plain": "yes"},
        "auth": {"type": "bearer", "token": "bearer-123456"}
    });
    let report = check(settings, PATIENT).await;
    assert_eq!(report.failure, None);
    let head = heads.lock().unwrap()[0].to_lowercase();
    assert!(head.contains("x-plain: yes"), "{head}");
    for secret in ["hunter2", "abc123", "key-123456", "bearer-123456", "authorization", "cookie", "x-api-key"]
    {
        assert!(!head.contains(secret), "{secret} in {head}");
    }
}

#[tokio::test]
async fn redirects_to_nowhere_are_protocol_failures() {
    for to in ["ftp://example.com/", "javascript:alert(1)", "http://", "http://[::bad/"] {
        let address = answer(redirect(301, to)).await;
        let report = check_url(format!("http://{address}/"), PATIENT).await;
        assert_eq!(class(&report), ("protocol", "redirect"), "{to}");
    }
    // Without a Location the answer is judged as it is.
    let address = answer("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(class(&check_url(format!("http://{address}/"), PATIENT).await), ("http_status", "302"));
}
