use bson::{Document, doc};
use serde_json::json;
use wise_core::{Absent, ReadingValue};
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Mongo, Watch, absent, find, value};

use crate::responder::{Answer, Responder, cursor};
use crate::shapes::{hello, primary, replica_set};
use crate::{SOON, assert_baseline, servers};

async fn fill(server: &Mongo) {
    let client = mongodb::Client::with_uri_str(server.url()).await.expect("a client");
    let shop = client.database("shop");
    for (name, count) in [("orders", 2000), ("small", 20), ("tiny", 2)] {
        let documents: Vec<Document> =
            (0..count).map(|number| doc! {"n": number, "note": format!("{number:x<200}")}).collect();
        shop.collection::<Document>(name).insert_many(documents).await.expect("documents are taken");
    }
    client.shutdown().immediate(true).await;
}

#[tokio::test]
async fn databases_and_their_largest_collections_are_measured() {
    for server in servers(&[]) {
        fill(&server).await;
        let settings = json!({"url": server.url(), "top_collections": 2, "quota_bytes": 1_000_000_000});
        let mut watch = Watch::new(&REGISTERED, settings);
        let report = watch.check("storage").await;
        assert_eq!(report.failure, None, "{:?}", report.evidence);
        let shop = [("database", "shop")];
        let size = value(&report, "mongodb.database.size_bytes", &shop);
        let (storage, index) = (
            value(&report, "mongodb.database.storage_bytes", &shop),
            value(&report, "mongodb.database.index_bytes", &shop),
        );
        assert!(size == storage + index && size > 0.0, "{size} {storage} {index}");
        assert!(value(&report, "mongodb.database.data_bytes", &shop) > 400_000.0);
        assert_eq!(value(&report, "mongodb.database.collections_count", &shop), 3.0);
        let objects = find(&report, "mongodb.database.objects_count", &shop).unwrap();
        assert_eq!(objects.value, ReadingValue::Estimate(2022.0), "an estimate says that it is one");
        let orders = [("database", "shop"), ("collection", "orders")];
        let documents = find(&report, "mongodb.collection.documents_count", &orders).unwrap();
        assert_eq!(documents.value, ReadingValue::Estimate(2000.0));
        assert!(value(&report, "mongodb.collection.data_bytes", &orders) > 400_000.0);
        assert!(value(&report, "mongodb.collection.size_bytes", &orders) > 0.0);
        assert!(
            find(&report, "mongodb.index.size_bytes", &[("collection", "orders"), ("index", "_id_")])
                .is_some()
        );
        assert!(find(&report, "mongodb.collection.size_bytes", &[("collection", "tiny")]).is_none());
        assert!(value(&report, "mongodb.collections.omitted_count", &[]) >= 1.0);
        let total = value(&report, "mongodb.data.size_bytes", &[]);
        let used = value(&report, "mongodb.data.quota_used_ratio", &[]);
        assert!(total >= size && (used - total / 1e9).abs() < 1e-9);
        if !server.is_mongod() {
            assert_eq!(absent(&report, "mongodb.fs.used_bytes", &[]), Absent::Unsupported);
        }
        assert_baseline(server.port, 1).await;
    }
}

fn member(stats: Document) -> Responder {
    let responder = replica_set(primary(), doc! {});
    let names = doc! {"databases": [{"name": "shop"}, {"name": "local"}]};
    responder.set("listDatabases", Answer::Is(names));
    responder.set("dbStats", Answer::Is(stats));
    responder.set("listCollections", cursor([]));
    responder
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_seen_over_the_wire() {
    let responder = member(doc! {
        "dataSize": 700i64, "storageSize": 300i64, "indexSize": 100i64, "totalFreeStorageSize": 20i64, "objects": 9i64,
        "collections": 2i64, "fsUsedSize": 960.0, "fsTotalSize": 1000.0,
    });
    let settings = json!({"url": responder.url(), "free_storage": true});
    let mut watch = Watch::new(&REGISTERED, settings);
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "mongodb.fs.used_bytes", &[]), 960.0);
    let used = value(&report, "mongodb.fs.used_ratio", &[]);
    assert_eq!(used, 0.96);
    let threshold = REGISTERED.metric("mongodb.fs.used_ratio").unwrap().threshold.unwrap();
    assert_eq!(threshold.classify(used, wise_core::Severity::Fine), wise_core::Severity::Critical);
    assert_eq!(value(&report, "mongodb.data.size_bytes", &[]), 800.0, "both databases, the oplog's too");
    assert_eq!(value(&report, "mongodb.database.free_bytes", &[("database", "shop")]), 20.0);
    let asked = &responder.commands("dbStats")[0];
    assert_eq!((asked.get_i32("freeStorage").ok(), asked.get_i32("scale").ok()), (Some(1), Some(1)));
    let databases = responder.commands("listCollections");
    let names: Vec<_> = databases.iter().map(|command| command.get_str("$db").unwrap()).collect();
    assert_eq!(names, ["shop"], "the server's own databases are left alone");
    assert_baseline(responder.port, 1).await;
}

