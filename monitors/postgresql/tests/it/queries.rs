use serde_json::{Value, json};
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Postgres, Watch, value};

use crate::{SOON, assert_baseline, server};

fn watching(server: &Postgres, queries: Value) -> Watch {
    Watch::new(&REGISTERED, json!({"url": server.url(), "queries": queries}))
}

#[tokio::test]
async fn numeric_columns_become_readings_and_texts_labels() {
    let server = server(&[]);
    server.sql(
        "postgres",
        "CREATE TABLE orders (region text, done bool); INSERT INTO orders VALUES ('eu', false), ('eu', false), ('us', true); \
         GRANT SELECT ON orders TO mon",
    );
    let sql = "SELECT region, count(*) FILTER (WHERE NOT done) AS pending, 1.5::numeric AS wait_seconds FROM orders GROUP BY region;";
    let mut watch = watching(&server, json!([{"name": "orders", "sql": sql}]));
    let report = watch.check_within("queries", SOON).await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "postgresql.query.orders.pending", &[("region", "eu")]), 2.0);
    assert_eq!(value(&report, "postgresql.query.orders.pending", &[("region", "us")]), 0.0);
    assert_eq!(value(&report, "postgresql.query.orders.wait_seconds", &[("region", "us")]), 1.5);
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn nothing_but_reading_is_possible() {
    let server = server(&[]);
    server.sql("postgres", "CREATE TABLE t (n int); INSERT INTO t VALUES (1); GRANT ALL ON t TO mon; CREATE SEQUENCE s; GRANT ALL ON s TO mon");
    for sql in [
        "DELETE FROM t",
        "WITH gone AS (DELETE FROM t RETURNING n) SELECT count(*) AS n FROM gone",
        "SELECT 1 AS n; COMMIT; DELETE FROM t",
        "SELECT nextval('s') AS n",
        "CREATE TABLE x (n int)",
    ] {
        let mut watch = watching(&server, json!([{"name": "q", "sql": sql}]));
        let (class, code, message) = watch.failure("queries", SOON).await;
        assert!(matches!(class.as_str(), "custom_query" | "read_only"), "{sql}: {class} {code} {message}");
        assert!(message.contains("the query q"), "{message}");
    }
    assert_eq!(server.sql("postgres", "SELECT count(*) FROM t"), "1");
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn limits_hold_and_one_bad_query_holds_up_no_other() {
    let server = server(&[]);
    let mut watch = watching(
        &server,
        json!([
            {"name": "many", "sql": "SELECT n::text AS id, n FROM generate_series(1, 11) AS n", "limits": {"max_rows": 10}},
            {"name": "slow", "sql": "SELECT pg_sleep(20), 1 AS n", "limits": {"timeout": "200ms"}},
            {"name": "wrong", "sql": "SELECT n FROM nowhere"},
            {"name": "good", "sql": "SELECT 42 AS answer"},
        ]),
    );
    let report = watch.check_within("queries", SOON).await;
    assert_eq!(value(&report, "postgresql.query.good.answer", &[]), 42.0);
    let failed = report.evidence.unwrap()["failed_queries"].clone();
    let codes: Vec<&str> =
        failed.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["too_many_rows", "57014", "42P01"]);
    assert_eq!(report.failure.unwrap().class.name, "custom_query");
    assert_baseline(&server, 0).await;
}
