//! What a store behind a server has to stand: the server away, half dead, taken over, and documents as documented.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wise_core::{ManagedBy, Status, Transition};
use wise_storage::ports::{DefinitionStore, HistoryStore, MainRecord};
use wise_storage::{Aggregate, MongoOptions, MongoStore, QueryPlan, ResultQuery, StoreError, Timing};
use wise_testbed::{Mongo, until};

use crate::{InMongo, START, TOTAL, added, at, check, definition, embedded, sized, total};

const NOBODY: &str = "nobody else has the store";

fn servers() -> Vec<Mongo> {
    Mongo::programs().iter().map(|program| Mongo::start(program, &[])).collect()
}

fn quick() -> Timing {
    Timing {
        patience: Duration::from_secs(2),
        beat: Duration::from_millis(200),
        expiry: Duration::from_secs(2),
        send: Duration::from_millis(200),
    }
}

fn options(server: &Mongo, spool: &Path, name: &str) -> MongoOptions {
    MongoOptions {
        url: format!("{}/wise", server.url()),
        spool: embedded(spool),
        retention: wise_storage::Retention::default(),
        name: name.to_owned(),
        timing: quick(),
        is_source: false,
    }
}

fn open(options: MongoOptions) -> MongoStore {
    MongoStore::open(options, START, &mut |holder| panic!("{holder} has the store: {NOBODY}"))
        .expect("it opens")
}

fn change(monitor: wise_core::MonitorId, second: u64) -> Transition {
    let to = if second.is_multiple_of(2) { Status::Healthy } else { Status::Unhealthy };
    Transition {
        monitor,
        time: at(second),
        from: None,
        to,
        down: to == Status::Unhealthy,
        reason: None,
        evidence: None,
    }
}

fn all_results(store: &dyn HistoryStore, monitor: wise_core::MonitorId) -> usize {
    let query = ResultQuery { monitor, from: START, to: at(1_000_000), failed: false, limit: 10_000_000 };
    store.results(&query).expect("results").len()
}

#[test]
fn with_the_server_away_everything_waits_and_is_written_once_in_order() {
    for mut server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        store.append(&[total(shop, at(0), 0.1)]).unwrap();
        store.commit(&[change(shop, 0)]).unwrap();
        server.service.stop();
        until("it is noticed", || if store.state().is_connected() { Err("connected") } else { Ok(()) });
        // Away in the middle: checks and changes of status go on, what is promised is refused.
        for second in 1..200 {
            store.append(&[total(shop, at(second), 0.1)]).unwrap();
            if second % 10 == 0 {
                store.commit(&[change(shop, second)]).unwrap();
            }
        }
        let refused = store.insert_monitor(&definition("promised"));
        assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
        let mut from_file = definition("of a file");
        from_file.managed_by = ManagedBy::File("monitors.d/a.toml".to_owned());
        store.insert_monitor(&from_file).unwrap();
        assert_eq!(all_results(&store, shop), 200, "the last days can be read");
        drop(store);
        // Away from the start.
        let store = open(options(&server, spool.path(), "a"));
        assert_eq!(store.monitors().unwrap().len(), 2);
        store.append(&[total(shop, at(200), 0.1)]).unwrap();
        let last = store.commit(&[change(shop, 201)]).unwrap();
        server.start_again();
        until("it is noticed", || {
            if store.state().is_connected() { Ok(()) } else { Err(store.state().trouble()) }
        });
        store.send_all(at(300)).unwrap();
        drop(store);
        let copy = open(options(&server, elsewhere.path(), "b"));
        let mut names: Vec<String> = copy.monitors().unwrap().into_iter().map(|one| one.spec.name).collect();
        names.sort();
        assert_eq!(names, ["of a file", "shop"]);
        assert_eq!(all_results(&copy, shop), 201);
        let changes = copy.transitions_after(0, 1000).unwrap();
        assert_eq!(changes.len(), 21, "each once");
        assert!(changes.is_sorted_by_key(|(number, change)| (*number, change.time)), "in order");
        assert_eq!(changes.last().map(|(number, _)| *number), last.first().copied());
    }
}

