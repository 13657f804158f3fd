//! Settings that are wrong name their field.

use serde_json::{Value, json};
use wise_core::conformance;

use crate::server::{context, try_build};

fn fields(settings: Value) -> Vec<String> {
    try_build(settings).unwrap_err().0.into_iter().map(|error| error.field).collect()
}

#[test]
fn the_plugin_keeps_the_contract() {
    assert_eq!(conformance::problems(&wise_monitor_website::PLUGIN, &context()), Vec::<String>::new());
}

#[test]
fn each_wrong_field_is_named() {
    let url = "https://example.com/";
    assert_eq!(fields(json!({})), ["settings.url"]);
    assert_eq!(fields(json!({"url": "ftp://example.com/"})), ["settings.url"]);
    assert_eq!(fields(json!({"url": "example.com"})), ["settings.url"]);
    assert_eq!(fields(json!({"url": 5})), ["settings.url"]);
    assert_eq!(fields(json!({"url": url, "method": "get"})), ["settings.method"]);
    assert_eq!(fields(json!({"url": url, "metod": "GET"})), ["settings.metod"]);
    assert_eq!(fields(json!({"url": url, "accept_status": ["200", "abc"]})), ["settings.accept_status[1]"]);
    assert_eq!(fields(json!({"url": url, "accept_status": []})), ["settings.accept_status"]);
    assert_eq!(fields(json!({"url": url, "headers": {"A B": "x"}})), ["settings.headers.A B"]);
    assert_eq!(
        fields(json!({"url": url, "headers": {"Content-Length": "5"}})),
        ["settings.headers.Content-Length"]
    );
    assert_eq!(fields(json!({"url": url, "body": {"env": "NOT_SET"}})), ["settings.body"]);
    assert_eq!(
        fields(json!({"url": url, "tls": {"client_key_file": "k"}})),
        ["settings.tls.client_certificate_file"]
    );
    assert_eq!(fields(json!({"url": url, "proxy": "socks5://x"})), ["settings.proxy"]);
    assert_eq!(fields(json!({"url": url, "fixed_address": "here"})), ["settings.fixed_address"]);
    assert_eq!(fields(json!({"url": url, "max_body_bytes": 1u64 << 40})), ["settings.max_body_bytes"]);
    let regex = json!({"on": "body", "op": "matches", "value": "("});
    assert_eq!(fields(json!({"url": url, "assertions": [regex]})), ["settings.assertions[0].value"]);
    let auth = json!({"type": "bearer", "token": "t-123456"});
    assert_eq!(fields(json!({"url": "https://a:b12345@example.com/", "auth": auth})), ["settings.auth"]);
}

#[test]
fn errors_show_no_secret() {
    for settings in [
        json!({"url": "https://ann:hunter2@exa mple.com/"}),
        json!({"url": "ftp://ann:hunter2@example.com/"}),
        json!({"url": "https://example.com/", "auth": {"type": "basic", "username": "a", "password": ["hunter2"]}}),
        json!({"url": "https://example.com/", "headers": {"Authorization": "hunter2\n"}}),
        json!({"url": "https://example.com/", "proxy": "ftp://u:hunter2@p"}),
    ] {
        let text = try_build(settings).unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }
}
