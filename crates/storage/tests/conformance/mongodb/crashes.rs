//! What a process that died, or slept, had begun.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use wise_storage::ports::{DefinitionStore, HistoryStore, MainRecord};
use wise_storage::{Aggregate, MongoStore, QueryPlan, StoreError, Timing};
use wise_testbed::Mongo;

use super::*;
use crate::{START, TOTAL, added, at, definition, total};

#[test]
fn a_holder_that_was_paused_cannot_write() {
    for server in servers() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // It shows no sign of life by itself.
        let paused = Timing { beat: Duration::from_secs(3600), send: Duration::from_secs(3600), ..quick() };
        let mut first_options = options(&server, first.path(), "first");
        first_options.timing = paused;
        let old = open(first_options.clone());
        let shop = added(&old, "shop");
        old.append(&[total(shop, at(0), 0.1)]).unwrap();
        old.send_all(at(0)).unwrap();
        let begun = Instant::now();
        let mut waited = 0;
        let new = MongoStore::open(options(&server, second.path(), "second"), START, &mut |holder| {
            assert_eq!(holder, "first");
            waited += 1;
            true
        })
        .unwrap();
        assert!(waited > 0 && begun.elapsed() >= Duration::from_secs(2));
        crate::commit(&new, &[change(shop, 10)]);
        new.send_all(at(10)).unwrap();

        // The old one wakes up.
        let mut changed = old.monitors().unwrap().remove(0);
        changed.version = 2;
        let refused = old.update_monitor(&changed, 1);
        assert!(matches!(&refused, Err(StoreError::Superseded { by }) if by == "second"), "{refused:?}");
        assert!(
            old.insert_monitor(&definition("late")).is_err()
                && old.remove_monitor(&crate::removal(shop, at(11))).is_err()
        );
        // What it has measured stays with it until it has the store again.
        old.append(&[total(shop, at(20), 0.2)]).unwrap();
        // Two consumers have seen an event that gets another number; one of them has seen nothing of the other process.
        let late = crate::commit(&old, &[change(shop, 21), change(shop, 22)]);
        crate::advance(&old, "log", late[0]);
        crate::advance(&old, "all", late[1]);
        assert!(matches!(old.send_all(at(30)), Err(StoreError::Superseded { .. })));
        assert_eq!(old.state().lost().borrow().as_deref(), Some("second"));
        assert_eq!(all_results(&new, shop), 1);
        drop(old);
        assert_eq!(new.monitors().unwrap()[0].version, 1);
        new.append(&[total(shop, at(40), 0.4)]).unwrap();
        drop(new);

        let again = open(first_options);
        let changes: Vec<_> = again.events_after(0, 10).unwrap();
        assert_eq!(changes.iter().map(|(_, one)| one.time).collect::<Vec<_>>(), [at(10), at(21), at(22)]);
        assert!(changes[1].0 > changes[0].0);
        let unseen = |consumer: &str| -> Vec<_> {
            again.unseen_events(consumer, 10).unwrap().into_iter().map(|(_, one)| one.time).collect()
        };
        assert_eq!((unseen("log"), unseen("all")), (vec![at(10), at(22)], vec![at(10)]), "each once");
        crate::advance(&again, "log", changes[2].0);
        assert_eq!((unseen("log"), unseen("new").len()), (vec![], 3));
        assert_eq!(all_results(&again, shop), 3, "what both have measured");
        again.send_all(at(60)).unwrap();
        let count = QueryPlan::of(shop, TOTAL.name, (START, at(60)), 1, Aggregate::Count);
        assert_eq!(again.answer(&count).unwrap().series[0].points[0].1, 3.0);
    }
}

#[test]
fn what_a_dead_holder_had_begun_is_completed_and_what_is_over_is_rolled_up() {
    for server in servers() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let old = open(options(&server, first.path(), "first"));
        let shop = added(&old, "shop");
        for minute in 0..600 {
            old.append(&[total(shop, at(minute * 60), 1.0)]).unwrap();
        }
        old.send_all(at(36_000)).unwrap();
        drop(old);
        // Its machine is gone. On the same day another goes on, and the day comes to its end.
        drop(first);
        let new = open(options(&server, second.path(), "second"));
        for minute in 600..1440 {
            new.append(&[total(shop, at(minute * 60), 3.0)]).unwrap();
        }
        let day = QueryPlan::of(shop, TOTAL.name, (START, at(86_400)), 1, Aggregate::Avg);
        let whole = (600.0 + 3.0 * 840.0) / 1440.0;
        let mean = |store: &MongoStore| store.answer(&day).unwrap().series[0].points[0].1;
        assert!((mean(&new) - whole).abs() < 1e-9, "with half of it in the spool");
        new.send_all(at(40_000)).unwrap();
        assert!((mean(&new) - whole).abs() < 1e-9, "with all of it in both");
        new.send_all(at(2 * 86_400)).unwrap();
        assert!((mean(&new) - whole).abs() < 1e-9, "rolled up");
        let tiers = new
            .aggregate(
                "rollups_1d",
                &serde_json::json!([{"$unwind": "$series"}, {"$unwind": "$series.buckets"},
            {"$group": {"_id": "$metric", "count": {"$sum": "$series.buckets.count"}}}]),
            )
            .unwrap();
        assert!(tiers.iter().any(|one| one.contains("t.total_seconds") && one.contains("1440")), "{tiers:?}");
        let hours = new
            .aggregate("chunks", &serde_json::json!([{"$group": {"_id": "$span", "n": {"$sum": 1}}}]))
            .unwrap();
        assert_eq!(hours.len(), 1, "only days are left: {hours:?}");
        assert_eq!(all_results(&new, shop), 1440);
    }
}

