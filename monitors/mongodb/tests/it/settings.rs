use serde_json::json;
use wise_core::conformance;
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::Watch;

#[test]
fn the_plugin_keeps_the_contract() {
    assert_eq!(conformance::problems(&REGISTERED, &Watch::context()), Vec::<String>::new());
}

#[test]
fn wrong_settings_name_the_field_and_the_hint() {
    let query = |pipeline| json!({"url": "mongodb://db", "queries": [{"name": "q", "database": "shop", "collection": "a", "pipeline": pipeline}]});
    for (settings, parts) in [
        (json!({"url": "mysql://a@b"}), ["url", "mongodb://"]),
        (json!({"url": "mongodb+srv://mon:hunter22@cluster.example"}), ["url", "a monitor for each member"]),
        (json!({"url": "mongodb://mon:hunter22@a:1,b:2/admin"}), ["url", "a monitor for each"]),
        (json!({"url": "mongodb://mon:hunter22@db/?tls=maybe"}), ["url", "`tls`"]),
        (json!({"url": "mongodb://mon:hunter22@db/?authMechanism=GSSAPI"}), ["url", "SCRAM-SHA-256"]),
        (json!({"url": "mongodb://mon:hunter22@db/?authMechanism=PLAIN"}), ["url", "verify-full"]),
        (
            json!({"url": "mongodb://db/?tls=true&authMechanism=MONGODB-X509"}),
            ["client_certificate_file", "MONGODB-X509"],
        ),
        (
            json!({"url": "mongodb://db", "tls": {"client_certificate_file": "a", "client_key_file": "b"}}),
            ["tls.mode", "use verify-full"],
        ),
        (json!({"url": "mongodb://mon@db"}), ["password", "missing"]),
        (json!({"url": "mongodb://db", "password": "hunter22"}), ["username", "missing"]),
        (json!({"url": "mongodb://db", "top_collections": 1000}), ["top_collections", "at most 200"]),
        (json!({"url": "mongodb://db", "expected_role": "leader"}), ["expected_role", "secondary"]),
        (query(json!([])), ["queries[0].pipeline", "no stage"]),
        (query(json!([{"$match": {}}, {"$out": "copy"}])), ["queries[0].pipeline", "$out"]),
        (query(json!([{"$match": {"$where": "1"}}])), ["queries[0].pipeline", "$where"]),
        (query(json!([{"$facet": {"a": [{"$merge": "b"}]}}])), ["queries[0].pipeline", "$merge"]),
        (query(json!({"$match": {}})), ["queries[0].pipeline", "wrong type"]),
    ] {
        let error = Watch::refused(&REGISTERED, settings);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains("hunter22"), "{error}");
    }
}

#[test]
fn custom_queries_have_work_where_there_are_some() {
    let watch = Watch::new(&REGISTERED, json!({"url": "mongodb://db"}));
    assert!(!watch.has_work("queries"));
    assert!(["availability", "activity", "replication", "storage"].iter().all(|probe| watch.has_work(probe)));
    let settings = json!({"url": "mongodb://db", "queries": [{"name": "a", "database": "shop", "pipeline": [{"$count": "n"}], "collection": "orders"}]});
    assert!(Watch::new(&REGISTERED, settings).has_work("queries"));
}
