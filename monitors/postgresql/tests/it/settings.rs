use serde_json::json;
use wise_core::conformance;
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::Watch;

#[test]
fn the_plugin_keeps_the_contract() {
    assert_eq!(conformance::problems(&REGISTERED, &Watch::context()), Vec::<String>::new());
}

#[test]
fn wrong_settings_name_the_field_and_the_hint() {
    for (settings, parts) in [
        (json!({"url": "mysql://a@b"}), ["url", "postgresql://"]),
        (json!({"url": "postgresql://mon:hunter22@db?sslmode=maybe"}), ["url", "verify-full"]),
        (json!({"url": "postgresql://db", "top_tables": 1000}), ["top_tables", "at most 200"]),
        (
            json!({"url": "postgresql://db", "queries": [{"name": "a b", "sql": "SELECT 1"}]}),
            ["queries[0].name", "open_orders"],
        ),
        (
            json!({"url": "postgresql://db", "queries": [{"name": "a", "sql": " "}]}),
            ["queries[0].sql", "SELECT"],
        ),
        (json!({"url": "postgresql://db", "expected_role": "leader"}), ["expected_role", "standby"]),
    ] {
        let error = Watch::refused(&REGISTERED, settings);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains("hunter22"), "{error}");
    }
}

#[test]
fn custom_queries_have_work_where_there_are_some() {
    let watch = Watch::new(&REGISTERED, json!({"url": "postgresql://db"}));
    assert!(!watch.has_work("queries"));
    assert!(["availability", "activity", "replication", "storage"].iter().all(|probe| watch.has_work(probe)));
    let settings = json!({"url": "postgresql://db", "queries": [{"name": "a", "sql": "SELECT 1 AS n"}]});
    assert!(Watch::new(&REGISTERED, settings).has_work("queries"));
}
