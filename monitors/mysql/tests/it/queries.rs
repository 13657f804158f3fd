use serde_json::{Value, json};
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{MariaDb, Watch, value};

use crate::{SOON, assert_baseline, server};

fn watching(server: &MariaDb, queries: Value) -> Watch {
    Watch::new(&REGISTERED, json!({"url": server.url(), "queries": queries}))
}

#[tokio::test]
async fn numeric_columns_become_readings_and_texts_labels() {
    let server = server(&[]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (region varchar(9), done bool); INSERT INTO shop.orders VALUES ('eu', 0), ('eu', 0), ('us', 1)");
    let sql = "SELECT region, SUM(NOT done) AS pending, 1.5 AS wait_seconds, NULL AS nothing FROM orders GROUP BY region;";
    let mut watch = watching(&server, json!([{"name": "orders", "sql": sql, "database": "shop"}]));
    let report = watch.check_within("queries", SOON).await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "mysql.query.orders.pending", &[("region", "eu")]), 2.0);
    assert_eq!(value(&report, "mysql.query.orders.pending", &[("region", "us")]), 0.0);
    assert_eq!(value(&report, "mysql.query.orders.wait_seconds", &[("region", "us")]), 1.5);
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn a_function_that_writes_is_stopped_by_the_transaction() {
    let server = server(&[]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (n int); GRANT ALL ON shop.* TO mon@'127.0.0.1'");
    server.sql("CREATE FUNCTION shop.writes() RETURNS int MODIFIES SQL DATA RETURN (SELECT 1)");
    server.sql("DROP FUNCTION shop.writes; CREATE SEQUENCE shop.s");
    let mut watch =
        watching(&server, json!([{"name": "q", "sql": "SELECT NEXTVAL(s) AS n", "database": "shop"}]));
    let (class, code, message) = watch.failure("queries", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("read_only", "1792"), "{message}");
    assert!(message.contains("the query q"), "{message}");
    assert_baseline(&server, 0).await;
}

#[tokio::test]
async fn limits_hold_and_one_bad_query_holds_up_no_other() {
    let server = server(&[]);
    let mut watch = watching(
        &server,
        json!([
            {"name": "many", "sql": "SELECT CAST(seq AS char) AS id, seq AS n FROM seq_1_to_11", "database": "mysql", "limits": {"max_rows": 10}},
            {"name": "slow", "sql": "SELECT SLEEP(20) AS n", "limits": {"timeout": "200ms"}},
            {"name": "wrong", "sql": "SELECT n FROM mysql.nowhere"},
            {"name": "good", "sql": "SELECT 42 AS answer"},
        ]),
    );
    let report = watch.check_within("queries", SOON).await;
    assert_eq!(value(&report, "mysql.query.good.answer", &[]), 42.0);
    let failed = report.evidence.unwrap()["failed_queries"].clone();
    let codes: Vec<&str> =
        failed.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["too_many_rows", "1969", "1146"]);
    assert_eq!(report.failure.unwrap().class.name, "custom_query");
    assert_baseline(&server, 0).await;
}