#[test]
fn ten_minutes_without_the_server_at_a_thousand_checks_a_second_lose_nothing() {
    // CI has a tenth of it: `cargo xtask soak` sets the whole.
    let seconds: u64 =
        std::env::var("WISE_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for mut server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let monitors: Vec<_> = (0..1000).map(|number| added(&store, &format!("m{number}"))).collect();
        server.service.stop();
        // The outage goes over an hour's end.
        let begin = 3600 - seconds / 2;
        for second in begin..begin + seconds {
            let records: Vec<_> = monitors.iter().map(|id| total(*id, at(second), second as f64)).collect();
            store.append(&records).unwrap();
            store.tend(at(second)).unwrap();
        }
        drop(store);
        let store = open(options(&server, spool.path(), "a"));
        let begun = Instant::now();
        server.start_again();
        until("it is there again", || store.send_all(at(7200)));
        eprintln!("{} checks were sent in {:?}", 1000 * seconds, begun.elapsed());
        drop(store);
        let copy = open(options(&server, elsewhere.path(), "b"));
        let mut plan = QueryPlan::of(monitors[0], TOTAL.name, (START, at(7200)), 1, Aggregate::Count);
        plan.monitors.clone_from(&monitors);
        let answer = copy.answer(&plan).unwrap();
        let counts: Vec<f64> =
            answer.series.iter().flat_map(|series| &series.points).map(|point| point.1).collect();
        assert_eq!((counts.len(), counts.iter().sum::<f64>()), (1000, (1000 * seconds) as f64));
    }
}

