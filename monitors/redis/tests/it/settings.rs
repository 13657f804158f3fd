//! What settings build, and what is said about those that do not.

use serde_json::json;
use wise_core::conformance;
use wise_monitor_redis::PLUGIN;
use wise_testbed::Watch;

#[test]
fn the_rules_for_monitors_are_kept() {
    assert_eq!(conformance::problems(&PLUGIN, &Watch::context()), Vec::<String>::new());
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let text = Watch::refused(
        &PLUGIN,
        json!({
            "url": "rediss://:hunter2222@cache.example/data",
            "password": "hunter3333",
            "tls": {"mode": "off"},
            "quota_bytes": 0,
            "top_commands": 51,
            "sample_keys": 10_001,
            "queries": [
                {"name": "ok", "command": "LLEN a"},
                {"name": "ok", "command": "SET a hunter4444"},
                {"name": "Bad", "command": "GET a b", "column": "Bad!"},
            ],
        }),
    );
    for part in [
        "settings.password: the URL has a password too",
        "settings.tls.mode",
        "settings.quota_bytes",
        "settings.top_commands",
        "settings.sample_keys",
        "settings.queries[1].name",
        "settings.queries[1].command: is SET",
        "settings.queries[2].name",
        "settings.queries[2].column",
        "settings.queries[2].command: has 2 arguments",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("hunter"), "{text}");
    let text = Watch::refused(&PLUGIN, json!({"url": "redis://cache.example/data"}));
    assert!(text.contains("no number of a database"), "{text}");
    let text = Watch::refused(&PLUGIN, json!({"url": "redis://cache.example", "tls": {"mode": "prefer"}}));
    assert!(text.contains("settings.tls.mode") && text.contains("verify-full"), "{text}");
    let text = Watch::refused(&PLUGIN, json!({"url": "redis://a:1,b:2"}));
    assert!(text.contains("several hosts"), "{text}");
}

#[test]
fn commands_that_write_are_refused_when_the_monitor_is_built() {
    for command in
        ["SET a 1", "DEL a", "FLUSHALL", "EVAL \"return 1\" 0", "KEYS *", "CONFIG SET dir /", "GETDEL a"]
    {
        let settings = json!({"url": "redis://a", "queries": [{"name": "q", "command": command}]});
        let text = Watch::refused(&PLUGIN, settings);
        assert!(text.contains("settings.queries[0].command") && text.contains("LLEN"), "{command}: {text}");
    }
}

#[test]
fn custom_queries_have_work_where_there_are_some() {
    let watch = Watch::new(&PLUGIN, json!({"url": "redis://db"}));
    assert!(!watch.has_work("queries"));
    assert!(["availability", "activity", "replication", "storage"].iter().all(|probe| watch.has_work(probe)));
    let settings = json!({"url": "redis://db", "queries": [{"name": "a", "command": "LLEN a"}]});
    assert!(Watch::new(&PLUGIN, settings).has_work("queries"));
}