/// Changes the document of the writer, as a crash would have left it.
fn left_behind(server: &Mongo, update: mongodb::bson::Document) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
        let writer = client.database("wise").collection::<mongodb::bson::Document>("writer");
        let changed = writer.update_one(mongodb::bson::doc! { "_id": "writer" }, update).await.unwrap();
        assert_eq!(changed.matched_count, 1);
    });
}

/// Runs a statement on the main file of a spool.
fn in_spool(spool: &Path, statement: &str) -> Option<String> {
    let file = rusqlite::Connection::open(spool.join("wise.sqlite3")).unwrap();
    let mut statement = file.prepare(statement).unwrap();
    let mut rows = statement.query([]).unwrap();
    rows.next().unwrap().map(|row| row.get(0).unwrap())
}

fn numbers(store: &MongoStore) -> Vec<(u64, wise_core::Timestamp)> {
    store.events_after(0, 1000).unwrap().into_iter().map(|(number, one)| (number, one.time)).collect()
}

#[test]
fn a_crash_after_a_commit_writes_nothing_twice() {
    for server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        for second in 0..10 {
            crate::commit(&store, &[change(shop, second)]);
        }
        store.send_all(at(60)).unwrap();
        let before = numbers(&store);
        drop(store);
        // It was committed, and the spool does not know: of some, or of all; alone, or with something new.
        for known in [before[6].0, 0] {
            in_spool(
                spool.path(),
                &format!("UPDATE cursor SET sequence = {known} WHERE consumer = 'mongodb'"),
            );
            let store = open(options(&server, spool.path(), "a"));
            assert_eq!(numbers(&store), before);
            store.send_all(at(60)).unwrap();
        }
        in_spool(spool.path(), "UPDATE cursor SET sequence = 3 WHERE consumer = 'mongodb'");
        let store = open(options(&server, spool.path(), "a"));
        crate::commit(&store, &[change(shop, 100)]);
        store.send_all(at(200)).unwrap();
        let all = numbers(&store);
        assert_eq!((all.len(), &all[..10]), (11, &before[..]));
        drop(store);
        assert_eq!(numbers(&open(options(&server, elsewhere.path(), "b"))), all);
    }
}

#[test]
fn a_right_that_was_granted_and_never_used_hides_nothing() {
    for server in servers() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, first.path(), "first"));
        let shop = added(&store, "shop");
        crate::commit(&store, &[change(shop, 1)]);
        drop(store);
        let other = open(options(&server, second.path(), "second"));
        crate::commit(&other, &[change(shop, 2)]);
        other.insert_monitor(&definition("mail")).unwrap();
        other.set_meta("first_start", "by the second").unwrap();
        drop(other);
        // The first was granted the right again, and was gone before it looked.
        let id = in_spool(first.path(), "SELECT value FROM meta WHERE key = 'mongodb_spool'").unwrap();
        left_behind(
            &server,
            mongodb::bson::doc! { "$set": { "holder": id }, "$inc": { "fence": 1_i64, "beat": 1_i64 } },
        );
        let store = open(options(&server, first.path(), "first"));
        assert_eq!(numbers(&store).len(), 2);
        assert_eq!(store.monitors().unwrap().len(), 2);
        assert_eq!(store.meta("first_start").unwrap().as_deref(), Some("by the second"));
        crate::commit(&store, &[change(shop, 3)]);
        store.send_all(at(60)).unwrap();
        let all = numbers(&store);
        drop(store);
        assert_eq!((all.len(), numbers(&open(options(&server, second.path(), "second")))), (3, all));
    }
}

#[test]
fn a_commit_that_was_cut_off_is_completed_and_one_that_cannot_be_is_left_out() {
    for server in servers() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, first.path(), "first"));
        let shop = added(&store, "shop");
        crate::commit(&store, &[change(shop, 1)]);
        store.send_all(at(10)).unwrap();
        drop(store);
        // Put into the document of the writer, and then the machine was gone.
        let begun = crate::change(shop, at(50), wise_core::Status::Unhealthy);
        let event = mongodb::bson::doc! {
            "_id": 77_i64, "monitor": shop.to_string(), "time": mongodb::bson::DateTime::from_millis(at(50).as_millis()),
            "time_us": at(50).as_micros(), "type": "status", "identity": begun.identity(),
            "event": serde_json::to_string(&begun.kind).unwrap(),
        };
        let pending = mongodb::bson::doc! { "in": "events", "put": event };
        left_behind(&server, mongodb::bson::doc! { "$set": { "pending": [pending], "sequence": 77_i64 } });
        let store = open(options(&server, second.path(), "second"));
        assert_eq!(numbers(&store).last(), Some(&(77, at(50))));
        assert!(crate::commit(&store, &[change(shop, 60)])[0] > 77);
        drop(store);
        let bad =
            mongodb::bson::doc! { "in": "monitors", "put": { "_id": "x", "change": 1000_i64, "name": 5 } };
        left_behind(&server, mongodb::bson::doc! { "$set": { "pending": [bad] } });
        let store = open(options(&server, first.path(), "first"));
        added(&store, "after it");
        store.send_all(at(100)).unwrap();
        assert_eq!((store.monitors().unwrap().len(), numbers(&store).len()), (2, 3));
    }
}
