//! Documents: as documented, written again, too large, damaged.

use std::path::Path;
use std::sync::Arc;

use wise_storage::ports::HistoryStore;
use wise_storage::{Aggregate, MongoStore, QueryPlan, ResultQuery};

use super::*;
use crate::{InMongo, START, TOTAL, added, at, total};

/// The tables between the marks are what the server has. `WISE_BLESS=1` writes them.
#[test]
fn the_documentation_has_the_collections_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/storage.md");
    for server in servers() {
        let spool = tempfile::tempdir().unwrap();
        let found = open(options(&server, spool.path(), "a")).describe().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- collections: begin -->\n\n", "<!-- collections: end -->");
        let (before, rest) = text.split_once(begin).expect("a mark");
        let (written, after) = rest.split_once(end).expect("a mark");
        if std::env::var_os("WISE_BLESS").is_some() {
            std::fs::write(&path, format!("{before}{begin}{found}{end}{after}")).unwrap();
        } else {
            assert_eq!(written, found, "run the test with WISE_BLESS=1");
        }
    }
}

/// Every pipeline of the documentation answers something.
#[test]
fn the_queries_of_the_documentation_work() {
    let text = include_str!("../../../../../docs/storage.md");
    let queries: Vec<(&str, serde_json::Value)> = text
        .split("```js\ndb.")
        .skip(1)
        .filter_map(|part| {
            let (query, _) = part.split_once("\n```")?;
            let (collection, stages) = query.split_once(".aggregate(")?;
            Some((collection, serde_json::from_str(stages.strip_suffix(')')?).expect("the stages are JSON")))
        })
        .collect();
    assert!(queries.len() >= 4, "{queries:?}");
    for server in servers() {
        let spool = tempfile::tempdir().unwrap();
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        crate::commit(&store, &[change(shop, 1), change(shop, 2)]);
        for minute in 0..1440 {
            let mut one = total(shop, at(minute * 60), 0.1 + minute as f64 / 1000.0);
            if minute % 100 == 0 {
                let class = &wise_core::common::REFUSED;
                one.failure = Some(wise_core::Failure::new(class, "connection refused"));
            }
            store.append(&[one]).unwrap();
        }
        store.send_all(at(2 * 86_400)).unwrap();
        for (collection, stages) in &queries {
            // What is documented names the metrics of websites.
            let stages = stages.to_string().replace("website.total_seconds", TOTAL.name);
            let found = store.aggregate(collection, &serde_json::from_str(&stages).unwrap()).unwrap();
            assert!(!found.is_empty(), "{collection}: {stages}");
        }
    }
}

#[test]
fn ids_make_a_repeated_write_the_same_write() {
    for server in servers() {
        let server = Arc::new(server);
        let bed = InMongo::new(&server, false);
        let spool = tempfile::tempdir().unwrap();
        let store = open(bed.options(spool.path()));
        let shop = added(&store, "shop");
        for second in 0..100 {
            store.append(&[total(shop, at(second * 60), 1.0)]).unwrap();
            if second % 20 == 0 {
                store.send_all(at(second * 60)).unwrap();
            }
        }
        store.send_all(at(6000)).unwrap();
        let count = |collection: &str| {
            let group = serde_json::json!([{"$group": {"_id": null, "n": {"$sum": 1}, "checks": {"$sum": "$checks"}}}]);
            store.aggregate(collection, &group).unwrap().concat()
        };
        let (chunks, results) = (count("chunks"), count("results"));
        assert!(chunks.contains("100") && results.contains("100"), "{chunks} {results}");
        // A straggler of an hour that was sent: its document is made again.
        drop(store);
        let store = open(bed.options(spool.path()));
        store.append(&[total(shop, at(0), 1.0)]).unwrap();
        store.send_all(at(6000)).unwrap();
        let count = store
            .aggregate("chunks", &serde_json::json!([{"$group": {"_id": null, "n": {"$sum": "$checks"}}}]))
            .unwrap();
        assert!(count.concat().contains("100"), "{count:?}");
    }
}

