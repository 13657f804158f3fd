//! Through an HTTP proxy: its trouble is ours, the target's is the target's.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wise_core::Fault;

use crate::certificates::Authority;
use crate::server::*;

/// A forwarding proxy for CONNECT and for whole addresses; wants a login when asked to.
async fn proxy(login: Option<&'static str>) -> std::net::SocketAddr {
    serve(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        if let Some(login) = login
            && !head.to_lowercase().contains(&format!("proxy-authorization: {}", login.to_lowercase()))
        {
            stream
                .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                .await
                .ok();
            return;
        }
        let target = head.split(' ').nth(1).unwrap_or("").to_owned();
        if head.starts_with("CONNECT ") {
            let Ok(mut upstream) = TcpStream::connect(&target).await else {
                stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.ok();
                return;
            };
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.ok();
            tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.ok();
        } else {
            stream.write_all(ok(&format!("asked for {target}")).as_bytes()).await.ok();
            linger(&mut stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn plain_addresses_are_forwarded_and_tls_is_tunnelled() {
    let proxy = proxy(None).await;
    let whole = json!({"on": "body", "op": "equals", "value": "asked for http://shop.invalid/x?y=1"});
    let settings = json!({"url": "http://shop.invalid/x?y=1", "proxy": format!("http://{proxy}"), "assertions": [whole]});
    assert_eq!(check(settings, PATIENT).await.failure, None);
    let authority = Authority::new();
    let server = authority.serve(authority.leaf(&["localhost"])).await;
    let settings = json!({
        "url": format!("https://localhost:{}/", server.port()),
        "proxy": format!("http://{proxy}"),
        "tls": {"ca_file": authority.file()}
    });
    let report = check(settings, PATIENT).await;
    assert_eq!(report.failure, None);
    assert!(reading(&report, "website.phase.tls_seconds").is_some());
}

#[tokio::test]
async fn trouble_with_the_proxy_is_our_own() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let report =
        check(json!({"url": "https://shop.invalid/", "proxy": format!("http://{closed}")}), PATIENT).await;
    assert_eq!(class(&report), ("no_egress", "proxy_refused"));
    assert_eq!(report.failure.unwrap().class.fault, Fault::Own);
    let strict = proxy(Some("basic YW5uOnByb3h5LXB3")).await;
    let report =
        check(json!({"url": "https://shop.invalid/", "proxy": format!("http://{strict}")}), PATIENT).await;
    assert_eq!(class(&report), ("no_egress", "proxy_auth"));
    let settings = json!({"url": "http://shop.invalid/", "proxy": format!("http://ann:proxy-pw@{strict}")});
    assert_eq!(check(settings, PATIENT).await.failure, None);
}

#[tokio::test]
async fn a_target_that_the_proxy_cannot_reach_is_the_targets_trouble() {
    let proxy = proxy(None).await;
    let report =
        check(json!({"url": "https://127.0.0.1:9/", "proxy": format!("http://{proxy}")}), PATIENT).await;
    assert_eq!(class(&report), ("unreachable", "proxy_502"));
    assert_eq!(report.failure.unwrap().class.fault, Fault::Target);
}
