use bson::{Document, doc};
use serde_json::{Value, json};
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Watch, value};

use crate::responder::{Answer, Responder, cursor};
use crate::shapes::primary;
use crate::{SOON, assert_baseline, servers};

fn watching(url: &str, queries: Value) -> Watch {
    Watch::new(&REGISTERED, json!({"url": url, "queries": queries}))
}

#[tokio::test]
async fn numeric_fields_become_readings_and_texts_labels() {
    for server in servers(&[]) {
        let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
        let orders = client.database("shop").collection::<Document>("orders");
        let order = |region: &str, done: bool| doc! {"region": region, "done": done, "wait": 1.5};
        orders.insert_many([order("eu", false), order("eu", false), order("us", true)]).await.unwrap();
        drop(orders);
        client.shutdown().immediate(true).await;
        let pending = json!({
            "name": "orders", "database": "shop", "collection": "orders",
            "pipeline": [
                {"$group": {"_id": "$region", "pending": {"$sum": {"$cond": ["$done", 0, 1]}}, "wait_seconds": {"$avg": "$wait"}}},
                {"$project": {"_id": 0, "region": "$_id", "pending": 1, "wait_seconds": 1}},
            ],
        });
        let count = json!({
            "name": "all", "database": "shop", "collection": "orders", "pipeline": [{"$count": "n"}],
        });
        let mut watch = watching(&server.url(), json!([pending, count]));
        let report = watch.check_within("queries", SOON).await;
        assert_eq!(report.failure, None, "{:?}", report.evidence);
        assert_eq!(value(&report, "mongodb.query.orders.pending", &[("region", "eu")]), 2.0);
        assert_eq!(value(&report, "mongodb.query.orders.pending", &[("region", "us")]), 0.0);
        assert_eq!(value(&report, "mongodb.query.orders.wait_seconds", &[("region", "us")]), 1.5);
        assert_eq!(value(&report, "mongodb.query.all.n", &[]), 3.0);
        assert_baseline(server.port, 0).await;
    }
}

#[tokio::test]
async fn limits_hold_and_one_bad_query_holds_up_no_other() {
    for server in servers(&[]) {
        let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
        let rows: Vec<Document> = (0..11).map(|number| doc! {"_id": number, "n": number}).collect();
        client.database("shop").collection::<Document>("many").insert_many(rows).await.unwrap();
        client.shutdown().immediate(true).await;
        let query = |name: &str, pipeline: Value| json!({"name": name, "database": "shop", "collection": "many", "pipeline": pipeline, "limits": {"max_rows": 10}});
        let queries = json!([
            query("many", json!([{"$match": {}}])),
            query("wrong", json!([{"$noSuchStage": {}}])),
            query("nested", json!([{"$group": {"_id": null, "all": {"$push": "$n"}}}])),
            query("good", json!([{"$group": {"_id": null, "answer": {"$sum": "$n"}}}])),
        ]);
        let report = watching(&server.url(), queries).check_within("queries", SOON).await;
        assert_eq!(value(&report, "mongodb.query.good.answer", &[]), 55.0);
        let failed = report.evidence.unwrap()["failed_queries"].clone();
        let codes: Vec<&str> =
            failed.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
        assert_eq!((codes[0], codes[2], codes.len()), ("too_many_rows", "fields", 3), "{codes:?}");
        assert_eq!(report.failure.unwrap().class.name, "custom_query");
        assert_baseline(server.port, 0).await;
    }
}

#[tokio::test]
async fn the_server_is_told_the_limits() {
    let responder = Responder::new([
        ("isMaster", Answer::Is(primary())),
        ("aggregate $match", cursor([doc! {"n": 1}])),
        ("aggregate $group", Answer::Error(50)),
        ("aggregate $sort", Answer::Error(13)),
    ]);
    let query = |name: &str, stage: Value| json!({"name": name, "database": "shop", "collection": "a", "pipeline": [stage], "limits": {"timeout": "300ms", "max_rows": 7}});
    let queries = json!([
        query("good", json!({"$match": {}})),
        query("slow", json!({"$group": {"_id": null}})),
        query("denied", json!({"$sort": {"a": 1}})),
    ]);
    let report = watching(&responder.url(), queries).check_within("queries", SOON).await;
    assert_eq!(value(&report, "mongodb.query.good.n", &[]), 1.0);
    let failed = report.evidence.unwrap()["failed_queries"].clone();
    assert_eq!((failed[0]["code"].as_str(), failed[1]["code"].as_str()), (Some("50"), Some("13")));
    assert!(failed[1]["message"].as_str().unwrap().contains("the role read on shop"), "{failed}");
    assert_eq!(report.failure.unwrap().class.name, "query_timeout");
    let asked = &responder.commands("aggregate")[0];
    assert_eq!(asked.get_i64("maxTimeMS").ok(), Some(300));
    let stages = asked.get_array("pipeline").unwrap();
    assert_eq!(stages.last().unwrap().as_document(), Some(&doc! {"$limit": 8i64}));
    assert_baseline(responder.port, 0).await;
}

#[tokio::test]
async fn a_query_that_is_never_answered_ends_and_holds_up_no_other() {
    let responder = Responder::new([
        ("isMaster", Answer::Is(primary())),
        ("aggregate $match", Answer::Silence),
        ("aggregate $count", cursor([doc! {"n": 1}])),
    ]);
    let query = |name: &str, stage: Value| json!({"name": name, "database": "shop", "collection": "a", "pipeline": [stage], "limits": {"timeout": "100ms"}});
    let queries = json!([query("silent", json!({"$match": {}})), query("good", json!({"$count": "n"}))]);
    let report = watching(&responder.url(), queries).check_within("queries", SOON).await;
    assert_eq!(value(&report, "mongodb.query.good.n", &[]), 1.0);
    let failure = report.failure.unwrap();
    assert_eq!((failure.class.name, failure.code.as_deref()), ("query_timeout", Some("limit")));
    assert_baseline(responder.port, 0).await;
}