#[tokio::test]
async fn one_forbidden_database_or_dropped_collection_fails_nothing() {
    let responder = member(doc! {"storageSize": 300i64, "indexSize": 100i64});
    responder.set("listCollections", cursor([doc! {"name": "orders"}, doc! {"name": "gone"}]));
    responder.set("aggregate $collStats", Answer::Error(26));
    let mut watch = Watch::new(&REGISTERED, json!({"url": responder.url()}));
    assert_eq!(watch.check_within("storage", SOON).await.failure, None, "dropped in the meantime");
    responder.set("aggregate $collStats", Answer::Error(166));
    assert_eq!(watch.check_within("storage", SOON).await.failure, None, "a view");
    responder.set("aggregate $collStats", Answer::Error(13));
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    let why = absent(&report, "mongodb.collection.size_bytes", &[("collection", "orders")]);
    assert!(matches!(why, Absent::NoPermission(_)));
    responder.set("dbStats", Answer::Error(13));
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    let why = absent(&report, "mongodb.database.size_bytes", &[("database", "shop")]);
    assert!(matches!(why, Absent::NoPermission(grant) if grant.contains("clusterMonitor")));
    assert_eq!(absent(&report, "mongodb.data.size_bytes", &[]), Absent::NotKnown, "a part is not the whole");
    responder.set("dbStats", Answer::Error(50));
    let (class, code, message) = watch.failure("storage", SOON).await;
    assert_eq!((class.as_str(), code.as_str()), ("query_timeout", "50"), "{message}");
}

#[tokio::test]
async fn sizes_that_a_compatible_server_does_not_know_come_from_the_older_command() {
    let responder = member(doc! {"storageSize": 300i64, "indexSize": 100i64});
    responder.set("listCollections", cursor([doc! {"name": "orders"}]));
    let stats = doc! {"count": 5, "size": 900i64, "storageSize": 400i64, "totalIndexSize": 30i64, "freeStorageSize": 7i64};
    responder.set("collStats", Answer::Is(stats.clone()));
    let empty = doc! {"storageStats": {"count": 5, "size": 0, "storageSize": 0}};
    let orders = [("collection", "orders")];
    for answer in [cursor([empty]), Answer::Error(40324)] {
        responder.set("aggregate $collStats", answer);
        let mut watch = Watch::new(&REGISTERED, json!({"url": responder.url()}));
        let report = watch.check_within("storage", SOON).await;
        assert_eq!(value(&report, "mongodb.collection.size_bytes", &orders), 430.0);
        assert_eq!(value(&report, "mongodb.collection.free_bytes", &orders), 7.0);
    }
    let before = responder.commands("collStats").len();
    responder.set("aggregate $collStats", cursor([doc! {"storageStats": stats}]));
    let mut watch = Watch::new(&REGISTERED, json!({"url": responder.url()}));
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(value(&report, "mongodb.collection.data_bytes", &orders), 900.0);
    assert_eq!(responder.commands("collStats").len(), before, "the older command is not needed");
}

#[tokio::test]
async fn a_mongos_is_asked_for_sizes_alone() {
    let mongos = hello(doc! {"ismaster": true, "msg": "isdbgrid"});
    let list = doc! {"databases": [{"name": "shop", "sizeOnDisk": 500i64}], "totalSize": 700i64};
    let responder = Responder::new([("isMaster", Answer::Is(mongos)), ("listDatabases", Answer::Is(list))]);
    let mut watch = Watch::new(&REGISTERED, json!({"url": responder.url()}));
    let report = watch.check_within("storage", SOON).await;
    assert_eq!(report.failure, None);
    assert_eq!(value(&report, "mongodb.database.size_bytes", &[("database", "shop")]), 500.0);
    assert_eq!(value(&report, "mongodb.data.size_bytes", &[]), 700.0);
    assert_eq!(responder.commands("dbStats").len(), 0);
}
