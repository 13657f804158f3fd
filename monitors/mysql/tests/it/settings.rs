use serde_json::json;
use wise_core::conformance;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::Watch;

#[test]
fn the_plugin_keeps_the_contract() {
    assert_eq!(conformance::problems(&REGISTERED, &Watch::context()), Vec::<String>::new());
}

#[test]
fn wrong_settings_name_the_field_and_the_hint() {
    for (settings, parts) in [
        (json!({"url": "postgresql://a@b"}), ["url", "mysql://"]),
        (json!({"url": "mysql://mon:hunter22@db?ssl-mode=maybe"}), ["url", "VERIFY_IDENTITY"]),
        (json!({"url": "mysql://db", "top_tables": 1000}), ["top_tables", "at most 200"]),
        (
            json!({"url": "mysql://db", "queries": [{"name": "a", "sql": "DELETE FROM t"}]}),
            ["queries[0].sql", "SELECT"],
        ),
        (
            json!({"url": "mysql://db", "queries": [{"name": "a", "sql": "SELECT 1; DROP TABLE t"}]}),
            ["queries[0].sql", "semicolon"],
        ),
        (json!({"url": "mysql://db", "heartbeat_table": "x"}), ["heartbeat_table", "percona.heartbeat"]),
    ] {
        let error = Watch::refused(&REGISTERED, settings);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains("hunter22"), "{error}");
    }
}

#[test]
fn custom_queries_have_work_where_there_are_some() {
    let watch = Watch::new(&REGISTERED, json!({"url": "mysql://db"}));
    assert!(!watch.has_work("queries"));
    assert!(["availability", "activity", "replication", "storage"].iter().all(|probe| watch.has_work(probe)));
    let settings = json!({"url": "mysql://db", "queries": [{"name": "a", "sql": "SELECT 1 AS n"}]});
    assert!(Watch::new(&REGISTERED, settings).has_work("queries"));
}
