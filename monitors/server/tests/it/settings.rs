//! The contract of a plugin, and settings that are wrong.

use serde_json::{Value, json};
use wise_core::conformance;

use crate::support::{context, try_build};

fn fields(settings: Value) -> Vec<String> {
    try_build(settings).unwrap_err().0.into_iter().map(|error| error.field).collect()
}

#[test]
fn the_plugin_keeps_the_contract() {
    assert_eq!(conformance::problems(&wise_monitor_server::PLUGIN, &context()), Vec::<String>::new());
}

#[test]
fn no_two_metrics_are_one_in_prometheus_text() {
    let mut seen = std::collections::HashMap::new();
    for metric in wise_monitor_server::PLUGIN.metrics {
        let other = seen.insert(metric.prometheus().0, metric.name);
        assert_eq!(other, None, "{}", metric.name);
    }
}

#[test]
fn no_settings_watch_this_machine() {
    let monitor = try_build(json!({})).unwrap();
    assert_eq!(monitor.host(), None);
    for probe in wise_monitor_server::PLUGIN.probes {
        assert!(monitor.probe(probe.name).is_some(), "{}", probe.name);
    }
    assert!(monitor.probe("other").is_none());
    assert_eq!(
        try_build(json!({"node_exporter": "http://box.example:9100/metrics"})).unwrap().host(),
        Some("box.example")
    );
}

#[test]
fn each_wrong_field_is_named() {
    assert_eq!(fields(json!({"node_exporter": "ftp://example.com/"})), ["settings.node_exporter"]);
    assert_eq!(fields(json!({"node_exporter": "example"})), ["settings.node_exporter"]);
    assert_eq!(fields(json!({"node_exporter": "http://x:0/"})), ["settings.node_exporter"]);
    assert_eq!(fields(json!({"nod_exporter": "http://x/"})), ["settings.nod_exporter"]);
    assert_eq!(
        fields(json!({"proc_path": "proc", "sys_path": "s"})),
        ["settings.proc_path", "settings.sys_path"]
    );
    assert_eq!(fields(json!({"containers": {"top": 0}})), ["settings.containers.top"]);
    assert_eq!(fields(json!({"containers": {"docker_socket": "x"}})), ["settings.containers.docker_socket"]);
    let both =
        json!({"node_exporter": "http://x/", "rootfs_path": "/host", "containers": {"docker_socket": "/s"}});
    assert_eq!(fields(both), ["settings.rootfs_path", "settings.containers.docker_socket"]);
    assert_eq!(fields(json!({"filesystems": {"exclude": "x"}})), ["settings.filesystems.exclude"]);
}

#[test]
fn errors_show_no_secret() {
    for url in ["ftp://ann:hunter2@example.com/", "http://ann:hunter2@exa mple/", "http://ann:hunter2@x:0/"] {
        let text = try_build(json!({"node_exporter": url})).unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn containers_have_work_only_on_this_machine_and_where_they_are_watched() {
    assert!(try_build(json!({})).unwrap().has_work("containers"));
    let off = try_build(json!({"containers": {"enabled": false}})).unwrap();
    assert!(!off.has_work("containers") && off.has_work("resources"));
    let remote = try_build(json!({"node_exporter": "http://10.0.0.5:9100/metrics"})).unwrap();
    assert!(!remote.has_work("containers") && remote.has_work("storage"));
}