#[test]
fn a_document_that_is_too_large_is_cut_and_holds_nobody_up() {
    for server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let (noisy, quiet) = (added(&store, "noisy"), added(&store, "quiet"));
        // Each failure has a code of its own, and much to tell.
        for second in 0..900 {
            let mut one = total(noisy, at(second), 0.1);
            one.failure = Some(
                wise_core::Failure::new(&wise_core::common::REFUSED, "refused").code(format!("c{second}")),
            );
            one.evidence = Some(Arc::new(serde_json::json!({"body": "x".repeat(30_000), "at": second})));
            store.append(&[one, total(quiet, at(second), 0.1)]).unwrap();
        }
        store.send_all(at(1000)).unwrap();
        store.send_all(at(2 * 86_400)).unwrap();
        assert_eq!(store.state().refused(), 0);
        drop(store);
        let copy = open(options(&server, elsewhere.path(), "b"));
        assert_eq!((all_results(&copy, noisy), all_results(&copy, quiet)), (900, 900));
        let query = ResultQuery::of(noisy, (START, at(1000)), 1).failed(true);
        let last = copy.results(&query).unwrap().remove(0);
        assert_eq!(
            (last.failure.unwrap().1.as_deref(), &last.evidence.unwrap()["at"]),
            (Some("c899"), &serde_json::json!(899))
        );
    }
}

#[test]
fn a_damaged_document_is_left_out_and_the_rest_is_served() {
    for server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let (shop, mail) = (added(&store, "shop"), added(&store, "mail"));
        for minute in 0..180 {
            store.append(&[total(shop, at(minute * 60), 1.0), total(mail, at(minute * 60), 2.0)]).unwrap();
        }
        store.send_all(at(3 * 3600)).unwrap();
        drop(store);
        // One hour of one monitor is cut off, another has a bit turned over.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
            let chunks = client.database("wise").collection::<mongodb::bson::Document>("chunks");
            for (hour, keep) in [(0, 20), (1, usize::MAX)] {
                let first = mongodb::bson::DateTime::from_millis(at(hour * 3600).as_millis());
                let of = mongodb::bson::doc! { "monitor": shop.to_string(), "first": first };
                let found = chunks.find_one(of.clone()).await.unwrap().expect("the hour");
                let mut bytes = found.get_binary_generic("data").unwrap().clone();
                bytes.truncate(keep);
                bytes[10] ^= 0xff;
                let binary =
                    mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes };
                chunks.update_one(of, mongodb::bson::doc! { "$set": { "data": binary } }).await.unwrap();
            }
        });
        let copy = open(options(&server, elsewhere.path(), "b"));
        let count = |id| {
            let plan = QueryPlan::of(id, TOTAL.name, (START, at(86_400)), 1, Aggregate::Count);
            copy.answer(&plan).unwrap().series.first().map(|series| series.points[0].1)
        };
        for state in ["as it is", "rolled up"] {
            let of_shop = count(shop).unwrap();
            assert!((60.0..180.0).contains(&of_shop), "{state}: {of_shop}");
            assert_eq!(count(mail), Some(180.0), "{state}");
            assert!(all_results(&copy, shop) >= 60 && all_results(&copy, mail) == 180, "{state}");
            copy.send_all(at(2 * 86_400)).unwrap();
        }
        let left = copy.aggregate("chunks", &serde_json::json!([{"$match": {"span": "damaged"}}])).unwrap();
        assert!(!left.is_empty(), "what is damaged is kept for anyone who can read it");
    }
}

#[test]
fn a_straggler_whose_day_is_gone_does_not_replace_its_rollups() {
    for server in servers() {
        let (spool, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        for minute in 0..1440 {
            store.append(&[total(shop, at(minute * 60), 1.0)]).unwrap();
        }
        store.send_all(at(2 * 86_400)).unwrap();
        drop(store);
        // The server has removed the samples in the meantime, and a clock that was wrong brings one more.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
            let chunks = client.database("wise").collection::<mongodb::bson::Document>("chunks");
            assert_eq!(
                chunks.delete_many(mongodb::bson::doc! { "span": "day" }).await.unwrap().deleted_count,
                1
            );
        });
        let now = at(20 * 86_400);
        let timing = options(&server, later.path(), "b");
        let store = MongoStore::open(timing, now, &mut |holder| panic!("{holder} has it")).unwrap();
        store.append(&[total(shop, at(600), 50.0)]).unwrap();
        store.send_all(now).unwrap();
        drop(store);
        drop(later);
        let elsewhere = tempfile::tempdir().unwrap();
        let store = open(options(&server, elsewhere.path(), "c"));
        let plan = QueryPlan::of(shop, TOTAL.name, (START, at(40 * 86_400)), 1, Aggregate::Count);
        assert_eq!(store.answer(&plan).unwrap().series[0].points[0].1, 1440.0);
    }
}
