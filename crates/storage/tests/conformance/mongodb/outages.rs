//! The server away, half dead, and a spool that may not grow.

use std::time::Duration;

use tokio::time::Instant;
use wise_core::ManagedBy;
use wise_storage::ports::{DefinitionStore, HistoryStore, MainRecord};
use wise_storage::{Aggregate, QueryPlan, StoreError};
use wise_testbed::until;

use super::*;
use crate::{START, TOTAL, added, at, check, definition, sized, total};

#[test]
fn with_the_server_away_everything_waits_and_is_written_once_in_order() {
    for mut server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        store.append(&[total(shop, at(0), 0.1)]).unwrap();
        crate::commit(&store, &[change(shop, 0)]);
        server.service.stop();
        until("it is noticed", || if store.state().is_connected() { Err("connected") } else { Ok(()) });
        // Away in the middle: checks and changes of status go on, what is promised is refused.
        for second in 1..200 {
            store.append(&[total(shop, at(second), 0.1)]).unwrap();
            if second % 10 == 0 {
                crate::commit(&store, &[change(shop, second)]);
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
        let last = crate::commit(&store, &[change(shop, 201)]);
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
        let changes = copy.events_after(0, 1000).unwrap();
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
            store.maintain(at(second)).unwrap();
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
        plan.sources = monitors.iter().copied().map(Into::into).collect();
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
            crate::commit(&store, &[change(shop, second)]);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        let refused = store.insert_monitor(&definition("promised"));
        assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
        server.service.thaw();
        // What was refused may have got through all the same. Then this process does not know what is there, and says so.
        until("it goes on or begins again", || match store.send_all(at(60)) {
            Ok(()) | Err(StoreError::Superseded { .. }) => Ok(()),
            Err(error) => Err(error),
        });
        drop(store);
        let store = open(options(&server, spool.path(), "a"));
        store.send_all(at(60)).unwrap();
        drop(store);
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = open(options(&server, elsewhere.path(), "b"));
        assert_eq!(copy.events_after(0, 1000).unwrap().len(), 50);
        assert_eq!(all_results(&copy, shop), 50);
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
            store.maintain(at(7 * day)).unwrap();
            store.maintain(at(7 * day + 7200)).unwrap();
            if store.state().given_up() > 0 { Ok(()) } else { Err("nothing is given up") }
        });
    }
}

#[test]
fn a_spool_that_cannot_be_written_refuses_a_change_before_mongodb_has_it() {
    for server in servers() {
        let (spool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        let shop = added(&store, "shop");
        let other = rusqlite::Connection::open(spool.path().join("wise.sqlite3")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = [
            store.insert_monitor(&definition("late")),
            store.remove_monitor(&crate::removal(shop, at(1))).map(drop),
        ];
        assert!(refused.iter().all(|one| matches!(one, Err(StoreError::InUse { .. }))), "{refused:?}");
        other.execute_batch("ROLLBACK").unwrap();
        // Nothing was half made: it goes on as if no one had asked.
        assert_eq!(*store.state().lost().borrow(), None);
        store.insert_monitor(&definition("late")).unwrap();
        drop(store);
        let copy = open(options(&server, elsewhere.path(), "b"));
        let mut names: Vec<String> = copy.monitors().unwrap().into_iter().map(|one| one.spec.name).collect();
        names.sort();
        assert_eq!(names, ["late", "shop"]);
    }
}
