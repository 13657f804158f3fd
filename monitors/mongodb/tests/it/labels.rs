//! Parts with names that are alike, and that are series of their own for all that.

use bson::{Document, doc};
use serde_json::json;
use wise_core::{Labels, Report};
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Watch, find, value};

use crate::responder::Answer;
use crate::shapes::{hello, member, own, primary, replica_set, status};
use crate::{SOON, servers, watch};

fn named(id: i32, name: &str, behind: u32) -> Document {
    let mut member = member(id, 2, behind);
    member.insert("name", name);
    member
}

fn series(report: &Report, metric: &str) -> Vec<Labels> {
    let all = report.readings.iter().filter(|reading| reading.metric.name() == metric);
    all.map(|reading| reading.labels.clone()).collect()
}

#[tokio::test]
async fn members_whose_long_names_begin_alike_are_told_apart() {
    let host = |end: &str| format!("{}.{end}.example:27017", ["a".repeat(60), "b".repeat(60)].join("."));
    let (one, two) = (host("one"), host("two"));
    let members = vec![own(member(0, 1, 0)), named(1, &one, 0), named(2, &two, 95)];
    let report =
        watch(&replica_set(primary(), status(members)).url()).check_within("replication", SOON).await;
    let lag = |name: &str| value(&report, "mongodb.member.lag_seconds", &[("member", name)]);
    assert_eq!((lag(&one), lag(&two)), (0.0, 95.0));
}

#[tokio::test]
async fn a_name_that_a_server_gives_twice_is_two_series() {
    let members = vec![own(member(0, 1, 0)), named(1, "same:1", 0), named(2, "same:1", 95)];
    let report =
        watch(&replica_set(primary(), status(members)).url()).check_within("replication", SOON).await;
    assert_eq!(series(&report, "mongodb.member.lag_seconds").len(), 2);
    let second = [("member", "same:1"), ("occurrence", "2")];
    assert_eq!(value(&report, "mongodb.member.lag_seconds", &second), 95.0);
}

#[tokio::test]
async fn a_list_that_names_a_database_twice_gives_it_once() {
    let responder =
        replica_set(hello(doc! {"ismaster": true, "msg": "isdbgrid"}), status(vec![own(member(0, 1, 0))]));
    let shop = doc! {"name": "shop", "sizeOnDisk": 5000};
    responder.set(
        "listDatabases",
        Answer::Is(doc! {"databases": [shop.clone(), shop], "totalSize": 5000, "ok": 1}),
    );
    let report = watch(&responder.url()).check_within("storage", SOON).await;
    assert_eq!(series(&report, "mongodb.database.size_bytes"), [Labels::one("database", "shop")]);
}

#[tokio::test]
async fn collections_that_differ_in_dots_or_case_and_groups_by_large_numbers_are_told_apart() {
    for server in servers(&[]) {
        let client = mongodb::Client::with_uri_str(server.url()).await.expect("a client");
        for (database, collection, count) in
            [("a", "b.c", 10), ("a", "b", 20), ("a_b", "c", 30), ("a", "orders", 40), ("a", "Orders", 50)]
        {
            let rows: Vec<Document> = (0..count)
                .map(|at| doc! {"_id": 9_007_199_254_740_992_i64 + i64::from(at), "n": at})
                .collect();
            client
                .database(database)
                .collection::<Document>(collection)
                .insert_many(rows)
                .await
                .expect("rows are taken");
        }
        client.shutdown().immediate(true).await;
        let queries = json!([{
            "name": "ids", "database": "a", "collection": "b.c", "pipeline": [{"$sort": {"_id": 1}}, {"$limit": 4}],
        }]);
        let mut watch = Watch::new(&REGISTERED, json!({"url": server.url(), "queries": queries}));
        let report = watch.check("storage").await;
        assert_eq!(report.failure, None, "{:?}", report.evidence);
        let documents = |database, collection| {
            let labels = [("database", database), ("collection", collection)];
            find(&report, "mongodb.collection.documents_count", &labels)
                .and_then(|found| found.value.number())
        };
        for (database, collection, count) in [
            ("a", "b.c", 10.0),
            ("a", "b", 20.0),
            ("a_b", "c", 30.0),
            ("a", "orders", 40.0),
            ("a", "Orders", 50.0),
        ] {
            assert_eq!(documents(database, collection), Some(count), "{database} {collection}");
        }
        let report = watch.check("queries").await;
        assert_eq!(report.failure, None, "{:?}", report.evidence);
        let wanted = (0..4).map(|at| Labels::one("id", (9_007_199_254_740_992_i64 + at).to_string()));
        assert_eq!(series(&report, "mongodb.query.ids.n"), wanted.collect::<Vec<_>>());
    }
}