#[test]
fn a_server_that_does_not_answer_holds_nobody_up() {
    for mut server in servers() {
        let spool = tempfile::tempdir().unwrap();
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        server.service.freeze();
        let begun = Instant::now();
        for second in 0..50 {
            store.append(&[total(shop, at(second), 0.1)]).unwrap();
            store.commit(&[change(shop, second)]).unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        let refused = store.insert_monitor(&definition("promised"));
        assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
        server.service.thaw();
        // What was refused may have got through all the same. Then this process does not know what is there, and says so.
        until("it goes on or begins anew", || match store.send_all(at(60)) {
            Ok(()) | Err(StoreError::Superseded { .. }) => Ok(()),
            Err(error) => Err(error),
        });
        drop(store);
        let store = open(options(&server, spool.path(), "a"));
        store.send_all(at(60)).unwrap();
        drop(store);
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = open(options(&server, elsewhere.path(), "b"));
        assert_eq!(copy.transitions_after(0, 1000).unwrap().len(), 50);
        assert_eq!(all_results(&copy, shop), 50);
    }
}

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
        new.commit(&[change(shop, 10)]).unwrap();
        new.send_all(at(10)).unwrap();

        // The old one wakes up.
        let mut changed = old.monitors().unwrap().remove(0);
        changed.version = 2;
        let refused = old.update_monitor(&changed, 1);
        assert!(matches!(&refused, Err(StoreError::Superseded { by }) if by == "second"), "{refused:?}");
        assert!(old.insert_monitor(&definition("late")).is_err() && old.delete_monitor(shop).is_err());
        // What it has measured stays with it until it has the store again.
        old.append(&[total(shop, at(20), 0.2)]).unwrap();
        old.commit(&[change(shop, 21)]).unwrap();
        assert!(matches!(old.send_all(at(30)), Err(StoreError::Superseded { .. })));
        assert_eq!(old.state().lost().borrow().as_deref(), Some("second"));
        assert_eq!(all_results(&new, shop), 1);
        drop(old);
        assert_eq!(new.monitors().unwrap()[0].version, 1);
        new.append(&[total(shop, at(40), 0.4)]).unwrap();
        drop(new);

        let again = open(first_options);
        let changes: Vec<_> = again.transitions_after(0, 10).unwrap();
        assert_eq!(changes.iter().map(|(_, one)| one.time).collect::<Vec<_>>(), [at(10), at(21)]);
        assert!(changes[1].0 > changes[0].0);
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

#[test]
fn a_spool_and_a_database_that_do_not_belong_together_are_refused() {
    for server in servers() {
        let (spool, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        added(&store, "shop");
        drop(store);
        let attempt = |options: MongoOptions| {
            MongoStore::open(options, START, &mut |_| false).map(drop).map_err(|error| error.to_string())
        };
        let mut elsewhere = options(&server, spool.path(), "a");
        elsewhere.url = format!("{}/another", server.url());
        let refused = attempt(elsewhere).unwrap_err();
        assert!(refused.contains("not the one that the spool in"), "{refused}");
        let embedded_store = wise_storage::SqliteStore::open(&embedded(other.path()), START).unwrap();
        added(&embedded_store, "mine");
        drop(embedded_store);
        let refused = attempt(options(&server, other.path(), "a")).unwrap_err();
        assert!(refused.contains("migrate"), "{refused}");
        let mut wrong = options(&server, tempfile::tempdir().unwrap().path(), "a");
        wrong.url = "mongodb://me:hun/ter2@127.0.0.1:1/x".to_owned();
        let refused = attempt(wrong).unwrap_err();
        assert!(refused.contains("storage.url") && !refused.contains("ter2"), "{refused}");
        // Still well.
        assert_eq!(open(options(&server, spool.path(), "a")).monitors().unwrap().len(), 1);
    }
}

#[test]
fn a_spool_that_may_not_grow_gives_up_the_oldest_days_and_says_so() {
    for mut server in servers() {
        let spool = tempfile::tempdir().unwrap();
        let mut small = options(&server, spool.path(), "a");
        small.spool.retention.raw = Duration::from_secs(86_400);
        small.spool.retention.max_bytes = Some(40_000);
        let store = open(small.clone());
        let shop = added(&store, "shop");
        server.service.stop();
        let day = 86_400;
        for number in 0..6 {
            let tables: Vec<_> =
                (0..200).map(|table| sized(&format!("t{table}"), f64::from(table * 7919 % 1009))).collect();
            for hour in 0..24 {
                store.append(&[check(shop, at(number * day + hour * 3600), tables.clone())]).unwrap();
            }
        }
        // Compaction is a thread's work: each call starts or ends one.
        until("the oldest days are given up", || {
            store.tend(at(7 * day)).unwrap();
            store.tend(at(7 * day + 7200)).unwrap();
            if store.state().given_up() > 0 { Ok(()) } else { Err("nothing is given up") }
        });
    }
}

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
    let text = include_str!("../../../../docs/storage.md");
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
        store.commit(&[change(shop, 1), change(shop, 2)]).unwrap();
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
        // A straggler of an hour that was sent: its document is made anew.
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
    store.transitions_after(0, 1000).unwrap().into_iter().map(|(number, one)| (number, one.time)).collect()
}

#[test]
fn a_crash_after_a_commit_writes_nothing_twice() {
    for server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        for second in 0..10 {
            store.commit(&[change(shop, second)]).unwrap();
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
        store.commit(&[change(shop, 100)]).unwrap();
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
        store.commit(&[change(shop, 1)]).unwrap();
        drop(store);
        let other = open(options(&server, second.path(), "second"));
        other.commit(&[change(shop, 2)]).unwrap();
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
        store.commit(&[change(shop, 3)]).unwrap();
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
        store.commit(&[change(shop, 1)]).unwrap();
        store.send_all(at(10)).unwrap();
        drop(store);
        // Put into the document of the writer, and then the machine was gone.
        let transition = mongodb::bson::doc! {
            "_id": 77_i64, "monitor": shop.to_string(), "time": mongodb::bson::DateTime::from_millis(at(50).as_millis()),
            "time_us": at(50).as_micros(), "to": "unhealthy", "down": true,
        };
        let pending = mongodb::bson::doc! { "in": "transitions", "put": transition };
        left_behind(&server, mongodb::bson::doc! { "$set": { "pending": [pending], "sequence": 77_i64 } });
        let store = open(options(&server, second.path(), "second"));
        assert_eq!(numbers(&store).last(), Some(&(77, at(50))));
        assert!(store.commit(&[change(shop, 60)]).unwrap()[0] > 77);
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
        let query = ResultQuery { monitor: noisy, from: START, to: at(1000), failed: true, limit: 1 };
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
        assert!(!left.is_empty(), "what is damaged is kept for whoever can read it");
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
